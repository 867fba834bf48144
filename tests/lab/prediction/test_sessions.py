"""Recorded sessions, turn by turn."""

import hashlib
import json
from pathlib import Path

import pytest

from paste_proxy.errors import ConfigError
from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.lab.prediction.sessions import read_sessions, trace_files
from paste_proxy.predict.model import Call
from tests.lab.prediction.small import result, says, session, user
from tests.lab.virtual.service import recorded, written


def test_each_turn_brings_what_came_since_the_one_before(tmp_path: Path) -> None:
    one = session(
        tmp_path,
        {"role": "system", "content": "Be brief."},
        user("Look."),
        says("Two looks.", ("look", {"at": 1}), ("look", {"at": 2})),
        result(1, "b"),
        result(0, "a"),
        user("Well?"),
        says("Done."),
    )
    first, second = one.turns
    assert first.fresh == (Message("system", "Be brief."), Message("user", "Look."))
    assert [call.call for call in first.calls] == [Call("look", {"at": 1}), Call("look", {"at": 2})]
    asked = (MessageCall("0.0", "look", '{"at": 1}'), MessageCall("0.1", "look", '{"at": 2}'))
    assert second.fresh == (
        Message("assistant", "Two looks.", asked),
        Message("tool", "a", call_id="0.0"),
        Message("tool", "b", call_id="0.1"),
        Message("user", "Well?"),
    )
    assert (second.text, second.calls) == ("Done.", ())


def test_rationales_are_left_out_but_were_written(tmp_path: Path) -> None:
    call = ("look", {"at": 1, "reason": "to see"})
    kept, left = (
        session(tmp_path, says("", call), result(0, "a"), says("Done."), ignored=ignored)
        for ignored in ((), ("reason",))
    )
    assert left.turns[0].calls[0].call == Call("look", {"at": 1})
    assert left.turns[1].fresh[0].calls[0].arguments == '{"at": 1}'
    assert [one.compared for one in left.turns[0].calls[0].written] == [True, False]
    assert left.turns[0].characters == kept.turns[0].characters


def test_a_call_that_nobody_answered_has_no_result(tmp_path: Path) -> None:
    one = session(tmp_path, says("", ("look", {})), says("Done."))
    assert one.turns[0].calls[0].result is None
    assert [message.role for message in one.turns[1].fresh] == ["assistant"]


def test_a_task_is_in_the_fold_that_its_digest_says(tmp_path: Path) -> None:
    one = session(tmp_path, says("", ("look", {})))
    digest = int.from_bytes(hashlib.sha256(b"s0").digest(), "big")
    assert [one.fold(folds) for folds in (2, 5, 7)] == [digest % 2, digest % 5, digest % 7]


def test_the_files_of_a_folder_go_by_their_stems(tmp_path: Path) -> None:
    for name in ("b.jsonl.gz", "a.jsonl.gz", "c.csv.gz", "d.bin"):
        (tmp_path / name).touch()
    assert list(trace_files(tmp_path)) == ["a", "b"]
    assert trace_files(tmp_path, ["b"]) == {"b": tmp_path / "b.jsonl.gz"}
    assert trace_files(tmp_path / "a.jsonl.gz") == {"a": tmp_path / "a.jsonl.gz"}


def test_a_folder_without_traces_or_without_the_one_that_is_wanted_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no file \*\.jsonl\.gz"):
        trace_files(tmp_path)
    (tmp_path / "a.jsonl.gz").touch()
    with pytest.raises(ConfigError, match="has no b; it has a"):
        trace_files(tmp_path, ["a", "b"])


@pytest.mark.parametrize(
    ("line", "why"), [("{", "truncated"), ("[]", "object"), ('{"turns": []}', "session_id"), ("\xff", "")]
)
def test_a_line_that_is_no_session_is_told_with_its_place(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path, [recorded("s", [says("", ("look", {}))])])
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(ConfigError, match=rf"service\.jsonl: line 2 is no session: .*{why}"):
        read_sessions(path, ())


def test_arguments_are_compared_whatever_their_order(tmp_path: Path) -> None:
    [one] = session(tmp_path, says("", ("look", {"b": [1, {"d": 1, "c": 2}], "a": "ü"}))).turns
    assert json.loads(one.calls[0].canonical) == one.calls[0].call.arguments
    assert one.calls[0].canonical.index('"a"') < one.calls[0].canonical.index('"b"')
