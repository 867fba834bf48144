"""The docs plugin: search without importing, pages that are the same in every process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from paste_proxy.errors import ToolError
from paste_proxy.tools import Effect
from paste_proxy.tools.loading import Registry
from tests.plugins.conftest import Load


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def tools(load: Load, cache: Path) -> Registry:
    return load("docs")


@pytest.fixture(scope="module")
def module(tools: Registry) -> ModuleType:
    return sys.modules[tools["docs_open"].function.__module__]


@pytest.fixture(scope="module")
def pages(module: ModuleType) -> Any:
    return module.pages()


def test_both_are_isolated_reads_that_depend_on_nothing(tools: Registry) -> None:
    for tool in tools.values():
        assert tool.spec.effect is Effect.READ
        assert tool.spec.reads == frozenset()
        assert tool.isolated


def test_thousands_of_pages_and_none_imported(pages: Any) -> None:
    names = [page.name for page in pages]
    assert len(names) > 5000
    assert names == sorted(names)
    assert {"json", "json.loads", "builtins.len", "asyncio.events.get_event_loop", "pathlib.Path"} <= set(names)
    assert not any(name.split(".")[0] in {"antigravity", "this", "idlelib", "test"} for name in names)


def test_building_imports_nothing_of_what_it_reads() -> None:
    file = Path(__file__).parents[2] / "plugins" / "docs.py"
    code = f"""
import runpy, sys
plugin = runpy.run_path({str(file)!r})
before = set(sys.modules)
plugin["build"]()
print(sorted(set(sys.modules) - before - set(plugin["COMPILED"])))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"


def test_the_index_is_kept_and_read_again(
    module: ModuleType, pages: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = (cache / "paste-proxy").glob("docs-*.json")
    assert msgspec.json.decode(kept.read_bytes(), type=tuple[module.Page, ...]) == pages  # type: ignore[name-defined]
    module.pages.cache_clear()
    monkeypatch.setattr(module, "build", lambda: pytest.fail("it is there"))
    assert module.pages() == pages


def test_a_damaged_index_is_built_again(
    module: ModuleType, pages: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = (cache / "paste-proxy").glob("docs-*.json")
    kept.write_bytes(b"[[")
    monkeypatch.setattr(module, "build", lambda: pages)
    module.pages.cache_clear()
    assert module.pages() == pages
    assert msgspec.json.decode(kept.read_bytes())


def test_where_nothing_can_be_kept_it_is_built(
    module: ModuleType, pages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(module, "build", lambda: pages)
    module.pages.cache_clear()
    assert module.pages() == pages


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("parse json", "json"),
        ("square root", "math.sqrt"),
        ("temporary directory", "tempfile.TemporaryDirectory"),
        ("How do I run a subprocess and capture its output?", "subprocess.check_output"),
        ("asyncio.events.get_event_loop", "asyncio.events.get_event_loop"),
        ("STRFTIME", "datetime.date.strftime"),
    ],
)
def test_search_finds_what_one_would_expect(tools: Registry, pages: Any, query: str, name: str) -> None:
    hits = tools["docs_search"](query)
    assert len(hits) <= 10
    assert name in [hit.name for hit in hits]
    assert hits == tools["docs_search"](query)


def test_search_limits_and_finds_nothing(tools: Registry, pages: Any) -> None:
    assert len(tools["docs_search"]("file", limit=3)) == 3
    assert tools["docs_search"]("xyzzyx") == []
    assert tools["docs_search"]("?!") == []
    assert tools["docs_search"]("the", limit=1)


def test_search_is_fast(tools: Registry, pages: Any) -> None:
    query = "compress data with gzip or zlib in a streaming way and decompress it afterwards"
    tools["docs_search"](query)
    times = []
    for _ in range(5):
        start = time.process_time()
        tools["docs_search"](query)
        times.append(time.process_time() - start)
    assert min(times) < 0.03


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json", "JSON (JavaScript Object Notation)"),
        ("json.loads", "Deserialize ``s``"),
        ("json.decoder.JSONDecoder.decode", "Return the Python representation"),
        ("os.path.join", "Join two or more pathname components"),
        ("collections.abc.Mapping", "class Mapping(Collection)"),
        ("str.join", "Concatenate any number of strings"),
        ("builtins.len", "Return the number of items"),
        ("asyncio.run", "Execute the coroutine"),
    ],
)
def test_pages(tools: Registry, name: str, text: str) -> None:
    assert text in tools["docs_open"](name)


@pytest.mark.parametrize(
    "name",
    [
        *("antigravity", "this", "asyncio.__main__", "test.support", "pytest", "msgspec.json", "tkinter.tix"),
        *("", ".", "..", "json..loads", "json.nope", "ctypes.cdll.c", "os.environ.PATH", "__main__", "a b"),
        *("\0", "json.\u00e4"),
    ],
)
def test_what_is_not_opened(tools: Registry, name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ToolError):
        tools["docs_open"](name)
    assert not {"antigravity", "this", "asyncio.__main__"} & (set(sys.modules) - before)


def test_a_module_that_this_system_lacks(tools: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sched", None)
    with pytest.raises(ToolError, match="sched: can't be imported here"):
        tools["docs_open"]("sched")


def test_pages_show_no_values_and_no_secrets(tools: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOP_SECRET", "do not tell")
    page = tools["docs_open"]("os")
    assert "environ" in page
    assert "do not tell" not in page
    module = sys.modules["shlex"] if "shlex" in sys.modules else __import__("shlex")
    monkeypatch.setattr(module, "split", _with_default(os.environ), raising=True)
    assert "do not tell" not in tools["docs_open"]("shlex.split")


def _with_default(value: object) -> Any:
    def split(environ: object = value) -> None:
        """Show a default."""

    return split


SAMPLE = [
    "os",
    "builtins",
    "builtins.dict",
    "socket.create_connection",
    "json",
    "enum.Enum",
    "logging",
    "typing",
]


def _pages_elsewhere(names: list[str], seed: str) -> dict[str, str]:
    """The pages as a new process of another hash seed, environment and order shows them."""
    file = Path(__file__).parents[2] / "plugins" / "docs.py"
    code = f"""
import json, runpy, sys
plugin = runpy.run_path({str(file)!r})
print(json.dumps({{name: plugin["docs_open"](name) for name in sys.argv[1:]}}))
"""
    environment = {**os.environ, "SEED": seed, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-W", "ignore", "-c", code, *names]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return msgspec.json.decode(shown, type=dict[str, str])


def test_pages_are_alike_in_every_process() -> None:
    ours = _pages_elsewhere(SAMPLE, "1")
    theirs = _pages_elsewhere(["ctypes", "asyncio", *reversed(SAMPLE)], "2")
    assert {name: theirs[name] for name in SAMPLE} == ours


def test_a_long_page_is_cut(tools: Registry, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_CHARACTERS", 50)
    page = tools["docs_open"]("json")
    assert len(page) < 120
    assert page.endswith("[cut: open a class or function of it by name]")
