"""Learning patterns before the clock starts: tasks played in virtual time, without servers or waiting.

The predictor is told what the proxy's core would tell it: the same histories, built by the same code out of
the same messages. The tasks are others than those that are measured.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.lab.conversation import WireMessage, read_conversation
from paste_proxy.lab.policy import Policy, Turn
from paste_proxy.predict.model import Call, Predictor
from paste_proxy.sessions.history import SessionHistory

Answer = Callable[[str, dict[str, Any]], Awaitable[str]]
"""A tool's result as the agent would see it, by the tool's name and arguments."""


async def learn(policy: Policy, tasks: Iterable[int], answer: Answer, predictor: Predictor) -> None:
    """Play the tasks side by side, then tell the predictor of them one by one."""
    played = await asyncio.gather(*(play(policy, task, answer) for task in tasks))
    for number, messages in enumerate(played):
        tell(messages, f"rehearsal {number}", predictor)


async def play(policy: Policy, task: int, answer: Answer) -> list[dict[str, Any]]:
    """The messages of a whole task."""
    messages = policy.opening(task)
    while True:
        turn = policy.next_turn(read_conversation(msgspec.convert(messages, list[WireMessage])))
        if turn.call is None:
            return [*messages, {"role": "assistant", "content": turn.text}]
        messages += _exchange(turn, await answer(turn.call.tool, json.loads(turn.call.arguments)))


def tell(messages: Iterable[dict[str, Any]], session: str, predictor: Predictor) -> None:
    """Have the predictor learn from every turn of a task, each with the history before it and what it said."""
    history = SessionHistory(session)
    for message in _as_read(messages):
        if message.role == "assistant":
            calls = [Call(call.name, json.loads(call.arguments)) for call in message.calls]
            if message.text:
                predictor.begin(history.history, ()).heard(message.text)
            predictor.learn(history.history, calls)
        history.take([message], {})
        history.read()


def _exchange(turn: Turn, result: str) -> list[dict[str, Any]]:
    """The two messages that a call adds to a task."""
    assert turn.call is not None
    function = {"name": turn.call.tool, "arguments": turn.call.arguments}
    call = {"id": turn.call.call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": turn.text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": turn.call.call_id, "content": result},
    ]


def _as_read(messages: Iterable[dict[str, Any]]) -> list[Message]:
    """The messages as the core reads them out of a request."""
    return [
        Message(
            role=message["role"],
            text=message["content"],
            calls=tuple(
                MessageCall(call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls", ())
            ),
            call_id=message.get("tool_call_id", ""),
        )
        for message in messages
    ]
