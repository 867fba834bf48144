"""The image's steps, taken out of the Dockerfile and run in a plain folder: there is no container engine here.

What can't be run without one is looked at: the bases, the user, the form of the commands.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.deployment.dockerfile import admitted, read_stages
from tests.patience import SOON_S

ROOT = Path(__file__).resolve().parents[2]
BUILD, FINAL = read_stages(ROOT / "Dockerfile")
PREFIX = "/opt/paste-proxy"
NOBODY = 10001
"""The user of the image."""
KEYS = {"PASTE_AGENTS_KEY": "pp-" + "a" * 43, "PASTE_METRICS_KEY": "pp-" + "m" * 43}


class Installed(msgspec.Struct, frozen=True):
    """What the build stage leaves, in `folder` in the place of `PREFIX`."""

    folder: Path

    @property
    def packages(self) -> Path:
        (packages,) = self.folder.glob("lib/python3*/site-packages")
        return packages

    def environment(self) -> dict[str, str]:
        """As the final stage sets it."""
        (setting,) = FINAL.all("ENV")
        name, value = setting.split("=", 1)
        return {name: value.replace(PREFIX, str(self.folder)), **KEYS}


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """The build stage, run: what it copies is copied, what it runs is run."""
    with tempfile.TemporaryDirectory(prefix="paste-image-") as name:
        source, target = Path(name) / "src", Path(name) / "paste-proxy"
        for step in BUILD.steps:
            if step.word == "COPY":
                _copy(step.rest.split(), source)
            elif step.word == "RUN":
                command = step.rest.replace(PREFIX, str(target)).replace("/src", str(source))
                subprocess.run(command, shell=True, check=True, cwd=source, env=_build_environment())
        yield Installed(target)


def _copy(words: list[str], source: Path) -> None:
    *names, to = words
    for name in names:
        path = ROOT / name
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
            shutil.copytree(path, source / to, ignore=ignore)
        else:
            (source / to).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, source / to)


def _build_environment() -> dict[str, str]:
    """Of the base image: the Python that these tests run with, outside of their virtual environment."""
    python = Path(sysconfig.get_config_var("BINDIR"))
    rest = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {**rest, "PATH": f"{python}:{os.environ['PATH']}"}


# -- what is there to look at -----------------------------------------------------------------------------


def test_both_stages_have_one_base_with_its_version() -> None:
    assert BUILD.base == FINAL.base
    name, tag = BUILD.base.split(":")
    assert (name, tag.partition("-")[0]) == ("python", f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert "slim" in tag


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    names = [name for step in BUILD.all("COPY") for name in step.split()[:-1]]
    assert [name for name in names if not admitted(ignored, name)] == []
    assert sorted(names) == sorted(line[1:] for line in ignored.splitlines() if line.startswith("!"))
    assert FINAL.all("COPY") == [f"--from=build {PREFIX} {PREFIX}"]


def test_the_final_stage_installs_nothing_and_is_nobody_s_root() -> None:
    (run,) = FINAL.all("RUN")
    assert run.startswith(f"useradd --uid {NOBODY} ")
    assert FINAL.one("USER") == f"{NOBODY}:{NOBODY}"
    assert FINAL.one("VOLUME") in run
    words = [step.word for step in FINAL.steps]
    assert words.index("USER") < words.index("VOLUME") < words.index("ENTRYPOINT")


def test_signals_reach_the_proxy_itself() -> None:
    assert FINAL.one("STOPSIGNAL") == "SIGTERM"
    assert FINAL.command("ENTRYPOINT") == ["paste-proxy"]
    assert FINAL.command("CMD")[0] == "serve"


# -- the steps, run ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_package_is_whole_and_nothing_to_build_with_is_there(installed: Installed) -> None:
    for source, name in (("paste_proxy", "paste_proxy"), ("plugins", "paste_proxy_plugins")):
        assert _files(installed.packages / name) == _files(ROOT / source)
    assert not [name for name in ("pip", "setuptools", "wheel") if (installed.packages / name).exists()]
    assert not [tool for tool in ("pip", "gcc", "cc") if (installed.folder / "bin" / tool).exists()]


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_key_is_made_with_it(installed: Installed) -> None:
    """The first thing that docs/operations.md has it do."""
    command = [*FINAL.command("ENTRYPOINT"), "keys", "new", "agents"]
    made = subprocess.run(_found(command, installed), check=True, capture_output=True, text=True)
    assert made.stdout.startswith("pp-")
    assert len(made.stdout.split()) == 1


def _found(command: list[str], installed: Installed) -> list[str]:
    """With the program's path, which `exec` finds along the image's own PATH."""
    program = shutil.which(command[0], path=installed.environment()["PATH"])
    assert program is not None
    return [program, *command[1:]]


@asynccontextmanager
async def container(
    installed: Installed, arguments: list[str], home: Path
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The entry command in `home`; where it listens."""
    command = _found([*FINAL.command("ENTRYPOINT"), *arguments], installed)
    with (home.parent / f"{home.name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=home,
            env={**installed.environment(), "HOME": str(home)},
        )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), SOON_S)).decode()
        assert line.startswith("listening on "), (home.parent / f"{home.name}.log").read_text()
        yield line.split()[2].rstrip(":").replace("0.0.0.0", "127.0.0.1"), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_profile_cpu_runs_with_it(installed: Installed) -> None:
    """Engine and proxy as docker-compose.yml starts them, asked as an agent asks, stopped as Docker stops."""
    folder = installed.folder.parent
    home = folder / "home"
    home.mkdir()
    config = folder / "config.yaml"
    mounted = (ROOT / "configs/compose-cpu.yaml").read_text(encoding="utf-8")
    moved = mounted.replace(FINAL.one("VOLUME"), str(home)).replace(PREFIX, str(installed.folder))
    config.write_text(moved, encoding="utf-8")
    async with container(installed, ["lab", "engine", "--port", "0"], home) as (engine, engine_process):
        arguments = [*FINAL.command("CMD")[:-1], str(config), "--backend", engine, "--port", "0"]
        async with container(installed, arguments, home) as (url, process):
            await _is_healthy(installed, url)
            await _asks(url)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), SOON_S) == 0
        engine_process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(engine_process.wait(), SOON_S) == 0
    assert (home / "patterns.sqlite").stat().st_size > 0


async def _is_healthy(installed: Installed, url: str) -> None:
    """By the image's own check, at the port that is free here."""
    check = FINAL.one("HEALTHCHECK")
    command = json.loads(check[check.index("CMD ") + 4 :])
    moved = [word.replace("http://127.0.0.1:8700", url) for word in command]
    assert moved != command
    process = await asyncio.create_subprocess_exec(*_found(moved, installed), env=installed.environment())
    assert await process.wait() == 0


async def _asks(url: str) -> None:
    agents, metrics = (_bearer(KEYS[name]) for name in ("PASTE_AGENTS_KEY", "PASTE_METRICS_KEY"))
    async with aiohttp.ClientSession(url) as http:
        async with http.get("/paste/ready") as reply:
            assert (reply.status, (await reply.json())["backend"]) == (200, "up")
        async with http.get("/v1/tools", headers=agents) as reply:
            names = [tool["function"]["name"] for tool in (await reply.json())["tools"]]
            assert sorted(names) == ["docs_open", "docs_search", "files_read"]
        question = {"role": "user", "content": "Task 7: how does asyncio.Queue.join work?"}
        body = {"model": "default", "messages": [question]}
        async with http.post("/v1/chat/completions", json=body, headers=agents) as reply:
            message = (await reply.json())["choices"][0]["message"]
        function = message["tool_calls"][0]["function"]
        async with http.post(
            f"/v1/tools/{function['name']}", data=function["arguments"], headers=agents
        ) as reply:
            assert reply.status == 200
        assert (await http.get("/paste/metrics")).status == 401
        assert (await http.get("/paste/metrics", headers=agents)).status == 403
        assert (await http.get("/paste/metrics", headers=metrics)).status == 200


def _bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}
