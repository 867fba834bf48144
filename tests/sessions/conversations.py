"""Conversations as clients of each API have them: replies as engines send them, histories as SDKs keep them."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.dialects import read_reply, stream_reader
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent, ReplyNamed, TurnEnded
from paste_proxy.grammar.requests import MessageCall
from tests.grammar.dialects.written import WRITERS, Call, Said, Words


class Habits(NamedTuple):
    """What clients do to what they got."""

    keep_reasoning: bool
    trim: bool
    in_parts: bool
    """Content as a list of parts, not as a text."""
    javascript: bool
    """Numbers are doubles."""
    stream: bool


class Turn(NamedTuple):
    said: Said
    then: str
    """What the user says after the reply and its calls' results; may be empty if there are results."""
    habits: Habits


def kept(said: Said, habits: Habits) -> list[Words | Call]:
    items = [one for one in said.items if habits.keep_reasoning or not is_reasoning(one)]
    return [trimmed(one) if habits.trim and isinstance(one, Words) else one for one in items]


def trimmed(words: Words) -> Words:
    return words._replace(pieces=[f" {words.text}\n\n"])


def is_reasoning(item: Words | Call) -> bool:
    return isinstance(item, Words) and item.kind == "reasoning"


def result_of(call: Call) -> str:
    return f"result of {call.call_id}"


def calls_of(said: Said) -> list[Call]:
    return [item for item in said.items if isinstance(item, Call)]


def rewritten(arguments: str, habits: Habits) -> Any:
    """Arguments that went through an object."""
    value = json.loads(arguments or "{}")
    return whole_numbers(value) if habits.javascript else value


def whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def content(text: str, habits: Habits, kind: str = "text") -> Any:
    return [{"type": kind, "text": text}] if habits.in_parts else text


def chat_start(text: str, habits: Habits) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "Help."}, {"role": "user", "content": text}]}


def chat_after(turn: Turn) -> list[dict[str, Any]]:
    items = kept(turn.said, turn.habits)
    texts = "".join(one.text for one in items if isinstance(one, Words) and one.kind == "content")
    message: dict[str, Any] = {"role": "assistant", "content": content(texts, turn.habits) if texts else None}
    if made := calls_of(turn.said):
        message["tool_calls"] = [
            {"id": one.call_id, "function": {"name": one.name, "arguments": one.arguments}} for one in made
        ]
    results = [{"role": "tool", "tool_call_id": one.call_id, "content": result_of(one)} for one in made]
    asked = [{"role": "user", "content": turn.then}] if turn.then else []
    return [message, *results, *asked]


def responses_start(text: str, habits: Habits) -> dict[str, Any]:
    return {
        "instructions": "Help.",
        "input": [{"role": "user", "content": content(text, habits, "input_text")}],
    }


def responses_after(turn: Turn) -> list[dict[str, Any]]:
    items = [responses_item(one, turn.habits) for one in kept(turn.said, turn.habits)]
    results = [
        {"type": "function_call_output", "call_id": one.call_id, "output": content(result_of(one), turn.habits)}
        for one in calls_of(turn.said)
    ]
    asked = [{"type": "message", "role": "user", "content": turn.then}] if turn.then else []
    return [*items, *results, *asked]


def responses_item(item: Words | Call, habits: Habits) -> dict[str, Any]:
    if isinstance(item, Call):
        return {
            "type": "function_call",
            "call_id": item.call_id,
            "name": item.name,
            "arguments": item.arguments or "{}",
        }
    if is_reasoning(item):
        return {"type": "reasoning", "id": "rs", "summary": [], "content": None}
    parts = [{"type": "output_text", "text": item.text, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": parts if habits.in_parts else item.text}


def messages_start(text: str, habits: Habits) -> dict[str, Any]:
    cached = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Help.", **cached}] if habits.in_parts else "Help."
    return {"system": system, "messages": [{"role": "user", "content": content(text, habits)}]}


def messages_after(turn: Turn) -> list[dict[str, Any]]:
    blocks = [block(one, turn.habits) for one in kept(turn.said, turn.habits)]
    answers: list[dict[str, Any]] = [
        {"type": "tool_result", "tool_use_id": one.call_id, "content": content(result_of(one), turn.habits)}
        for one in calls_of(turn.said)
    ]
    if turn.then:
        answers.append({"type": "text", "text": turn.then})
    return [{"role": "assistant", "content": blocks}, {"role": "user", "content": answers}]


def block(item: Words | Call, habits: Habits) -> dict[str, Any]:
    if isinstance(item, Call):
        given = rewritten(item.arguments, habits)
        return {"type": "tool_use", "id": item.call_id, "name": item.name, "input": given}
    kind = "thinking" if is_reasoning(item) else "text"
    return {"type": kind, kind: item.text}


class Spoken(NamedTuple):
    """An API with a history of messages: the first request's body, and what is added after a turn."""

    api: Api
    start: Callable[[str, Habits], dict[str, Any]]
    after: Callable[[Turn], list[dict[str, Any]]]
    history: str
    """The body's key for it."""


SPOKEN = (
    Spoken(Api.CHAT, chat_start, chat_after, "messages"),
    Spoken(Api.RESPONSES, responses_start, responses_after, "input"),
    Spoken(Api.MESSAGES, messages_start, messages_after, "messages"),
)


class Heard(NamedTuple):
    """What the core hears of a reply."""

    text: str
    calls: list[MessageCall]
    ended: bool
    reply_id: str


def hear(api: Api, said: Said, *, stream: bool, reply_id: str = "resp_1") -> Heard:
    written = next(write for one, write in WRITERS.values() if one is api)(said)
    body = (written.stream if stream else written.whole).replace(b"resp_1", reply_id.encode())
    events: list[GrammarEvent] = []
    if stream:
        reader = stream_reader(api)
        events += reader.feed(body)
        events += reader.end()
    else:
        events += read_reply(api, body)
    sealed = sorted((one for one in events if isinstance(one, CallSealed)), key=lambda one: one.ordinal)
    return Heard(
        "".join(one.text for one in events if isinstance(one, ContentText)),
        [MessageCall(one.call_id, one.name, one.arguments) for one in sealed],
        any(isinstance(one, TurnEnded) for one in events),
        next((one.reply_id for one in events if isinstance(one, ReplyNamed)), ""),
    )
