"""The files plugin: what it shows of a folder, and that nothing outside is reached."""

import itertools
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.tools import Effect
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Run, RunClass, RunContext
from tests.plugins.conftest import Load

SECRET = "the secret outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder beside a secret, with links that lead out of it and in circles."""
    root = tmp_path / "root"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "src" / "b.py").write_text("import os\nprint('two')\n")
    (root / "src" / "deep" / "c.py").write_text("nothing")
    (root / ".git").mkdir()
    (root / ".git" / "two.py").write_text("two")
    (root / "binary").write_bytes(b"two\0\xff")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text(SECRET)
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "exit").symlink_to(tmp_path / "outside")
    (root / "src" / "up").symlink_to("../..")
    (root / "src" / "self").symlink_to(".")
    return root


@pytest.fixture
def tools(load: Load, root: Path) -> Registry:
    return load("files", root=str(root))


def test_all_are_reads_of_one_scope(tools: Registry) -> None:
    assert list(tools) == ["files_list", "files_read", "files_find", "files_grep"]
    for tool in tools.values():
        assert tool.spec.effect is Effect.READ
        assert tool.spec.reads == {"files"}
        assert tool.spec.description
    assert tools["files_read"].spec.has_fingerprint
    assert tools["files_grep"].isolated


def test_list(tools: Registry) -> None:
    listing = tools["files_list"]()
    assert [(entry.name, entry.kind, entry.size) for entry in listing.entries] == [
        (".git", "folder", 0),
        ("a.txt", "file", 14),
        ("binary", "file", 5),
        ("exit", "link", 0),
        ("link", "link", 0),
        ("src", "folder", 0),
    ]
    assert tools["files_list"]("src/", limit=1).more == 3


def test_read_whole_and_in_parts(tools: Registry) -> None:
    read = tools["files_read"]
    assert read("a.txt") == read("./a.txt") == read("a.txt", first_line=1, lines=3) == "one\ntwo\nthree\n"
    assert read("a.txt", first_line=2, lines=1) == "two\n[cut: go on with first_line=3]"
    assert read("a.txt", first_line=3) == "three\n"
    assert read("a.txt", first_line=4) == ""
    with pytest.raises(ToolError, match=r"a\.txt: has 3 lines"):
        read("a.txt", first_line=5)


def test_large_files_are_read_in_bounded_pieces(tools: Registry, root: Path) -> None:
    (root / "large").write_text("x" * 99 + "\n" * 1 + ("y" * 99 + "\n") * 9999)
    text, _, note = tools["files_read"]("large", lines=100_000).rpartition("\n")
    assert 256 * 1024 <= len(text) < 257 * 1024
    assert note == f"[cut: go on with first_line={text.count(chr(10)) + 2}]"
    (root / "one-line").write_text("z" * 300_000)
    assert tools["files_read"]("one-line").endswith("\n[cut: line 1 has more than 262144 bytes]")


def test_a_line_too_far_away_is_refused_in_time(tools: Registry, root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.write(b"text " * 2000)
        file.truncate(1 << 40)
    with pytest.raises(ToolError, match="beyond the first 67108864 bytes"):
        tools["files_read"]("sparse", first_line=2)


def test_find(tools: Registry) -> None:
    assert tools["files_find"]("*.py").paths == ["src/b.py", "src/deep/c.py"]
    assert tools["files_find"]("*.py", path="src/deep").paths == ["src/deep/c.py"]
    assert tools["files_find"]("src/d*/*").paths == ["src/deep/c.py"]
    assert tools["files_find"]("link").paths == []
    found = tools["files_find"]("*", limit=1)
    assert (found.paths, found.complete) == (["a.txt"], False)


def test_grep(tools: Registry) -> None:
    grep = tools["files_grep"]
    found = grep("t(w|hr)")
    assert [(m.path, m.line, m.text) for m in found.matches] == [
        ("a.txt", 2, "two"),
        ("a.txt", 3, "three"),
        ("src/b.py", 2, "print('two')"),
    ]
    assert found.complete
    assert [m.path for m in grep("two", files="*.py").matches] == ["src/b.py"]
    assert grep(".", limit=2).complete is False
    with pytest.raises(ToolError, match="pattern: "):
        grep("(")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../secret", "`..` is not allowed"),
        ("src/../../secret", "`..` is not allowed"),
        ("/etc/passwd", "absolute"),
        ("a\0b", "NUL"),
        ("link", "not a regular file"),
        ("exit/secret.py", "Not a directory"),
        ("src/up/secret", "Not a directory"),
        ("src/self/b.py", "Not a directory"),
        ("gone", "No such file"),
        ("a.txt/x", "Not a directory"),
        ("src", "not a regular file"),
        (".", "is a folder"),
        ("", "is a folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_is_not_read(tools: Registry, path: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        tools["files_read"](path)


def test_binary_files_are_refused(tools: Registry) -> None:
    with pytest.raises(ToolError, match="binary: a binary file of 5 bytes"):
        tools["files_read"]("binary")


def test_special_files_neither_hang_nor_act(tools: Registry, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        for name in ("fifo", "socket"):
            with pytest.raises(ToolError, match="not a regular file"):
                tools["files_read"](name)
        assert {e.name: e.kind for e in tools["files_list"]().entries}["fifo"] == "other"
        assert "fifo" not in tools["files_find"]("*").paths
        assert tools["files_grep"]("two").complete


def test_names_that_are_no_text_are_shown_all_the_same(tools: Registry, root: Path) -> None:
    (root / os.fsdecode(b"bad-\xff")).write_text("two")
    assert "bad-\\xff" in [entry.name for entry in tools["files_list"]().entries]
    assert "bad-\\xff" in tools["files_find"]("bad*").paths


PARTS = st.sampled_from(
    ["..", ".", "", "src", "up", "self", "exit", "link", "secret", "secret.py", "b.py", "...", "~"]
)
PATHS = st.lists(PARTS, max_size=7).map("/".join) | st.text(max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=PATHS, name=st.sampled_from(["files_list", "files_read", "files_find", "files_grep"]))
@example(path="src/up/secret", name="files_read")
@example(path="exit", name="files_list")
def test_no_path_leads_out(tools: Registry, path: str, name: str) -> None:
    arguments: dict[str, Any] = {"path": path}
    if name in ("files_find", "files_grep"):
        arguments["pattern"] = "*" if name == "files_find" else "."
    try:
        shown = repr(tools[name](**arguments))
    except ToolError:
        return
    assert SECRET not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(("exchanged", "outside"), [("swap", "outside"), ("swap/secret.py", "secret")])
def test_a_link_put_in_place_meanwhile_is_not_followed(
    tools: Registry, root: Path, tmp_path: Path, exchanged: str, outside: str
) -> None:
    """A folder, or a file, becomes a link to the outside: before each question in turn that a read asks."""
    seen = []
    asked = moment = 0
    while asked >= moment:
        (root / "swap").mkdir()
        (root / "swap" / "secret.py").write_text("inside")
        text, asked = _meddled(tools, moment, root / exchanged, tmp_path / outside)
        seen.append(text)
        (root / "swap").rename(tmp_path / f"swapped {moment}")
        moment += 1
    assert SECRET not in seen
    assert seen[-1] == "inside", "by then it was too late to exchange anything"
    assert len(seen) > len(("root", "folder", "is it a file", "file", "is it still"))


def _meddled(tools: Registry, moment: int, victim: Path, outside: Path) -> tuple[str, int]:
    """What is read of swap/secret.py, and how many questions were asked of the system."""
    questions = itertools.count()

    def meddling(real: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            if next(questions) == moment:
                victim.rename(f"{outside} exchanged {moment}")
                victim.symlink_to(outside)
            return real(*arguments, **named)

        return ask

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "stat", "fstat"):
            patch.setattr(os, name, meddling(getattr(os, name)))
        text = _attempt(tools, "swap/secret.py")
    return text, next(questions)


def _attempt(tools: Registry, path: str) -> str:
    try:
        text: str = tools["files_read"](path)
    except ToolError as error:
        return error.message
    return text


def _fingerprint(tools: Registry, path: str) -> bytes | None:
    return LocalExecutor(tools).fingerprint("files_read", {"path": path})


def _age(path: Path) -> None:
    """Wait until a file may have a fingerprint: until its last change is 50 ms ago."""
    while time.time_ns() - path.stat().st_ctime_ns < 60_000_000:
        time.sleep(0.005)


def test_a_fingerprint_changes_with_the_file(tools: Registry, root: Path) -> None:
    file = root / "a.txt"
    _age(file)
    first = _fingerprint(tools, "a.txt")
    assert first is not None
    assert first == _fingerprint(tools, "a.txt")
    status = file.stat()
    file.write_text("ONE\nTWO\nTHREE\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, and the same time claimed
    _age(file)
    assert first != _fingerprint(tools, "a.txt")
    replacement = root / "new"
    replacement.write_text("one\ntwo\nthree\n")
    second = _fingerprint(tools, "a.txt")
    replacement.rename(file)
    assert second != _fingerprint(tools, "a.txt")


def test_a_file_just_changed_or_gone_has_no_usable_fingerprint(
    tools: Registry, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "fresh").write_text("x")
    written = (root / "fresh").stat().st_ctime_ns
    monkeypatch.setattr(time, "time_ns", lambda: written)
    assert _fingerprint(tools, "fresh") != _fingerprint(tools, "fresh")
    assert _fingerprint(tools, "gone") != _fingerprint(tools, "gone")
    assert _fingerprint(tools, "../secret") != _fingerprint(tools, "../secret")


def test_a_root_that_is_no_folder_is_a_configuration_error(load: Load, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"options\.root: no such folder"):
        load("files", root=str(root / "a.txt"))


async def test_a_hopeless_pattern_holds_up_nobody(tools: Registry, root: Path) -> None:
    """The regular expression is matched in another process, which a cancel kills."""
    import asyncio

    (root / "a.txt").write_text("a" * 60 + "b")
    executor = LocalExecutor(tools, workers=1)
    run = Run("1", "files_grep", {"pattern": "(a+)+$"}, RunContext("", ""), RunClass.AUTHORITATIVE)
    await executor.run(Run("0", "files_list", {}, run.context, run.run_class), lambda: None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(executor.run(run, lambda: None), 0.5)
    await executor.close()
