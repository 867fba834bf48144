"""Files below one folder: list, read, find, grep. Shows options, fingerprints and isolated tools.

Nothing outside the root is reached: every path is walked component by component from a descriptor of the root
(openat with O_NOFOLLOW), so symbolic links are never followed, not even ones that are put in place during
the walk. Hard links and mounts below the root count as inside. Only regular files are opened.
"""

import contextlib
import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from paste_proxy.tools import ConfigError, Effect, Tool, ToolError, tool

SCOPE = frozenset({"files"})

READ_BYTES = 256 * 1024
"""Of one `files_read`: about 64k tokens, half of a large context."""
SCAN_BYTES = 64 * 1024 * 1024
"""Read of one file at most to reach a line: a fraction of a second."""
LINE_PIECE = 64 * 1024
"""Longer lines are searched piece by piece: minified files have lines of megabytes."""
LINE_SHOWN = 500
"""Characters of a matching line."""
WALK_ENTRIES = 100_000
"""Looked at by one `files_find` or `files_grep`: a large repository; takes about a second."""
WALK_DEPTH = 64
"""Folders below one another; each level of a walk holds one descriptor."""
TREE_AGE = 5.0
"""Seconds. Listings and searches have no fingerprint: nothing as cheap as a stat covers a tree."""
SECONDS = 30.0
"""For a call: what is bounded here takes about one, and a disk on a network may stall for some."""
RACY_NS = 50_000_000
"""A file changed so recently may change again within one tick of its file system's clock (4 to 10 ms)."""

RelativePath = Annotated[str, msgspec.Meta(description="Path relative to the root, with `/`; `.` is the root")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=5000, description="Largest number of results")]


class Options(msgspec.Struct, frozen=True):
    """The options of this plugin in the configuration."""

    root: Path


class Entry(msgspec.Struct):
    """One entry of a folder; `kind` is file, folder, link or other."""

    name: str
    kind: str
    size: int


class Listing(msgspec.Struct):
    entries: list[Entry]
    more: int
    """Entries left out."""


class Found(msgspec.Struct):
    paths: list[str]
    complete: bool
    """False where a limit ended the search."""


class Match(msgspec.Struct):
    path: str
    line: int
    text: str


class Matches(msgspec.Struct):
    matches: list[Match]
    complete: bool


def plugin(options: Options) -> list[Tool[..., Any]]:
    """The four tools over `options.root`."""
    root = options.root.resolve()
    if not root.is_dir():
        raise ConfigError(f"options.root: no such folder: {root}", param="root")
    tree = Tree(root)

    @tool(effect=Effect.READ, reads=SCOPE, max_age=TREE_AGE, timeout=SECONDS)
    def files_list(path: RelativePath = ".", limit: Limit = 1000) -> Listing:
        """List a folder: names in order, with kind (file, folder, link, other) and size in bytes."""
        return list_folder(tree, path, limit)

    @tool(
        effect=Effect.READ, reads=SCOPE, timeout=SECONDS, fingerprint=lambda path, **_: tree.fingerprint(path)
    )
    def files_read(
        path: RelativePath,
        first_line: Annotated[int, msgspec.Meta(ge=1, description="Line to begin with, from 1")] = 1,
        lines: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="Lines to read")] = 2000,
    ) -> str:
        """Read a text file, or some of its lines. A last line in brackets says where to go on, if cut."""
        return read_lines(tree, path, first_line, lines)

    @tool(effect=Effect.READ, reads=SCOPE, max_age=TREE_AGE, timeout=SECONDS)
    def files_find(
        pattern: Annotated[str, msgspec.Meta(max_length=200, description="Like `*.py` or `docs/*.md`")],
        path: RelativePath = ".",
        limit: Limit = 1000,
    ) -> Found:
        """Find files by name, in order. A pattern with `/` is compared with the whole path below `path`."""
        return find(tree, pattern, path, limit)

    @tool(effect=Effect.READ, reads=SCOPE, max_age=TREE_AGE, timeout=SECONDS, isolated=True)
    def files_grep(
        pattern: Annotated[str, msgspec.Meta(description="Python regular expression", max_length=1000)],
        path: RelativePath = ".",
        files: Annotated[str, msgspec.Meta(max_length=200, description="Only files whose name fits")] = "*",
        limit: Limit = 200,
    ) -> Matches:
        """Search the lines of text files for a regular expression; matches in order of path and line."""
        return grep(tree, pattern, path, files, limit)

    return [files_list, files_read, files_find, files_grep]


class Tree:
    """Opens what is below a root, and nothing else."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A descriptor of a folder below the root. Raises `ToolError`."""
        with _reporting(path):
            descriptor = self._open_folder(_parts(path))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """A regular file below the root. Raises `ToolError`."""
        *parents, name = _parts(path) or [""]
        if not name:
            raise ToolError(f"{path}: is a folder")
        with _reporting(path):
            parent = self._open_folder(parents)
            try:
                descriptor = open_regular(name, parent)
            finally:
                os.close(parent)
        with os.fdopen(descriptor, "rb") as handle:
            yield handle

    def fingerprint(self, path: str) -> tuple[str, ...]:
        """Changes whenever the file does. Raises where it can't be told: no such file, or changed just now."""
        *parents, name = _parts(path)
        parent = self._open_folder(parents)
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(parent)
        newest = max(status.st_mtime_ns, status.st_ctime_ns)
        if time.time_ns() - newest < RACY_NS:
            raise ToolError(f"{path}: changed a moment ago")
        fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return (path, *map(str, fields))

    def _open_folder(self, parts: list[str]) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._root, flags)
        for part in parts:
            try:
                below = os.open(part, flags, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor


def open_regular(name: str, parent: int) -> int:
    """Open a regular file of a folder. A fifo would hang, a device may act on being opened: looked at first,
    and once more after opening, without blocking, in case it was exchanged in between."""
    if not stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        raise ToolError(f"{name}: not a regular file")
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ToolError(f"{name}: not a regular file")
    return descriptor


def _parts(path: str) -> list[str]:
    if path.startswith("/"):
        raise ToolError(f"{path}: absolute; give the path relative to the root")
    if "\0" in path:
        raise ToolError("a path contains no NUL")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ToolError(f"{path}: `..` is not allowed; give the path relative to the root")
    return parts


@contextlib.contextmanager
def _reporting(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from error


def list_folder(tree: Tree, path: str, limit: int) -> Listing:
    with tree.folder(path) as folder, os.scandir(folder) as entries:
        known = sorted(entries, key=lambda entry: entry.name)
        shown = [_entry(entry) for entry in known[:limit]]
    return Listing(shown, more=len(known) - len(shown))


def _entry(entry: os.DirEntry[str]) -> Entry:
    if entry.is_symlink():
        kind = "link"
    elif entry.is_dir(follow_symlinks=False):
        kind = "folder"
    else:
        kind = "file" if entry.is_file(follow_symlinks=False) else "other"
    size = 0
    if kind == "file":
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            size = entry.stat(follow_symlinks=False).st_size
    return Entry(_shown(entry.name), kind, size)


def _shown(name: str) -> str:
    """A name that is no UTF-8 is no JSON text either."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_lines(tree: Tree, path: str, first_line: int, count: int) -> str:
    with tree.file(path) as handle:
        if _is_binary(handle):
            raise ToolError(f"{path}: a binary file of {os.fstat(handle.fileno()).st_size} bytes")
        _skip_lines(path, handle, first_line - 1)
        taken, size = 0, 0
        lines: list[bytes] = []
        while taken < count and size < READ_BYTES and (line := handle.readline(READ_BYTES)):
            lines.append(line)
            size += len(line)
            taken += line.endswith(b"\n")
        rest = handle.read(1)
    text = b"".join(lines).decode("utf-8", "replace")
    if not rest:
        return text
    if not taken:
        return f"{text}\n[cut: line {first_line} has more than {READ_BYTES} bytes]"
    text += "" if text.endswith("\n") else "\n"
    return f"{text}[cut: go on with first_line={first_line + taken}]"


def _is_binary(handle: BinaryIO) -> bool:
    """As git and grep tell it: a NUL near the beginning."""
    head = handle.read(8192)
    handle.seek(0)
    return b"\0" in head


def _skip_lines(path: str, handle: BinaryIO, count: int) -> None:
    scanned, skipped = 0, 0
    while skipped < count:
        piece = handle.readline(LINE_PIECE)
        if not piece:
            raise ToolError(f"{path}: has {skipped} lines")
        skipped += piece.endswith(b"\n")
        scanned += len(piece)
        if scanned > SCAN_BYTES:
            raise ToolError(f"{path}: line {count + 1} is beyond the first {SCAN_BYTES} bytes")


class Walk:
    """The files below a folder, each folder's before its subfolders', by name; `.git` is left out."""

    def __init__(self) -> None:
        self.complete = True

    def files(self, folder: int) -> Iterator[tuple[str, str, int]]:
        """(path relative to the folder, name, descriptor of the folder that holds it)."""
        left = WALK_ENTRIES
        for where, folders, names, descriptor in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
            deep = where.count("/") >= WALK_DEPTH
            self.complete &= not (deep and folders)
            folders[:] = [] if deep else sorted(set(folders) - {".git"})
            left -= len(names) + 1
            if left < 0:
                self.complete = False
                return
            for name in sorted(names):
                yield os.path.normpath(f"{where}/{name}"), name, descriptor


def find(tree: Tree, pattern: str, path: str, limit: int) -> Found:
    fits = re.compile(fnmatch.translate(pattern)).match
    walk = Walk()
    paths: list[str] = []
    with tree.folder(path) as folder:
        for relative, name, holder in walk.files(folder):
            if fits(relative if "/" in pattern else name) and _is_regular(name, holder):
                if len(paths) == limit:
                    walk.complete = False
                    break
                paths.append(_below(path, relative))
    return Found(paths, walk.complete)


def _is_regular(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _below(path: str, relative: str) -> str:
    return _shown("/".join([*_parts(path), relative]))


def grep(tree: Tree, pattern: str, path: str, files: str, limit: int) -> Matches:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ToolError(f"pattern: {error}") from error
    fits = re.compile(fnmatch.translate(files)).match
    walk = Walk()
    matches: list[Match] = []
    with tree.folder(path) as folder:
        for relative, name, holder in walk.files(folder):
            if not fits(name):
                continue
            for number, text in _matching_lines(expression, name, holder):
                if len(matches) == limit:
                    return Matches(matches, complete=False)
                matches.append(Match(_below(path, relative), number, text))
    return Matches(matches, walk.complete)


def _matching_lines(expression: re.Pattern[str], name: str, folder: int) -> Iterator[tuple[int, str]]:
    """(number, text) of each matching line; nothing of files that are binary, special or unreadable."""
    try:
        descriptor = open_regular(name, folder)
    except (OSError, ToolError):
        return
    with os.fdopen(descriptor, "rb") as handle:
        if _is_binary(handle):
            return
        number = 1
        while piece := handle.readline(LINE_PIECE):
            text = piece.decode("utf-8", "replace").rstrip("\r\n")
            if expression.search(text):
                yield number, text[:LINE_SHOWN]
            number += piece.endswith(b"\n")
