"""Chat completions of a real SGLang through the proxy, seen by the official SDK: as without the proxy."""

from typing import Any

import openai
import pytest

from paste_proxy.lab.sglang_server import call_markup, saying
from tests.conformance.support import ENGINE_TEST, MODEL, SEARCH, Reply

pytestmark = ENGINE_TEST

QUESTION = "What does asyncio offer for streams?"
TEXT = 'It has readers and writers: see "Streams", naïve ☃ 😀.\nThat is (nearly) all \\ [1].'
ARGUMENTS = ['{"query": "asyncio.é 😀: readers, writers, servers and their limits"}', '{"query": "b"}']
CALLS = "\n".join(("I will look.", *(call_markup("search", arguments) for arguments in ARGUMENTS)))


def request(text: str, **changes: Any) -> dict[str, Any]:
    """A chat request to which the engine answers `text`."""
    fields = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "tools": [SEARCH]}
    return fields | {"extra_body": saying(text)} | changes


async def streamed(sdk: openai.AsyncOpenAI, text: str, **changes: Any) -> Reply:
    fields = request(text, stream=True, stream_options={"include_usage": True}, **changes)
    return await Reply().read(await sdk.chat.completions.create(**fields))


async def test_text(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**request(TEXT))
    choice = answer.choices[0]
    assert choice.message.content == TEXT
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 10


async def test_streamed_text_with_usage(client: openai.AsyncOpenAI) -> None:
    reply = await streamed(client, TEXT)
    assert reply.text == TEXT
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.completion_tokens > 10


async def test_no_usage_unless_asked_for(client: openai.AsyncOpenAI) -> None:
    reply = await Reply().read(await client.chat.completions.create(**request(TEXT, stream=True)))
    assert (reply.text, reply.usage) == (TEXT, None)


async def test_tool_calls(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**request(CALLS))
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [call.function.name for call in calls] == ["search", "search"]
    assert [call.function.arguments for call in calls] == ARGUMENTS


async def test_streamed_tool_calls_arrive_in_pieces(client: openai.AsyncOpenAI) -> None:
    reply = await streamed(client, CALLS)
    assert reply.text.strip() == "I will look."
    assert reply.finish_reason == "tool_calls"
    assert [call.name for call in reply.calls] == ["search", "search"]
    assert [call.arguments for call in reply.calls] == ARGUMENTS
    assert len({call.id for call in reply.calls}) == 2
    assert reply.calls[0].pieces > 3


@pytest.mark.parametrize("text", [TEXT, CALLS], ids=["text", "calls"])
async def test_the_proxy_changes_nothing(
    client: openai.AsyncOpenAI, direct: openai.AsyncOpenAI, text: str
) -> None:
    await streamed(direct, text)  # so that both find the prompt in the engine's cache
    expected = await streamed(direct, text)
    assert (await streamed(client, text)).meaning() == expected.meaning()


async def test_a_client_s_own_rid_is_kept(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**request(TEXT, extra_body=saying(TEXT) | {"rid": "mine-1"}))
    assert answer.id == "mine-1"


async def test_tool_results_go_back(client: openai.AsyncOpenAI) -> None:
    reply = await streamed(client, CALLS)
    asked = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.calls
    ]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "a page"} for call in reply.calls]
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": reply.text, "tool_calls": asked},
        *results,
    ]
    assert (await streamed(client, TEXT, messages=messages)).text == TEXT


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"messages": [{"role": "nobody", "content": ""}]},
        {"extra_body": {"top_p": 7}},
        {"messages": [{"role": "user", "content": "too long " * 40_000}]},
    ],
    ids=["no messages", "bad role", "bad number", "too long"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_errors_are_the_engine_s(
    client: openai.AsyncOpenAI,
    direct: openai.AsyncOpenAI,
    changes: dict[str, Any],
    stream: bool,
) -> None:
    expected = await refused(direct, stream=stream, **changes)
    answer = await refused(client, stream=stream, **changes)
    assert expected[0] == 400
    assert answer == expected


async def test_an_error_inside_a_stream_is_the_engine_s(
    client: openai.AsyncOpenAI, direct: openai.AsyncOpenAI
) -> None:
    """SGLang compiles an expression after it has begun to answer: the status is 200, an event is the error."""
    bodies = []
    for sdk in (direct, client):
        with pytest.raises(openai.APIError, match="Failed to compile regex") as caught:
            await streamed(sdk, "x", extra_body={"regex": "("})
        bodies.append(caught.value.body)
    assert bodies[0] == bodies[1]


async def test_an_unknown_model_is_treated_as_the_engine_treats_it(
    client: openai.AsyncOpenAI, direct: openai.AsyncOpenAI
) -> None:
    expected = await streamed(direct, TEXT, model="unknown")
    assert (await streamed(client, TEXT, model="unknown")).text == expected.text


async def refused(sdk: openai.AsyncOpenAI, **changes: Any) -> tuple[int, object]:
    """Status and body of the error, as the SDK raises it."""
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(**request("x", **changes))
    return caught.value.status_code, caught.value.body
