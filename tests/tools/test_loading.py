"""Plugins by path and by entry point, and one line for all that can go wrong with them."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.config import PluginConfig
from paste_proxy.errors import ConfigError, PasteError, PluginError
from paste_proxy.tools import tool
from paste_proxy.tools.loading import Registry, load_plugin, load_plugins, stamp

HEAD = "from paste_proxy.tools import ConfigError, tool\nimport msgspec\n"

TOOL = "@tool\ndef {name}() -> int:\n    return 1\n"


def _plugin(folder: Path, text: str, name: str = "plug.py") -> PluginConfig:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(HEAD + text)
    return PluginConfig(path=str(file))


def test_a_file_gives_its_tools_in_order(tmp_path: Path) -> None:
    config = _plugin(tmp_path, TOOL.format(name="b") + TOOL.format(name="a") + "again = a\n")
    registry = load_plugins([config])
    assert list(registry) == ["b", "a"]
    assert registry["a"]() == 1
    assert registry["a"].place == f"{tmp_path / 'plug.py'}:6"
    assert registry.specs["a"].name == "a"
    assert registry.get("c") is None
    source = registry.source("a")
    assert source is not None
    assert source.plugin == config
    assert source.stamp == stamp(registry["a"])


def test_a_package_folder_may_import_its_own_modules(tmp_path: Path) -> None:
    _plugin(tmp_path, TOOL.format(name="inner"), "package/part.py")
    _plugin(tmp_path, "from .part import inner\n", "package/__init__.py")
    registry = load_plugins([PluginConfig(path=str(tmp_path / "package"))])
    assert list(registry) == ["inner"]


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    configs = [
        _plugin(tmp_path / "one", TOOL.format(name="a")),
        _plugin(tmp_path, TOOL.format(name="b")),
    ]
    assert list(load_plugins(configs)) == ["a", "b"]


OPTIONS = """
class Options(msgspec.Struct):
    root: str
    depth: int = 1

def plugin(options: Options):
    if options.root == "/nowhere":
        raise ConfigError("options.root: no such folder: /nowhere", param="root")
    @tool(name=options.root)
    def unnamed() -> int:
        return options.depth
    return [unnamed]
"""


def test_options_reach_the_plugin(tmp_path: Path) -> None:
    config = PluginConfig(path=_plugin(tmp_path, OPTIONS).path, options={"root": "x", "depth": 3})
    assert load_plugins([config])["x"]() == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "options: Object missing required field `root`"),
        ({"root": 1}, "options.root: Expected `str`, got `int`"),
        ({"root": "x", "depht": 1}, "options.depht: no such option; known: root, depth"),
        ({"root": "/nowhere"}, "options.root: no such folder: /nowhere"),
    ],
)
def test_wrong_options_name_plugin_and_key(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = _plugin(tmp_path, OPTIONS).path
    with pytest.raises(ConfigError) as caught:
        load_plugin(PluginConfig(path=path, options=options))
    assert caught.value.message == f"plugin {path}: {message}"


@pytest.mark.parametrize("text", [TOOL.format(name="a"), "def plugin():\n    return []\n"])
def test_options_for_a_plugin_without_any(tmp_path: Path, text: str) -> None:
    path = _plugin(tmp_path, text).path
    with pytest.raises(ConfigError, match="takes no options, got root"):
        load_plugin(PluginConfig(path=path, options={"root": "/"}))


BROKEN = [
    ("x = 1\nimport nowhere_to_be_found\n", 4, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ("def f(:\n", 3, "SyntaxError: invalid syntax"),
    ("raise SystemExit(2)\n", 3, "SystemExit: 2"),
    ("def helper():\n    1 / 0\nhelper()\n", 4, "ZeroDivisionError: division by zero"),
    ("raise ValueError('two\\nlines')\n", 3, "ValueError: two lines"),
    ("@tool\ndef f(x):\n    pass\n", 3, "tool 'f': parameter 'x' has no annotation"),
    ("tool(3)\n", 3, "TypeError: @tool needs a function, not 3"),
    ("x = 1\n", 1, "no tools"),
    ("def plugin():\n    return None\n", 3, "plugin() must return a list of tools"),
    ("def plugin():\n    return [1]\n", 3, "plugin() must return a list of tools"),
    ("def plugin():\n    raise OSError('gone')\n", 4, "OSError: gone"),
    ("def plugin(options):\n    return []\n", 1, "annotate the parameter with a msgspec.Struct"),
    ("def plugin(options: int):\n    return []\n", 1, "annotate the parameter with a msgspec.Struct"),
    ("def plugin(options: 'Nope'):\n    return []\n", 1, "name 'Nope' is not defined"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "reason"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_broken_plugin_is_one_line_with_file_and_line(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    config = _plugin(tmp_path, text)
    with pytest.raises(PluginError) as caught:
        load_plugin(config)
    assert caught.value.message.startswith(f"{config.path}:{line}: ")
    assert reason in caught.value.message
    assert "\n" not in caught.value.message


def test_a_module_that_failed_to_import_is_forgotten(tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(PluginError):
        load_plugin(_plugin(tmp_path, "1 / 0\n"))
    assert not {name for name in set(sys.modules) - before if name.startswith("paste_proxy_plugin_")}


@pytest.mark.parametrize(
    ("path", "reason"),
    [("gone.py", "no such file"), ("notes.txt", "no Python file"), ("empty", "a folder without __init__.py")],
)
def test_what_is_no_plugin(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PluginError, match=f"not a plugin: {reason}"):
        load_plugin(PluginConfig(path=str(tmp_path / path)))


def test_duplicate_names_are_refused_naming_both_places(tmp_path: Path) -> None:
    configs = [
        _plugin(tmp_path, TOOL.format(name="a"), "one.py"),
        _plugin(tmp_path, TOOL.format(name="a"), "two.py"),
    ]
    with pytest.raises(PluginError) as caught:
        load_plugins(configs)
    assert caught.value.message.startswith(f"{tmp_path / 'two.py'}:3: tool 'a' is already declared at ")
    assert f"{tmp_path / 'one.py'}:3" in caught.value.message


@pytest.mark.parametrize("config", [PluginConfig(), PluginConfig(path="a", entry_point="b")])
def test_a_plugin_is_named_in_one_way(config: PluginConfig) -> None:
    with pytest.raises(ConfigError, match="either `path` or `entry_point`"):
        load_plugin(config)


def _installed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, value: str, text: str = TOOL.format(name="a")
) -> None:
    """A distribution with one entry point `mine`, as an installer leaves it."""
    (folder / "installed_plugin.py").write_text(HEAD + text)
    info = folder / "installed_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[paste_proxy.plugins]\nmine = {value}\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "installed_plugin", raising=False)


def test_an_entry_point_is_found_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _installed(monkeypatch, tmp_path, "installed_plugin")
    assert list(load_plugins([PluginConfig(entry_point="mine")])) == ["a"]


@pytest.mark.parametrize(
    ("name", "value", "text", "reason"),
    [
        ("nobody", "installed_plugin", "", "entry point 'nobody': none installed"),
        ("mine", "installed_plugin:tool", "", "installed_plugin:tool is no module"),
        ("mine", "installed_plugin", "1 / 0\n", "installed_plugin.py:3: ZeroDivisionError: division by zero"),
        ("mine", "not_installed", "", "not_installed:1: ModuleNotFoundError"),
    ],
)
def test_wrong_entry_points(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, text: str, reason: str
) -> None:
    _installed(monkeypatch, tmp_path, value, text)
    with pytest.raises(PluginError) as caught:
        load_plugin(PluginConfig(entry_point=name))
    assert reason in caught.value.message


def test_a_registry_of_tools_without_a_plugin() -> None:
    @tool
    def here() -> None: ...

    registry = Registry([here])
    assert registry["here"] is here
    assert len(registry) == 1
    assert registry.source("here") is None
    with pytest.raises(PasteError, match="already declared"):
        Registry([here, here])
