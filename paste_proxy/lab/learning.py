"""Learning patterns before the clock starts: tasks played in virtual time, without servers or waiting.

The predictor is told what the proxy's core would tell it: the same histories, built by the same code out of
the same messages. The tasks are others than those that are measured.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.lab.conversation import WireMessage, read_conversation
from paste_proxy.lab.policy import Policy, Turn
from paste_proxy.predict.model import Call, Predictor
from paste_proxy.sessions.history import SessionHistory

Answer = Callable[[str, dict[str, Any]], str]
"""A tool's result as the agent would see it, by the tool's name and arguments."""


def learn(policy: Policy, tasks: Iterable[int], answer: Answer, predictor: Predictor) -> None:
    for task in tasks:
        _play(policy, task, answer, predictor)


def _play(policy: Policy, task: int, answer: Answer, predictor: Predictor) -> None:
    session = SessionHistory(f"rehearsal-{task}")
    messages = policy.opening(task)
    while True:
        wire = msgspec.convert(messages, list[WireMessage])
        turn = policy.next_turn(read_conversation(wire))
        if turn.call is None:
            predictor.learn(session.history, ())
            return
        arguments = json.loads(turn.call.arguments)
        predictor.learn(session.history, [Call(turn.call.tool, arguments)])
        exchange = _exchange(turn, answer(turn.call.tool, arguments))
        messages += exchange
        session.extend(_as_read(exchange), {})


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
