"""The two APIs that give plain text: `/v1/completions` and SGLang's `/generate`."""

import json
from typing import Any

import pytest

from paste_proxy.grammar.dialects import Api
from paste_proxy.grammar.events import ContentText, GrammarEvent, TurnEnded, Usage, UsageReported
from tests.grammar.dialects.support import DONE, event, faults, read, read_whole, recording, text


def choice(content: str | None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "text": content, "logprobs": None, "finish_reason": finish, "matched_stop": None}


def chunk(*choices: dict[str, Any], **fields: Any) -> bytes:
    return event({"id": "r", "object": "text_completion", "choices": list(choices), "usage": None, **fields})


USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}
SAID = [ContentText("to be"), TurnEnded("stop"), UsageReported(Usage(2, 3, 1))]


def test_a_recorded_completion_of_sglang() -> None:
    assert read(Api.COMPLETIONS, recording("completions_text.sse")) == [
        ContentText("Bonjour à tous, \ufffd"),
        TurnEnded("length"),
        UsageReported(Usage(2, 12, 0)),
    ]


def test_a_completion() -> None:
    stream = [chunk(choice("to ")), chunk(choice("be")), chunk(choice("", "stop")), chunk(usage=USAGE), DONE]
    assert read(Api.COMPLETIONS, *stream) == SAID
    assert read_whole(Api.COMPLETIONS, {"choices": [choice("to be", "stop")], "usage": USAGE}) == SAID


def test_usage_in_every_chunk_counts_at_the_end() -> None:
    counts = [{**USAGE, "completion_tokens": count} for count in (1, 2, 3)]
    stream = [chunk(choice("to "), usage=counts[0]), chunk(choice("be"), usage=counts[1])]
    assert read(Api.COMPLETIONS, *stream, chunk(choice("", "stop"), usage=counts[2]), DONE) == SAID


def test_only_the_first_choice_of_a_completion_is_read() -> None:
    stream = [
        chunk(choice("no", index=1), choice("yes")),
        chunk(choice(None, "stop", 1)),
        chunk(choice("", "length")),
    ]
    assert read(Api.COMPLETIONS, *stream) == [ContentText("yes"), TurnEnded("length")]


def test_errors_of_completions() -> None:
    error = {"error": {"message": "no", "code": 400}}
    assert read(Api.COMPLETIONS, chunk(choice("a")), event(error), DONE) == [
        ContentText("a"),
        TurnEnded("error"),
    ]
    assert read_whole(Api.COMPLETIONS, {"object": "error", "message": "no"}) == [TurnEnded("error")]
    assert len(faults(read(Api.COMPLETIONS, event({"choices": 3}), chunk(choice("", "stop"))))) == 1


def generated(
    content: str | None, tokens: int, ids: Any = None, finish: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    meta = {
        "prompt_tokens": 2,
        "completion_tokens": tokens,
        "cached_tokens": 1,
        "finish_reason": finish,
        "id": "r",
    }
    return {"text": content, "output_ids": ids, "meta_info": meta, **fields}


STOP = {"type": "stop", "matched": 2}


def generate(*replies: dict[str, Any]) -> list[GrammarEvent]:
    return read(Api.GENERATE, *map(event, replies), DONE)


def test_recorded_texts_of_generate() -> None:
    said = [ContentText("Bonjour à tous, ça va?"), TurnEnded("stop"), UsageReported(Usage(2, 18, 1))]
    assert read(Api.GENERATE, recording("generate_text.sse")) == said


def test_the_modes_of_generate_where_the_text_does_not_tell_them_apart() -> None:
    said = [ContentText("ab" * 20), TurnEnded("stop"), UsageReported(Usage(2, 21, 1))]
    assert read(Api.GENERATE, recording("generate_repeating.sse")) == said
    assert read(Api.GENERATE, recording("generate_incremental.sse")) == said
    assert read_whole(Api.GENERATE, recording("generate_repeating.json")) == said


def test_several_tokens_in_an_event() -> None:
    whole = [
        generated("a", 1, [1]),
        generated("aaab", 4, [1, 1, 1, 2]),
        generated("aaab", 5, [1, 1, 1, 2, 0], STOP),
    ]
    assert text(generate(*whole)) == "aaab"
    news = [generated("a", 1, [1]), generated("aab", 4, [1, 1, 2]), generated("", 4, [], STOP)]
    assert text(generate(*news)) == "aaab"


def test_a_first_event_without_tokens_decides_nothing() -> None:
    news = [
        generated("", 0, []),
        generated("a", 1, [1]),
        generated("ab", 3, [1, 2]),
        generated("", 4, [0], STOP),
    ]
    assert text(generate(*news)) == "aab"
    whole = [generated("", 0, []), generated("a", 1, [1]), generated("ab", 2, [1, 2], STOP)]
    assert text(generate(*whole)) == "ab"


def test_without_ids_the_text_is_all_there_is_so_far() -> None:
    assert text(generate({"text": "a"}, {"text": "ab"}, generated("abc", 3, None, STOP))) == "abc"
    events = generate({"text": "ab"}, {"text": "cd"}, generated("abcd", 3, None, STOP))
    assert faults(events) == ["the text does not go on where it was"]


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
def test_how_a_generated_text_ends(reason: str) -> None:
    expected = [ContentText("to be"), TurnEnded(reason), UsageReported(Usage(2, 3, 1))]
    reply = generated("to be", 3, [1, 2, 0], {"type": reason})
    assert generate(generated("to ", 1, [1]), reply) == expected
    assert read_whole(Api.GENERATE, reply) == expected


def test_errors_of_generate() -> None:
    assert read(Api.GENERATE, recording("generate_error.sse")) == [TurnEnded("error")]
    assert read_whole(Api.GENERATE, {"error": {"message": "no"}}) == [TurnEnded("error")]


def test_several_replies_to_one_request_are_not_read() -> None:
    for events in (
        read(Api.GENERATE, recording("generate_two.sse")),
        read_whole(Api.GENERATE, [generated("a", 1, [1], STOP)]),
        generate(generated("a", 1, [1], index=0), generated("b", 1, [1], STOP, index=0)),
    ):
        assert len(faults(events)) == len(events) == 2
        assert faults(events)[1] == "the reply ended before the model did"


def test_what_cannot_be_read() -> None:
    some: list[Any] = [
        {"text": ["a"]},
        {"text": "a", "meta_info": []},
        [],
        {"meta_info": {"finish_reason": "stop"}},
    ]
    for broken in some:
        events = read(Api.GENERATE, event(broken), event(generated("a", 1, [1], STOP)))
        assert len(faults(events)) == 1
        assert TurnEnded("stop") in events


def test_ids_without_text_say_nothing() -> None:
    assert generate(generated(None, 1, [1]), generated(None, 2, [1, 2], STOP)) == [
        TurnEnded("stop"),
        UsageReported(Usage(2, 2, 1)),
    ]


def test_a_text_that_every_event_repeats_is_told_once() -> None:
    reply = json.dumps(generated("x" * 1000, 1000, [1] * 1000))
    events = read(
        Api.GENERATE, *[f"data: {reply}\n\n".encode()] * 50, event(generated("x" * 1000, 1000, None, STOP))
    )
    assert text(events) == "x" * 1000
