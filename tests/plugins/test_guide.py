"""docs/plugins.md: every block of code in it is run, and every key is in its table."""

import doctest
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from paste_proxy.cli import commands
from paste_proxy.client import close
from paste_proxy.config import Config, PluginConfig
from paste_proxy.config_reading import check_config
from paste_proxy.tools.authoring import Declaration
from paste_proxy.tools.http.guard import Guard
from paste_proxy.tools.http.sources import http_operations
from paste_proxy.tools.loading import Registry, load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Run, RunClass, RunContext
from paste_proxy.tools.spec import RESULT_LIMIT, Effect, ToolSpec
from paste_proxy.workshop.check import check
from tests.plugins.conftest import PLUGINS, Load

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


SHOP = b"""
openapi: 3.1.0
servers: [{url: https://shop.example/api}]
paths:
  /items: {get: {}}
  /items/{id}:
    get: {operationId: getItem, parameters: [{name: id, in: path, schema: {type: string}}]}
  /cart:
    post:
      operationId: addToCart
      requestBody: {content: {application/json: {schema: {properties: {id: {type: string}}}}}}
"""


def _blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def _is_agent(block: str) -> bool:
    """Code of an agent that wraps its tools, rather than a plugin."""
    return "from paste_proxy.client" in block


@pytest.fixture
def wrapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the guide's agents define. There is no proxy."""
    monkeypatch.setenv("PASTE_PROXY_URL", "http://127.0.0.1:9")
    namespace: dict[str, Any] = {}
    for block in filter(_is_agent, _blocks("python")):
        exec(compile(block, "docs/plugins.md", "exec"), namespace)
    yield namespace
    close()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """All plugins of the guide, configured as the guide configures them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "prices.csv").write_text("tea,2.5\nmilk,1.2\n")
    configured = {
        Path(plugin["path"]).name: plugin.get("options", {})
        for block in _blocks("yaml")
        for plugin in yaml.safe_load(block).get("plugins", ())
        if "path" in plugin
    }
    configs = [
        PluginConfig(path=str(PLUGINS / f"{plugin['entry_point']}.py"), options=plugin.get("options", {}))
        for block in _blocks("yaml")
        for plugin in yaml.safe_load(block).get("plugins", ())
        if "entry_point" in plugin
    ]
    for block in _blocks("python"):
        if _is_agent(block):
            continue
        name = block.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(block)
        configs.append(PluginConfig(path=str(tmp_path / name), options=configured.pop(name, {})))
    assert not configured
    return load_plugins(configs)


@pytest.fixture
async def executor(registry: Registry) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(registry, workers=1)
    yield executor
    await executor.close()


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {name for name, _ in BLOCKS} == {"python", "yaml", "json", "pycon"}
    assert len(BLOCKS) == GUIDE.count("```") / 2


def test_the_examples_do_what_they_show(registry: Registry, wrapped: dict[str, Any]) -> None:
    for block in _blocks("pycon"):
        known = {**wrapped, **registry}
        example = doctest.DocTestParser().get_doctest(block, known, "docs/plugins.md", None, 0)
        assert doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(example).failed == 0


def test_the_examples_and_the_ready_plugins_say_how_long_they_may_take(
    registry: Registry, load: Load, tmp_path: Path
) -> None:
    (tmp_path / "x.db").touch()
    ready = (
        load("docs"),
        load("files", root=str(tmp_path)),
        load("sqlite", path=str(tmp_path / "x.db")),
        load("web"),
    )
    for tool in check(tool for some in (registry, *ready) for tool in some.values()):
        assert not [warning for warning in tool.warnings if "timeout" in warning], tool.name


def test_the_configurations_are_valid(registry: Registry, wrapped: dict[str, Any]) -> None:
    for block in _blocks("yaml"):
        config = msgspec.convert(yaml.safe_load(block), Config)
        check_config(config)
        documents = dict.fromkeys(config.openapi, SHOP)
        guard = Guard(config.http.targets, "http.targets")
        operations = http_operations(config, guard, documents, {"WEATHER_TOKEN": "t"})
        readable = {one.spec.name for one in operations if one.spec.effect is Effect.READ}
        vouched = {tool for server in config.mcp_servers.values() for tool in server.read}
        assert set(config.speculation.allow) <= {*readable, *registry, *wrapped, *vouched}


def test_the_agents_configuration_starts_what_it_says() -> None:
    for block in _blocks("json"):
        for server in json.loads(block)["mcpServers"].values():
            name, *rest = server["args"]
            made = commands.commands[name].make_context(name, rest)
            assert server["command"] == "paste-proxy"
            assert made.params["command"] == ("uvx", "mcp-server-git")
            assert made.params["reads"] == ("git_log", "git_show")


@pytest.mark.parametrize("run_class", [RunClass.AUTHORITATIVE, RunClass.SPECULATIVE])
@pytest.mark.parametrize(
    ("tool", "arguments", "result"),
    [
        ("note_list", {}, b"[]"),
        ("price_of", {"item": "tea", "reason": "thirst"}, b"2.5"),
        ("index_find", {"word": "beta"}, b"2"),
        ("greet", {"name": "you"}, b"HELLO, YOU OF US"),
    ],
)
async def test_the_tools_run(
    executor: LocalExecutor, tool: str, arguments: dict[str, Any], result: bytes, run_class: RunClass
) -> None:
    output = await executor.run(Run("1", tool, arguments, RunContext("us", ""), run_class), lambda: None)
    assert output.body == result


def test_the_fingerprint_changes_with_the_table(registry: Registry) -> None:
    executor = LocalExecutor(registry)
    arguments = {"item": "tea", "reason": "thirst"}
    first = executor.fingerprint("price_of", arguments)
    assert first == executor.fingerprint("price_of", arguments)
    Path("prices.csv").write_text("tea,2.55\n")
    assert first != executor.fingerprint("price_of", arguments)


def test_the_declared_tools_are_what_the_text_says(registry: Registry) -> None:
    assert registry["note_write"].spec.writes == {"notes"}
    assert registry["note_read"].spec.reads == {"notes"}
    assert registry["price_of"].spec.inert == {"reason"}
    assert registry["index_find"].isolated


def _shown_default(key: str) -> str:
    fields = {field.name: field for field in msgspec.structs.fields(ToolSpec)}
    shown = {
        "name": "the function's",
        "effect": "`never`",
        "reads": "everything",
        "writes": "everything",
        "inert": "none",
        "result_limit": "16 MiB",
        "network": "no",
        "volatile": "no",
        "consumes": "no",
        "isolated": "no",
        "warm": "none",
        "close": "none",
        "ahead": "none",
        "fingerprint": "none",
    }
    if key in shown:
        return shown[key]
    return f"{fields[key].default:g}" + (" s" if key in ("max_age", "retention", "timeout") else "")


def test_every_key_is_listed_with_its_default() -> None:
    table = GUIDE.partition("## Keys")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    assert rows == {key: _shown_default(key) for key in Declaration.__annotations__}
    assert RESULT_LIMIT == 16 * 1024 * 1024
