"""Every file under configs/ is read as it stands, and a proxy is built from it."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from paste_proxy.app import build
from paste_proxy.cli import commands
from paste_proxy.config import Config, StoreConfig
from paste_proxy.config_reading import load_config
from paste_proxy.proxy.server import SHUTDOWN_S

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"))
PACKAGES = "/opt/paste-proxy/lib/python3.11/site-packages"
KEY = re.compile(r"\$\{([A-Z_]+)\}")


def test_there_is_one_for_each_way_to_run_it() -> None:
    named = {"embedded", "shadow", "sglang", "vllm", "compose", "compose-cpu", "production"}
    assert {file.stem for file in FILES} == named


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def config(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Config:
    """As it is read, with keys in the environment; what is in the image is here."""
    text = request.param.read_text(encoding="utf-8")
    for name in KEY.findall(text):
        monkeypatch.setenv(name, f"pp-{name}-of-a-test-that-is-long-enough")
    read = load_config(request.param)
    plugins = tuple(
        msgspec.structs.replace(plugin, path=plugin.path.replace(PACKAGES, str(ROOT)))
        for plugin in read.plugins
    )
    return msgspec.structs.replace(read, plugins=plugins, store=StoreConfig())


async def test_a_proxy_is_built_from_it(config: Config) -> None:
    proxy = build(config)
    await proxy.runtime.close()
    assert all(tool in proxy.runtime.core.tools for tool in config.speculation.allow)
    assert bool(config.tenants) == (config.listen.host != Config().listen.host)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_says_how_it_is_used(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    written = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/operations.md")]
    assert any(f"configs/{file.name}" in text for text in [*written, _compose()])


def _compose() -> str:
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def test_production_has_what_its_name_says() -> None:
    config = load_config(ROOT / "configs/production.yaml")
    assert len(config.backends) > 1
    assert [name for name, tenant in config.tenants.items() if tenant.admin] == ["operations"]
    assert all(one.kind == "sglang" and one.key for one in config.backends.values())
    assert config.limits != Config().limits


# -- the unit for systemd ---------------------------------------------------------------------------------


UNIT = ROOT / "configs/paste-proxy.service"


def test_the_unit_runs_what_is_there() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert program == "/opt/paste-proxy/bin/paste-proxy"
    command, *options = arguments
    assert [option for option in options if option.startswith("--")] == ["--config"]
    assert command in commands.commands
    assert float(unit["Service"]["TimeoutStopSec"]) > SHUTDOWN_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_itself_accepts_the_unit(tmp_path: Path) -> None:
    written = UNIT.read_text(encoding="utf-8").replace("/opt/paste-proxy/bin/paste-proxy", sys.executable)
    (tmp_path / UNIT.name).write_text(written, encoding="utf-8")
    command = ["systemd-analyze", "verify", str(tmp_path / UNIT.name)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
