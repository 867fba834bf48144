"""What smolagents makes of calls in its history, printed by the same expressions as its own."""

import json
from typing import Any

import pytest

from paste_proxy.grammar.digests import message_digest
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.grammar.requests.written_calls import as_written, split_written_calls


def printed(*calls: tuple[str, str, Any]) -> str:
    return "Calling tools:\n" + str(
        [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ]
    )


def parse(content: Any, **fields: Any) -> ChatRequest:
    return parse_chat_request(
        json.dumps({"messages": [{"role": "assistant", "content": content, **fields}]}).encode()
    )


CALLS = (("a1", "look", {"city": "Paris"}), ("b2", "open", {"quote": "it's {'id': 'x'}", "n": [1, None]}))


def test_calls_are_told_by_id_and_name() -> None:
    text, calls = split_written_calls("I look.\n" + printed(*CALLS))
    assert (text, calls) == ("I look.\n", [("a1", "look", ""), ("b2", "open", "")])
    replied = [("b2", "open", '{"n": 1}'), ("a1", "look", "{}")]
    assert as_written(replied) == calls


def test_code_is_no_call() -> None:
    said = "Thought: so.\n<code>\nprint(1)\n</code>"
    text, calls = split_written_calls(f"{said}\n" + printed(("call_2", "python_interpreter", "print(1)")))
    assert (text.strip(), calls) == (said, [])


@pytest.mark.parametrize(
    "text",
    ["", "Calling tools:", "Calling tools:\n[]", printed(*CALLS) + " and more", "Calling tools:\n[{'id': 'a"],
)
def test_other_text_stays_text(text: str) -> None:
    assert split_written_calls(text) == (text, [])


def test_only_an_assistant_message_without_calls_is_read_so() -> None:
    written = "Yes.\n" + printed(*CALLS)
    expected = message_digest("assistant", "Yes.", [("a1", "look", ""), ("b2", "open", "")])
    (message,) = parse([{"type": "text", "text": written}]).messages
    assert (message.digest, message.text, message.calls) == (expected, written, ())
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert parse(written, tool_calls=[call]).messages[0].digest != expected
    assert parse(written, role="user").messages[0].digest == message_digest("user", written)
