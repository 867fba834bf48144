"""What a recorded session becomes: sizes, times, and who says what when."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.lab.virtual.recorded import Session
from paste_proxy.lab.virtual.replay import LONGEST_S, Times, load_replays, session_of
from paste_proxy.lab.virtual.traces import read_traces
from paste_proxy.lab.virtual.world import Said
from paste_proxy.lab.workload import load_workload
from tests.lab.virtual.service import recorded, written

ENGINE = load_workload().engine
CALL = {"id": "c", "name": "get_user", "arguments": {"user_id": "ann"}}
USER = {"role": "user", "content": "I am ann."}


@pytest.fixture
def built(tmp_path: Path) -> Any:
    """A session out of messages."""
    return partial(_built, tmp_path)


def _built(folder: Path, *turns: dict[str, Any], times: str = "file") -> Session:
    [trace] = read_traces(written(folder, [recorded("s", turns)]))
    replays = load_replays()
    replay = replays.of[times]
    specs = {tool: replay.spec(tool) for tool in trace.tools}
    return session_of(trace, Times(replay, replays.user_seconds), specs)


def says(text: str = "", *calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": list(calls), **fields}


def result(text: str = "ok", call_id: str = "c", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": call_id, **fields}


# -- the model's turns ------------------------------------------------------------------------------------


def test_a_turn_takes_its_recorded_time_on_the_stated_engine_alone(built: Any) -> None:
    session = built({**USER, "ts": 10.0}, says("x" * 400, ts=14.0))
    prompt = sum(said.tokens for said in session.opening)
    tokens = sum(session.turns[0].tokens)
    seconds = prompt / ENGINE.prefill_tokens_per_s + tokens / ENGINE.decode_tokens_per_s_one_request
    assert seconds == pytest.approx(4.0, abs=1 / ENGINE.decode_tokens_per_s_one_request)
    assert session.turns[0].kept == 100


def test_a_turn_without_a_time_is_as_long_as_its_tokens_or_as_one_of_the_research_workload(built: Any) -> None:
    turns = USER, says("x" * 400, usage={"completion_tokens": 170})
    counted, drawn = built(*turns), built(*turns, times="assistant")
    assert sum(counted.turns[0].tokens) == 170 == counted.turns[0].kept
    assert sum(drawn.turns[0].tokens) > 170 == drawn.turns[0].kept


def test_usage_that_counts_less_than_what_stands_there_is_not_believed(built: Any) -> None:
    session = built(USER, says("x" * 400, usage={"completion_tokens": 1}))
    assert session.turns[0].kept == 100


def test_reasoning_takes_time_but_no_place_in_later_prompts(built: Any) -> None:
    session = built(USER, says("x" * 400, reasoning="y" * 1200))
    assert session.turns[0].tokens == (300, 100)
    assert session.turns[0].kept == 100


def test_tokens_are_shared_by_what_is_written(built: Any) -> None:
    calls = [{**CALL, "id": place} for place in "ab"]
    turn = built(USER, says("x" * 120, *calls, ts=1.0), result(call_id="a"), result(call_id="b")).turns[0]
    reasoning, text, one, other = turn.tokens
    assert reasoning == 0
    assert text > one == pytest.approx(other, abs=1)


# -- before and between -----------------------------------------------------------------------------------


def test_a_prompt_that_was_not_recorded_is_known_by_its_size(built: Any) -> None:
    usage = {"prompt_tokens": 4_321}
    opening = built(USER, says("Hello.", usage=usage)).opening
    assert opening == (Said("system", "service for m, 4400 tokens", 4400), Said("user", "I am ann.", 3))
    assert built(USER, says("Hello.")).opening[0].tokens == load_workload().tokens.system_and_tools


def test_a_recorded_prompt_counts_its_tools_too(built: Any) -> None:
    system = {"role": "system", "content": "Be helpful."}
    opening = built(system, USER, says("Hello.", usage={"prompt_tokens": 950})).opening
    assert opening[0] == Said("system", "Be helpful.", 1000)


def test_a_greeting_is_no_turn_of_the_model(built: Any) -> None:
    session = built(says("Hi! How can I help?"), USER, says("Hello, ann."))
    assert [said.role for said in session.opening] == ["system", "assistant", "user"]
    assert [turn.text for turn in session.turns] == ["Hello, ann."]


def test_users_are_waited_for_as_recorded_and_nobody_answers_the_last_words(built: Any) -> None:
    first, last = built(
        USER, says("Hello.", ts=10.0), {**USER, "ts": 17.5}, says("Bye.", ts=18.0), {**USER, "ts": 30.0}
    ).turns
    assert (first.pause, first.interlude) == (7.5, (Said("user", "I am ann.", 3),))
    assert (last.pause, last.interlude) == (0.0, ())


def test_users_of_whom_no_time_is_known_take_the_stated_one(built: Any) -> None:
    pauses = {built(USER, *[says("Hello."), USER] * 9, says("Bye.")).turns[place].pause for place in range(9)}
    assert len(pauses) == 9
    assert 0.3 < min(pauses) < max(pauses) < 6


def test_what_users_do_with_their_own_tools_is_not_told(built: Any) -> None:
    quiet = {"role": "user", "content": "", "user_tool_calls": [{}], "ts": 11.0}
    phone = {"role": "user_tool", "content": "no signal", "ts": 11.0}
    turn = built(USER, says("Look.", ts=10.0), quiet, phone, {**USER, "ts": 12.0}, says("Bye.")).turns[0]
    assert (turn.pause, len(turn.interlude)) == (2.0, 1)


# -- tools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "seconds"),
    [({"ts": 12.5}, 2.5), ({"ts": 500.0}, LONGEST_S), ({"ts": 9.0}, 0.0), ({"tool_ms": 700}, 0.7)],
)
def test_tools_take_their_recorded_time_within_bounds(
    built: Any, ended: dict[str, Any], seconds: float
) -> None:
    [call] = built(USER, says("", CALL, ts=10.0), result(**ended)).turns[0].calls
    assert call.seconds == pytest.approx(seconds)


def test_a_call_takes_the_same_drawn_time_wherever_it_is_made(built: Any) -> None:
    write = {"id": "d", "name": "cancel", "arguments": {}}
    session = built(
        USER, says("", CALL, ts=1.0), result(ts=9.0), says("", CALL, write), result(), times="assistant"
    )
    [first], [again, other] = (turn.calls for turn in session.turns)
    assert first.seconds == again.seconds != other.seconds
    assert first.seconds != 8.0


def test_local_tools_take_no_time(built: Any) -> None:
    think = {"id": "c", "name": "think", "arguments": {"thought": "hm"}}
    [call] = built(USER, says("", think, ts=1.0), result(ts=9.0), times="assistant").turns[0].calls
    assert call.seconds == 0


def test_results_are_found_by_id_and_by_place_where_ids_say_nothing(built: Any) -> None:
    calls = [{**CALL, "id": call_id} for call_id in "ab"]
    by_id = built(USER, says("", *calls), result("of b", "b"), result("of a", "a"))
    assert [call.result for call in by_id.turns[0].calls] == ["of a", "of b"]
    by_place = built(USER, says("", CALL, CALL), result("first"), result("second"))
    assert [call.result for call in by_place.turns[0].calls] == ["first", "second"]


def test_a_call_that_ended_its_session_has_no_result(built: Any) -> None:
    [call] = built(USER, says("", CALL, ts=1.0), {"role": "exit", "content": "over"}).turns[0].calls
    assert call.result == ""
    assert 0 < call.seconds < 5


def test_which_tools_read_is_said_by_their_names() -> None:
    replays = load_replays().of
    reads = {name: replay.only_reads for name, replay in replays.items()}
    assert reads["assistant"]("get_order_details")
    assert not reads["assistant"]("cancel_reservation")
    assert reads["claude-code"]("Read")
    assert not reads["claude-code"]("Bash")
    assert not reads["coding"]("bash")
    assert not replays["assistant"].spec("think").reads
    assert replays["assistant"].spec("get_user_details").reads == {"*"}
    assert replays["assistant"].spec("book_reservation").writes == {"*"}
