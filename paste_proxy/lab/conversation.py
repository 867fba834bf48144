"""What an engine reads out of a request's messages: the task, the calls made so far and their results.

The policy keeps no state of its own. Whatever it knows of a task it knows from these messages, so a wrong
tool result, a lost message or an answer to another call shows in everything that the "model" says afterwards.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from paste_proxy.errors import RequestError

TASK_NUMBER = re.compile(r"\bTask (\d+)\b")


class WireFunction(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class WireCall(msgspec.Struct, frozen=True):
    id: str
    function: WireFunction


class WireMessage(msgspec.Struct, frozen=True):
    """A message of a chat request, as far as the policy reads it."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[WireCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class PastCall(msgspec.Struct, frozen=True):
    """A call of the history with the result that the model was shown."""

    call_id: str
    tool: str
    arguments: dict[str, Any]
    result: str


class Conversation(msgspec.Struct, frozen=True):
    """`chain[i]` digests messages 0..i; `turns` counts the model's messages so far."""

    task: int
    turns: int
    calls: tuple[PastCall, ...]
    chain: tuple[str, ...]

    @property
    def digest(self) -> str:
        return self.chain[-1]


def read_conversation(messages: Sequence[WireMessage]) -> Conversation:
    """Raises `RequestError` where the messages are not a research task's."""
    if not messages:
        raise RequestError("messages is empty", param="messages")
    return Conversation(
        task=_task(messages),
        turns=sum(message.role == "assistant" for message in messages),
        calls=tuple(_calls(messages)),
        chain=digest_chain(messages),
    )


def digest_chain(messages: Sequence[WireMessage]) -> tuple[str, ...]:
    """Hex digests of every prefix: roles, texts, calls with their arguments, and which call is answered.

    Ids count by the order of their calls, since engines draw them at random.
    """
    running = hashlib.sha256()
    order: dict[str, int] = {}
    chain = []
    for message in messages:
        calls = []
        for call in message.tool_calls or ():
            number = order.setdefault(call.id, len(order))
            calls.append((number, call.function.name, call.function.arguments))
        answered = None if message.tool_call_id is None else order.get(message.tool_call_id, -1)
        running.update(msgspec.json.encode((message.role, message.text, calls, answered)))
        chain.append(running.copy().hexdigest())
    return tuple(chain)


def _task(messages: Sequence[WireMessage]) -> int:
    for message in messages:
        if message.role == "user" and (found := TASK_NUMBER.search(message.text)):
            return int(found[1])
    raise RequestError("no user message names a task, as in 'Task 7: ...'", param="messages")


def _calls(messages: Sequence[WireMessage]) -> list[PastCall]:
    results = {message.tool_call_id: message.text for message in messages if message.role == "tool"}
    return [
        PastCall(call.id, call.function.name, _arguments(call), results[call.id])
        for message in messages
        for call in message.tool_calls or ()
        if call.id in results
    ]


def _arguments(call: WireCall) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.function.arguments, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise RequestError(f"arguments of call {call.id} are no JSON object: {error}", param=call.id) from error
