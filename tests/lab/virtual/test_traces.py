"""Files of traces: what is read, what is refused and how it is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.traces import read_traces, source_name, trace_file
from tests.lab.virtual.service import recorded, session, written


@pytest.mark.parametrize("name", ["service.jsonl", "service.jsonl.gz"])
def test_reads_sessions_plain_and_packed(tmp_path: Path, name: str) -> None:
    [first, second] = read_traces(written(tmp_path, [session(1), session(2)], name))
    assert (first.name, second.task) == ("service/session 1", "session 2")
    assert first.tools == ("get_user", "get_order", "cancel_order")
    assert len(first.read().turns) == 15


def test_tools_are_listed_by_name_or_by_schema(tmp_path: Path) -> None:
    tools = ["search", {"name": "open"}, {"type": "function", "function": {"name": "close"}}]
    [trace] = read_traces(written(tmp_path, [{**session(1), "tools": tools}]))
    assert trace.tools == ("search", "open", "close", "get_user", "get_order", "cancel_order")
    assert trace.offered == ("search", "open", "close")


def test_sessions_of_one_domain_are_a_group(tmp_path: Path) -> None:
    sessions = [{**session(1), "meta": {"domain": "retail"}}, session(2)]
    assert [trace.group for trace in read_traces(written(tmp_path, sessions))] == ["service/retail", "service"]


def test_a_session_in_which_no_model_speaks_is_left_out(tmp_path: Path) -> None:
    greeting, user = {"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Hello."}
    silent = [recorded("greeted", [greeting, user]), recorded("asked", [user]), recorded("empty", [])]
    [trace] = read_traces(written(tmp_path, [*silent, session(1)]))
    assert trace.session_id == "session 1"
    with pytest.raises(ConfigError, match=r"service\.jsonl has 3 sessions, but a model speaks in none of them"):
        read_traces(written(tmp_path, silent))


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"service\.jsonl\.gz is empty"):
        read_traces(written(tmp_path, [], "service.jsonl.gz"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Input data was truncated"),
        ('{"turns": []}', "session_id"),
        (json.dumps(recorded("s", [{"content": "no role"}])), "role"),
        (json.dumps(recorded("s", [{"role": "assistant", "content": 7}])), r"content"),
        (json.dumps(recorded("s", [{"role": "assistant", "tool_calls": [{"name": ""}]}])), r"name"),
        (
            json.dumps(
                recorded("s", [{"role": "assistant", "tool_calls": [{"name": "a", "arguments": "{}"}]}])
            ),
            "arguments",
        ),
        (json.dumps(recorded("s", [], tools=[7])), r"tools"),
        (
            json.dumps(
                recorded(
                    "s", [{"role": "assistant", "tool_calls": [{"name": "a", "arguments": {"x": "deep"}}]}]
                )
            ).replace('"deep"', "[" * 5000 + "]" * 5000),
            "maximum recursion depth",
        ),
    ],
)
def test_a_line_that_is_no_session_is_told_with_its_place(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(f"{json.dumps(session(1))}\n\n{line}\n")
    with pytest.raises(ConfigError, match=rf"odd\.jsonl: line 3 is no session: .*{why}"):
        read_traces(path)


@pytest.mark.parametrize("tool", [{}, {"name": 7}, {"function": "search"}, ""])
def test_a_tool_without_a_name_is_told_with_its_place(tmp_path: Path, tool: Any) -> None:
    path = written(tmp_path, [session(1), {**session(2), "tools": [tool]}])
    with pytest.raises(ConfigError, match=r"service\.jsonl: line 2 lists a tool without a name"):
        read_traces(path)


@pytest.mark.parametrize("data", [None, b"not gzip at all", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03cut"])
def test_a_file_that_can_t_be_read_is_told(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "odd.jsonl.gz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match="can't be read"):
        read_traces(path)


def test_a_source_is_looked_for_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--traces or PASTE_TRACES"):
        trace_file("service", None)
    with pytest.raises(ConfigError, match=r"has no service\.jsonl\.gz and no service\.jsonl"):
        trace_file("service", tmp_path)
    path = written(tmp_path, [session(1)])
    assert trace_file("service", tmp_path) == path


def test_a_file_of_traces_is_known_by_its_suffix() -> None:
    assert source_name(Path("a/tau.jsonl.gz")) == "tau"
    assert source_name(Path("a/tau.jsonl")) == "tau"
    assert source_name(Path("a/tau.json")) == ""
