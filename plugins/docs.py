"""The installed Python's own documentation: search it, open a page. No network. Shows warm-up and isolation.

The search reads sources and imports nothing (but a few compiled modules that have none). Opening a page imports
the page's module, as `help()` does, which is why it happens in a worker process only; modules whose import
does more than define things are left out.
"""

import ast
import builtins
import fcntl
import gc
import hashlib
import importlib
import importlib.util
import inspect
import math
import os
import pydoc
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec

from paste_proxy.tools import Effect, ToolError, tool

INDEX_VERSION = 1
PAGE_CHARACTERS = 100_000
"""Of one page: about 25k tokens, above nearly all of them."""
TERMS = 16
"""Of a query; the rest says little."""
STOP_WORDS = frozenset(
    re.findall(
        r"[a-z]+",
        """
    a all an and any are as at be by can do for from get has have how i if in into is it its me my not of on
    one or python return returns set so that the their then there this to use using was what when where which
    with you""",
    )
)
"""Say nothing of what is wanted, and are in most summaries."""

EXCLUDED = frozenset(
    {"__hello__", "__phello__", "antigravity", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3"}
    | {"msilib", "nt", "nturl2path", "pydoc_data", "readline", "test", "this", "turtle", "turtledemo"}
    | {"winreg", "winsound", "asyncio.windows_events", "asyncio.windows_utils", "curses.has_key", "tkinter.tix"}
    | {"multiprocessing.popen_spawn_win32", "ctypes.wintypes", "importlib.metadata.DeprecatedTuple"}
)
"""Act when imported, change or list what else was imported, are none of this system's, or document nothing."""
COMPILED = (
    *("array", "binascii", "builtins", "cmath", "errno", "fcntl", "gc", "itertools"),
    *("math", "mmap", "select", "sys", "time", "unicodedata", "zlib"),
)
"""Without Python source, harmless to import."""

DAY = 86_400.0
SECONDS = 30.0
"""For a call. The first one builds the index, in two seconds, or ten where others keep the machine busy."""


class Page(msgspec.Struct, frozen=True, array_like=True):
    """A page that can be opened; `kind` is module, class, function or method."""

    name: str
    kind: str
    summary: str


class Hit(msgspec.Struct, frozen=True):
    """A page as the search shows it."""

    name: str
    kind: str
    summary: str


@tool(
    effect=Effect.READ,
    reads=(),
    max_age=DAY,
    retention=600.0,
    isolated=True,
    timeout=SECONDS,
    warm=lambda: search("", 1),
)
def docs_search(
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="What to look for")],
    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="Largest number of results")] = 10,
) -> list[Hit]:
    """Search the documentation of Python's standard library; the best pages first, to be opened by name."""
    return [Hit(page.name, page.kind, page.summary) for page in search(query, limit)]


@tool(effect=Effect.READ, reads=(), max_age=DAY, retention=600.0, isolated=True, timeout=SECONDS)
def docs_open(
    name: Annotated[
        str, msgspec.Meta(max_length=200, description="Dotted name, like `json.JSONDecoder.decode`")
    ],
) -> str:
    """Open the documentation of a module, class, function or method of Python's standard library."""
    return render(resolve(name))


# -- the index --------------------------------------------------------------------------------------------


@cache
def pages() -> tuple[Page, ...]:
    """All pages by name, read from a file of the user's cache or built: once per process."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paste-proxy"
    version = hashlib.sha256(f"{INDEX_VERSION} {sys.version} {_library()}".encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "docs.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one process builds, the others wait and read
            return _kept(folder / f"docs-{version}.json")
    except OSError:
        return build()  # nowhere to keep it


def _kept(file: Path) -> tuple[Page, ...]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[Page, ...])
    except (FileNotFoundError, msgspec.DecodeError):
        made = build()
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(made))
    draft.replace(file)
    return made


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def build() -> tuple[Page, ...]:
    """Read all sources of the standard library: about two seconds."""
    collecting = gc.isenabled()
    gc.disable()  # syntax trees are large and have no cycles: a quarter of the time
    try:
        found = [page for name, file in _sources() for page in _pages_of_source(name, file)]
    finally:
        if collecting:
            gc.enable()
    found += [page for name in COMPILED for page in _pages_of_module(importlib.import_module(name))]
    return tuple(sorted((page for page in found if page.name not in EXCLUDED), key=lambda page: page.name))


def _sources() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of each module of the standard library that has a source here."""
    for name in sorted(sys.stdlib_module_names - EXCLUDED):
        single, package = _library() / f"{name}.py", _library() / name
        for file in [single] if single.is_file() else sorted(package.rglob("*.py")):
            parts = file.relative_to(_library()).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            private = any(part.startswith("_") or part in ("test", "tests") for part in parts)
            if not private and ".".join(parts) not in EXCLUDED:
                yield ".".join(parts), file


def _pages_of_source(module: str, file: Path) -> Iterator[Page]:
    tree = ast.parse(file.read_bytes())
    yield Page(module, "module", _first_line(ast.get_docstring(tree, clean=False)))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _page_of_node(module, node, "function")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _page_of_node(module, node, "class")
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _page_of_node(f"{module}.{node.name}", inner, "method")


def _page_of_node(
    owner: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, kind: str
) -> Iterator[Page]:
    if not node.name.startswith("_"):
        yield Page(f"{owner}.{node.name}", kind, _first_line(ast.get_docstring(node, clean=False)))


def _pages_of_module(module: ModuleType) -> Iterator[Page]:
    yield Page(module.__name__, "module", _first_line(module.__doc__))
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or getattr(value, "__module__", module.__name__) != module.__name__:
            continue
        path = f"{module.__name__}.{name}"
        if inspect.isclass(value):
            yield Page(path, "class", _first_line(value.__doc__))
            for inner, method in sorted(vars(value).items()):
                if inspect.isroutine(method) and not inner.startswith("_"):
                    yield Page(f"{path}.{inner}", "method", _first_line(method.__doc__))
        elif inspect.isroutine(value):
            yield Page(path, "function", _first_line(value.__doc__))


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0].strip()[:200] if lines else ""


# -- the search -------------------------------------------------------------------------------------------


def search(query: str, limit: int) -> list[Page]:
    """Rare terms count more than frequent ones, names more than summaries; ties go to the shorter name."""
    texts = _searchable()
    scores: dict[int, float] = {}
    for term in _terms(query):
        stem = _stem(term)
        fits = [index for index, (_, text) in enumerate(texts) if stem in text]
        weight = math.log1p(len(texts) / (1 + len(fits)))
        for index in fits:
            scores[index] = scores.get(index, 0.0) + weight * _closeness(term, stem, texts[index][0])
    known = pages()
    best = sorted(scores, key=lambda index: (-round(scores[index], 6), len(known[index].name), index))
    return [known[index] for index in best[:limit]]


def _terms(query: str) -> list[str]:
    words = list(dict.fromkeys(re.findall(r"[a-z0-9]+", query.lower())))
    return ([word for word in words if word not in STOP_WORDS] or words)[:TERMS]


@cache
def _searchable() -> list[tuple[str, str]]:
    """(name, name and summary) of each page, in lower case."""
    return [(page.name.lower(), f"{page.name} {page.summary}".lower()) for page in pages()]


def _closeness(term: str, stem: str, name: str) -> float:
    if name == term or name.endswith(f".{term}"):
        return 4.0
    return 2.0 if stem in name else 1.0


def _stem(term: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s"):
        if term.endswith(ending) and len(term) - len(ending) >= 3:
            return term.removesuffix(ending)
    return term


# -- the pages --------------------------------------------------------------------------------------------


def resolve(name: str) -> Any:
    """The object of a dotted name of the standard library. Raises `ToolError`.

    Goes through modules and classes only, and through what they really hold: an attribute looked up on
    anything else may run code (`ctypes.cdll.x` would load a library).
    """
    parts = name.split(".")
    if parts[0] not in sys.stdlib_module_names and hasattr(builtins, parts[0]):
        parts = ["builtins", *parts]
    found, rest = _module(name, parts)
    for part in rest:
        if not (inspect.ismodule(found) or inspect.isclass(found)):
            raise ToolError(f"{name}: nothing is documented below a {type(found).__name__}")
        try:
            inspect.getattr_static(found, part)
            found = getattr(found, part)
        except AttributeError:
            raise ToolError(f"{name}: no such name") from None
    if inspect.ismodule(found):
        _check_allowed(name, found.__name__.split("."))
    return found


def _module(name: str, parts: list[str]) -> tuple[Any, list[str]]:
    """The innermost module of a dotted name, imported, and the parts that are left."""
    _check_allowed(name, parts)
    count = 1
    try:
        module = importlib.import_module(parts[0])
        while count < len(parts) and hasattr(module, "__path__") and parts[count].isidentifier():
            longer = ".".join(parts[: count + 1])
            if importlib.util.find_spec(longer) is None:
                break
            module = importlib.import_module(longer)
            count += 1
    except ImportError as error:
        raise ToolError(f"{name}: can't be imported here: {error}") from error
    return module, parts[count:]


def _check_allowed(name: str, parts: list[str]) -> None:
    prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    if parts[0] not in sys.stdlib_module_names or prefixes & EXCLUDED or "__main__" in parts:
        raise ToolError(f"{name}: not a documented name of the standard library")


class _Text(pydoc.TextDoc):
    """pydoc's plain text without the values of data: they differ between processes, and may be secret."""

    def bold(self, text: str) -> str:
        return text

    def docother(self, object: Any, name: str | None = None, *_: Any, **__: Any) -> str:  # noqa: A002
        return name or ""


def render(found: Any) -> str:
    """The page of an object: what `help()` prints, alike in every process."""
    if inspect.ismodule(found):
        vars(found).pop("__warningregistry__", None)  # there if an import warned
    text = pydoc.render_doc(found, title="%s", renderer=_Text())
    for secret in (os.environ, os.environb):  # the default of a parameter here and there
        text = text.replace(repr(secret), "os.environ")
    text = re.sub(r"[ |]*Built-in subclasses:\n(?:[ |]* {6}\S.*\n)+[ |]*\n", "", text)  # of those loaded so far
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    if len(text) > PAGE_CHARACTERS:
        return f"{text[:PAGE_CHARACTERS]}\n[cut: open a class or function of it by name]"
    return text
