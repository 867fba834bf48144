"""The flags with which SGLang is started, in docker-compose.yml and as operators are told, are SGLang's."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from paste_proxy.lab.sglang_server import find_install
from tests.deployment.compose import ROOT, sglang_command

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(300)]
"""Importing the engine takes half a minute of CPU."""

INSTALL = find_install()
TOLD = ("configs/sglang.yaml", "docs/operations.md")


def told_commands() -> list[list[str]]:
    """As configurations and documentation show them, over several lines, with a `PARSER` to fill in."""
    found = []
    for name in TOLD:
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        joined = re.sub(r" #\s+--", " --", text)
        for line in re.findall(r"sglang\.launch_server (.*)", joined):
            found.append([word.replace("PARSER", "qwen") for word in shlex.split(line.rstrip("`"))])
    return found


@pytest.mark.skipif(INSTALL is None, reason="needs SGLang: python -m tests.conformance.install_sglang")
def test_sglang_takes_every_flag() -> None:
    assert INSTALL is not None
    commands = [sglang_command(), *told_commands()]
    assert len(commands) == 1 + len(TOLD)
    assert read(INSTALL.python, commands) == ""
    assert "--nothing" in read(INSTALL.python, [["--model-path", "m", "--nothing"]])


@pytest.mark.skipif(INSTALL is None, reason="needs SGLang: python -m tests.conformance.install_sglang")
def test_sglang_has_the_metrics_that_operators_are_told_of() -> None:
    assert INSTALL is not None
    (source,) = Path(INSTALL.python).parents[1].glob("lib/python3*/site-packages/sglang/srt")
    told = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    named = {name.removesuffix("_bucket") for name in re.findall(r"(?<!/)\bsglang:\w+", told)}
    known = "".join(file.read_text(encoding="utf-8") for file in (source / "observability").glob("*.py"))
    assert len(named) > 2
    assert [name for name in named if f'"{name}"' not in known] == []


def read(python: str, commands: list[list[str]]) -> str:
    """What SGLang says against them."""
    done = subprocess.run(
        [python, str(Path(__file__).parent / "sglang_arguments.py")],
        input="\n".join(json.dumps(command) for command in commands),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
