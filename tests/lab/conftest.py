"""A research task played without servers: the policy on one side, made-up results on the other."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from paste_proxy.lab.conversation import WireMessage, read_conversation
from paste_proxy.lab.policy import Policy, Turn
from paste_proxy.lab.sizes import SEARCH, Sizes, reference
from paste_proxy.lab.workload import Workload, load_workload

Answer = Callable[[str, dict[str, Any]], str]


@pytest.fixture(scope="session")
def workload() -> Workload:
    return load_workload()


@pytest.fixture(scope="session")
def policy(workload: Workload) -> Policy:
    return Policy(workload, Sizes(workload))


def made_up(tool: str, arguments: dict[str, Any]) -> str:
    """Ten results whose addresses belong to the query; a page says which one it is."""
    if tool != SEARCH:
        return f"page of {sorted(arguments.items())}"
    addresses = [f"pydoc://page{reference(arguments['query'], place)}" for place in range(1, 11)]
    return json.dumps({"results": [{"address": address} for address in addresses]})


def next_turn(policy: Policy, messages: list[dict[str, Any]]) -> Turn:
    return policy.next_turn(read_conversation(msgspec.convert(messages, list[WireMessage])))


def said(turn: Turn) -> dict[str, Any]:
    """A turn as the message that an agent keeps."""
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.call:
        function = {"name": turn.call.tool, "arguments": turn.call.arguments}
        message["tool_calls"] = [{"id": turn.call.call_id, "type": "function", "function": function}]
    return message


def play(policy: Policy, task: int, answer: Answer = made_up) -> tuple[list[Turn], list[dict[str, Any]]]:
    """All turns of a task, and the messages at its end."""
    messages, turns = policy.opening(task), []
    while True:
        turn = next_turn(policy, messages)
        turns.append(turn)
        messages.append(said(turn))
        if turn.call is None:
            return turns, messages
        result = answer(turn.call.tool, json.loads(turn.call.arguments))
        messages.append({"role": "tool", "tool_call_id": turn.call.call_id, "content": result})
