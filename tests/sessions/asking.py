"""A client that asks and replies, before a table of sessions."""

import json
from typing import Any

from paste_proxy.events import Identity
from paste_proxy.grammar.requests import ChatRequest, MessageCall, parse_chat_request
from paste_proxy.sessions.table import Resolution, SessionTable

Messages = list[dict[str, Any]]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str = "", *calls: MessageCall) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        said["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
    return said


def result(call: MessageCall, text: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call.call_id, "content": text}


def call(call_id: str = "c1", arguments: str = '{"a": 1}') -> MessageCall:
    return MessageCall(call_id, "look", arguments)


START: Messages = [{"role": "system", "content": "You help."}, user("Do it.")]


class Client:
    """Speaks to a table as the core does, one turn id after the other."""

    def __init__(self, limit: int = 100, idle_s: float = 60.0) -> None:
        self.table = SessionTable(limit, idle_s)
        self.now = 0.0
        self.turns = 0
        self.open: dict[str, str] = {}

    def ask(self, messages: Messages, name: str = "", tenant: str = "default", **fields: Any) -> Resolution:
        resolution = self.table.resolve(Identity(tenant, name), self.request(messages, **fields), self.now)
        self.turns += 1
        self.open[resolution.session] = f"t{self.turns}"
        self.table.turn_opened(resolution.session, f"t{self.turns}")
        return resolution

    @staticmethod
    def request(messages: Messages, **fields: Any) -> ChatRequest:
        return parse_chat_request(json.dumps({"messages": messages, **fields}).encode())

    def reply(self, session: str, text: str = "", *calls: MessageCall) -> None:
        self.table.turn_closed(session, self.open[session], self.now, complete=True, text=text, calls=calls)

    def fail(self, session: str, text: str = "") -> None:
        self.table.turn_closed(session, self.open[session], self.now, complete=False, text=text)
