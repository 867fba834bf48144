"""Without an engine: the request that forces a text, and how a start that fails is reported."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.errors import BackendUnreachableError
from paste_proxy.lab.sglang_server import (
    VENV_VARIABLE,
    SglangInstall,
    SglangServer,
    call_markup,
    find_install,
    free_port,
    saying,
)


@given(st.text(min_size=1))
def test_the_expression_matches_the_text_and_nothing_else(text: str) -> None:
    expression = saying(text)["regex"]
    assert re.fullmatch(expression, text)
    assert not re.fullmatch(expression, text + text)
    assert "\n" not in expression


def test_spaces_are_not_escaped() -> None:
    assert saying("a b-c")["regex"] == "a b-c"


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        saying("")


def test_a_call_is_written_as_the_parser_reads_it() -> None:
    expected = '<tool_call>\n{"name": "find", "arguments": {"q":"ü"}}\n</tool_call>'
    assert call_markup("find", '{"q":"ü"}') == expected


def test_the_install_is_found_by_its_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VENV_VARIABLE, str(tmp_path))
    assert find_install() is None
    marker = '{"version": "1", "python": "p", "model": "m", "chat_template": "c"}'
    (tmp_path / "paste-install.json").write_text(marker, encoding="utf-8")
    assert find_install() == SglangInstall(version="1", python="p", model="m", chat_template="c")


async def test_an_engine_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(BackendUnreachableError, match=r"ended with code 3; its log .*ends with:\nno model"):
        async with SglangServer(_fake(tmp_path, "echo no model; exit 3"), tmp_path):
            pytest.fail("it is not ready")


async def test_an_engine_that_never_answers_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    install = _fake(tmp_path, f"sleep 60 & echo $! > {child}; wait")
    for timeout_s in (0.4, 4.4, 44.4):  # a busy machine may take a while to start it
        with pytest.raises(BackendUnreachableError, match=f"not ready after {timeout_s:.0f} s"):
            async with SglangServer(install, tmp_path, ready_timeout_s=timeout_s):
                pytest.fail("it is not ready")
        if child.exists() and child.read_text():
            break
    _until(lambda: _gone(int(child.read_text())))  # its new parent has to notice, too


def test_an_engine_whose_owner_is_killed_ends_too(tmp_path: Path) -> None:
    _fake(tmp_path, f"echo $$ > {tmp_path}/engine; exec sleep 60")
    engine = tmp_path / "engine"
    with subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)]) as owner:
        _until(lambda: engine.exists() and engine.read_text() != "")
        owner.kill()
    _until(lambda: _gone(int(engine.read_text())))


def test_a_free_port_can_be_bound() -> None:
    assert 1024 < free_port() < 65536


_OWNER = """
import asyncio, pathlib, sys
from paste_proxy.lab.sglang_server import SglangInstall, SglangServer

async def main(folder):
    install = SglangInstall(version="", python=str(folder / "python"), model="", chat_template="")
    async with SglangServer(install, folder):
        pass

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def _until(holds: Callable[[], bool]) -> None:
    """Waits; the test's own time limit ends it where that never comes."""
    while not holds():
        time.sleep(0.02)


def _fake(folder: Path, script: str) -> SglangInstall:
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    return SglangInstall(version="", python=str(python), model="", chat_template="")


def _gone(pid: int) -> bool:
    """Dead, or waiting to be reaped by a parent that is not ours."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
