"""docker-compose.yml, held to Compose's specification and to what it mounts and starts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions
from compose_spec.models import ComposeSpecification

from tests.deployment.compose import KEYS, PROFILES, ROOT, VARIABLE, example, filled, services, text
from tests.deployment.dockerfile import read_stages

FINAL = read_stages(ROOT / "Dockerfile")[-1]
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALL = {**example(), **KEYS}


def test_it_is_what_the_specification_says() -> None:
    options = PyOptions()
    options.apply_merge = True
    spec = options.from_yaml(filled(ALL)).to_spec()
    assert isinstance(spec, ComposeSpecification)
    assert set(spec.services or {}) == set(services(ALL))


def test_the_check_would_find_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"restart|unless"):
        PyOptions().from_yaml("services: {one: {image: x, restart: unless}}")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose: Debian has it")
@pytest.mark.parametrize("profile", PROFILES)
def test_compose_itself_accepts_each_profile(tmp_path: Path, profile: str) -> None:
    known = configured(tmp_path, ALL | {"COMPOSE_PROFILES": profile})
    assert known.returncode == 0, known.stderr
    assert yaml.safe_load(known.stdout)["services"].keys() == services(ALL).keys()


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose: Debian has it")
@pytest.mark.parametrize("key", KEYS)
def test_without_a_key_it_says_where_one_comes_from(tmp_path: Path, key: str) -> None:
    known = configured(tmp_path, ALL | {key: ""})
    assert known.returncode != 0
    assert key in known.stderr
    assert "paste-proxy keys new" in known.stderr


def configured(folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `docker-compose config` says of a copy with this `.env` beside it."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    lines = [f"{name}={value}" for name, value in variables.items()]
    (folder / ".env").write_text("\n".join(lines), encoding="utf-8")
    others = {name: value for name, value in os.environ.items() if name not in variables}
    return subprocess.run(
        ["docker-compose", "config"], cwd=folder, capture_output=True, text=True, check=False, env=others
    )


# -- variables --------------------------------------------------------------------------------------------


def test_every_variable_is_in_the_example_with_its_default() -> None:
    used = {found[1]: found[3] for found in VARIABLE.finditer(text()) if found[2] != "?"}
    shown = {name: value for name, value in example().items() if name not in KEYS}
    assert used | {"COMPOSE_PROFILES": "gpu"} == shown
    assert {found[1] for found in VARIABLE.finditer(text()) if found[2] == "?"} == set(KEYS)


def test_every_variable_is_documented() -> None:
    assert [name for name in example() if f"`{name}`" not in OPERATIONS] == []


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose: Debian has it")
def test_keys_may_be_written_behind_the_example(tmp_path: Path) -> None:
    """As README does: a later line counts, though the example has an empty one."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    lines = "".join(f"{name}={value}\n" for name, value in KEYS.items())
    (tmp_path / ".env").write_text(
        (ROOT / ".env.example").read_text(encoding="utf-8") + lines, encoding="utf-8"
    )
    known = subprocess.run(
        ["docker-compose", "config"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert known.returncode == 0, known.stderr
    assert yaml.safe_load(known.stdout)["services"]["paste-proxy"]["environment"] == KEYS


def test_no_key_is_in_the_example() -> None:
    assert {name: value for name, value in example().items() if name in KEYS} == dict.fromkeys(KEYS, "")


# -- what the services share ------------------------------------------------------------------------------


def test_each_profile_has_an_engine_a_proxy_and_prometheus() -> None:
    by_profile = {
        profile: sorted(name for name, one in services(ALL).items() if profile in one["profiles"])
        for profile in PROFILES
    }
    assert by_profile == {
        "gpu": ["paste-proxy", "prometheus", "sglang"],
        "cpu": ["paste-proxy-cpu", "prometheus", "scripted-engine"],
    }


@pytest.mark.parametrize(
    ("proxy", "engine"), [("paste-proxy", "sglang"), ("paste-proxy-cpu", "scripted-engine")]
)
def test_a_proxy_starts_when_its_engine_is_healthy(proxy: str, engine: str) -> None:
    service = services(ALL)[proxy]
    assert service["depends_on"] == {engine: {"condition": "service_healthy"}}
    assert f"http://{engine}:30000" in service["command"]
    assert services(ALL)[engine]["healthcheck"]["test"][0] == "CMD"
    assert service["command"][:3] == FINAL.command("CMD")


def test_ports_are_open_to_this_machine_alone() -> None:
    published = {name: one.get("ports", []) for name, one in services(ALL).items()}
    assert [port for ports in published.values() for port in ports if not port.startswith("127.0.0.1:")] == []
    assert not published["sglang"]
    assert not published["scripted-engine"]


def test_what_is_mounted_is_there_and_where_the_image_looks() -> None:
    volumes = yaml.safe_load(filled(ALL))["volumes"]
    for name, service in services(ALL).items():
        for mount in service.get("volumes", []):
            source, target = mount.split(":")[:2]
            assert source in volumes or (ROOT / source).is_file(), (name, mount)
            if name.startswith("paste-proxy"):
                assert target in (FINAL.command("CMD")[-1], FINAL.one("VOLUME"))


def test_the_store_is_in_its_volume() -> None:
    for name in ("compose", "compose-cpu"):
        config = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text(encoding="utf-8"))
        assert Path(config["store"]["path"]).parent == Path(FINAL.one("VOLUME"))


@pytest.mark.parametrize("name", services(ALL))
def test_programs_of_health_checks_are_python(name: str) -> None:
    """A check that can't be compiled would be a container that never gets healthy."""
    check = services(ALL)[name].get("healthcheck")
    if check is None:
        assert name == "prometheus"
        return
    assert check["test"][2] == "-c"
    compile(check["test"][3], name, "exec")


# -- Prometheus -------------------------------------------------------------------------------------------


def prometheus(name: str) -> Any:
    return yaml.safe_load((ROOT / f"configs/{name}.yml").read_text(encoding="utf-8"))


def test_prometheus_reads_its_key_from_the_file_that_is_written_at_its_start() -> None:
    proxy, engine = prometheus("prometheus")["scrape_configs"]
    key = proxy["authorization"]["credentials_file"]
    service = services(ALL)["prometheus"]
    assert f"> {key};" in service["entrypoint"][2]
    assert Path(key).parent.as_posix() == service["tmpfs"][0].split(":")[0]
    assert proxy["static_configs"] == [{"targets": ["paste-proxy:8700"]}]
    assert engine["dns_sd_configs"][0]["names"] == ["sglang"]


def test_the_key_is_written_and_the_arguments_are_passed_on(tmp_path: Path) -> None:
    """The entry command, run with another program in the place of Prometheus."""
    shell, option, script, name = services(ALL)["prometheus"]["entrypoint"]
    script = script.replace("$$", "$").replace("/run/paste", str(tmp_path))
    script = script.replace("/bin/prometheus", f"{sys.executable} -c 'import sys; print(sys.argv[1:])'")
    environment = {**os.environ, "PASTE_METRICS_KEY": KEYS["PASTE_METRICS_KEY"]}
    command = [shell, option, script, name, "--a=b c", "--d"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['--a=b c', '--d']"
    assert (tmp_path / "key").read_text() == KEYS["PASTE_METRICS_KEY"]
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def metrics(*queries: str) -> set[str]:
    return {name.removesuffix("_bucket") for query in queries for name in re.findall(r"\bpaste_\w+", query)}


def documented_metrics() -> set[str]:
    """A test holds these to what the proxy exports."""
    return set(re.findall(r"^\| `(paste_\w+)", OPERATIONS, re.MULTILINE))


def test_queries_that_operators_are_told_of_ask_for_metrics_that_there_are() -> None:
    _, _, below = OPERATIONS.partition("| question | query |\n")
    queries = below.partition("\n\n")[0].splitlines()
    assert len(queries) > 5
    assert metrics(*queries) - documented_metrics() == set()


def test_alerts_ask_for_metrics_that_there_are() -> None:
    rules = [rule for group in prometheus("alerts")["groups"] for rule in group["rules"]]
    assert metrics(*(rule["expr"] for rule in rules)) - documented_metrics() == set()
    assert [rule["alert"] for rule in rules if f"`{rule['alert']}`" not in OPERATIONS] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: Debian's prometheus has it")
def test_prometheus_itself_accepts_both_files(tmp_path: Path) -> None:
    written = (ROOT / "configs/prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "key").write_text("pp-x", encoding="utf-8")
    shutil.copy(ROOT / "configs/alerts.yml", tmp_path)
    moved = written.replace("/etc/prometheus", str(tmp_path)).replace("/run/paste", str(tmp_path))
    (tmp_path / "prometheus.yml").write_text(moved, encoding="utf-8")
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "8 rules found" in checked.stdout
