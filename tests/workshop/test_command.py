"""`paste-proxy plugins new | check | run`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from paste_proxy.errors import ConfigError, InvalidArgumentsError, PasteError, PluginError, ToolError
from paste_proxy.workshop.command import plugins

CARELESS = '''
import itertools, os, time
from typing import Any
from paste_proxy.tools import Effect, ToolError, tool

@tool(effect=Effect.READ)
def when(zone: Any = None) -> str:
    """What time is it?"""
    return f"{time.time_ns()} {os.getpid()}"

@tool(effect=Effect.READ, reads={"shelf"}, timeout=5)
async def shelf() -> str:
    """Read."""
    return "text"

@tool
def put(text: str) -> None:
    raise ToolError(f"no room for {text}")

@tool(effect=Effect.READ, reads=(), timeout=0.05)
async def slow() -> None:
    """Never comes back."""
    import asyncio
    await asyncio.sleep(60)
'''


def asked(*arguments: str) -> Result:
    """Raises what the command line tells in one line."""
    result = CliRunner().invoke(plugins, arguments)
    if isinstance(result.exception, PasteError):
        raise result.exception
    return result


@pytest.fixture
def careless(tmp_path: Path) -> str:
    file = tmp_path / "careless.py"
    file.write_text(CARELESS)
    return str(file)


def test_a_new_plugin_is_a_good_one(tmp_path: Path) -> None:
    assert asked("new", "recipes", "--folder", str(tmp_path)).exit_code == 0
    file = tmp_path / "recipes.py"
    checked = asked("check", str(file), "--json", "--strict")
    assert checked.exit_code == 0, checked.output
    tools = {tool["name"]: tool for tool in json.loads(checked.output)["tools"]}
    assert {name: tool["effect"] for name, tool in tools.items()} == {
        "recipes_find": "read",
        "recipes_add": "never",
    }
    assert tools["recipes_find"]["arguments"] == ["word", "limit?"]
    assert (tools["recipes_find"]["runs"], tools["recipes_find"]["runs_ahead"]) == ("thread", "worker process")
    assert not any(tool["warnings"] for tool in tools.values())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "recipes.py").write_text("mine")
    with pytest.raises(ConfigError, match=r"recipes\.py is there already"):
        asked("new", "recipes", "--folder", str(tmp_path))
    assert (tmp_path / "recipes.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["Recipes", "1a", "a-b", "a/b", "class", "", "a" * 41])
def test_what_can_t_be_a_module_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="can't name a plugin"):
        asked("new", name, "--folder", str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["json", "email", "asyncio"])
def test_a_module_of_python_s_own_is_not_hidden(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is a module of Python's own, which {name}.py would hide"):
        asked("new", name, "--folder", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_what_is_seldom_meant_is_told(careless: str) -> None:
    text = asked("check", careless).output
    assert "warning: reads everything: every write" in text
    assert "warning: no timeout of its own: a run that hangs holds its call for 120 s" in text
    assert "warning: argument zone: may be anything" in text
    assert "warning: writes everything: each call makes all void" in text
    assert "warning: no docstring" in text
    assert "shelf()" in text
    assert "effect read; reads shelf; event loop, ahead: event loop; timeout 5 s" in text
    assert "effect never; writes everything; thread, never runs ahead" in text
    assert asked("check", careless).exit_code == 0
    assert asked("check", careless, "--strict").exit_code == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def f(: pass", PluginError),
        ("x = 1", PluginError),
        ("from paste_proxy.tools import tool\n@tool\ndef f(a): ...", PluginError),
        ("from paste_proxy.tools import tool\n@tool\ndef f(): ...\n@tool(name='f')\ndef g(): ...", PluginError),
    ],
)
@pytest.mark.parametrize("command", [["check"], ["run"]])
def test_what_the_proxy_would_refuse_is_refused(
    tmp_path: Path, code: str, error: type[PasteError], command: list[str]
) -> None:
    (tmp_path / "p.py").write_text(code)
    with pytest.raises(error, match=r"p\.py:\d+"):
        asked(*command, str(tmp_path / "p.py"), *(["f"] if command == ["run"] else []))


def test_options_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(CARELESS)
    with pytest.raises(ConfigError, match="takes no options, got a"):
        asked("check", str(tmp_path / "p.py"), "--options", '{"a": 1}')
    with pytest.raises(ConfigError, match="--options: is no JSON object"):
        asked("check", str(tmp_path / "p.py"), "--options", "[1]")
    with pytest.raises(ConfigError, match="--options: is no JSON object"):
        asked("check", str(tmp_path / "p.py"), "--options", '{"a": "\udcff"}')


def ran(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = asked("run", *arguments, "--json")
    told: dict[str, Any] = json.loads(result.output)
    return result.exit_code, told


def test_a_call_is_run_ahead_and_as_asked_for(careless: str) -> None:
    code, told = ran(careless, "shelf")
    assert (code, told["same"], told["result"], told["other"]) == (0, True, "text", "")
    assert [(one["how"], one["bytes"]) for one in told["runs"]] == [("ahead", 4), ("asked for", 4)]


def test_what_differs_is_told(careless: str) -> None:
    code, told = ran(careless, "when", '{"zone": "UTC"}')
    assert (code, told["same"]) == (1, False)
    assert told["result"] != told["other"]
    assert "warning: the results differ; ahead it was:" in asked("run", careless, "when").stderr


def test_what_may_change_something_is_run_once(tmp_path: Path) -> None:
    asked("new", "recipes", "--folder", str(tmp_path))
    file = str(tmp_path / "recipes.py")
    code, told = ran(file, "recipes_add", '{"entry": "green tea"}')
    assert (code, told["same"], len(told["runs"])) == (0, None, 1)
    assert (tmp_path / "recipes.txt").read_text() == "green tea\n"
    assert ran(file, "recipes_find", '{"word": "tea"}')[1]["result"] == '["green tea"]'


@pytest.mark.parametrize(
    ("tool", "arguments", "error", "said"),
    [
        ("nix", "{}", PasteError, "there is no tool 'nix'; known: put, shelf, slow, when"),
        ("put", "{}", InvalidArgumentsError, "text"),
        ("put", "{", InvalidArgumentsError, "put"),
        ("put", '{"text": "x"}', ToolError, "no room for x"),
        ("slow", "{}", ToolError, "slow: no result within 0.05 s, the tool's timeout"),
    ],
)
def test_why_there_is_no_result(
    careless: str, tool: str, arguments: str, error: type[PasteError], said: str
) -> None:
    with pytest.raises(error, match=said):
        asked("run", careless, tool, arguments)


def test_as_a_person_would(tmp_path: Path) -> None:
    """Real processes: the plugin is made, its own test is run, one call, and an error in one line."""

    def do(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)

    assert do("paste_proxy", "plugins", "new", "recipes").stdout.startswith("wrote recipes.py")
    tested = do("pytest", "-q", "-p", "no:cacheprovider", "recipes.py")
    assert tested.returncode == 0, tested.stdout
    found = do("paste_proxy", "plugins", "run", "recipes.py", "recipes_find", '{"word": "tea"}')
    assert (found.returncode, found.stdout) == (0, "[]\n")
    assert "the same result both times" in found.stderr
    wrong = do("paste_proxy", "plugins", "run", "recipes.py", "recipes_find", "{}")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert len(wrong.stderr.splitlines()) == 1
    assert wrong.stderr.startswith("paste-proxy: ")


def test_what_prepares_a_call_is_tried_and_not_compared(tmp_path: Path) -> None:
    file = tmp_path / "booking.py"
    file.write_text(
        "from paste_proxy.tools import tool\n"
        "@tool(effect='warm', ahead=lambda room: None, timeout=9, writes={'rooms'})\n"
        "def book(room: str) -> str:\n"
        "    'Book a room.'\n"
        "    return room\n"
    )
    code, told = ran(str(file), "book", '{"room": "7"}')
    assert (code, told["same"], told["result"], len(told["runs"])) == (0, None, "7", 2)
