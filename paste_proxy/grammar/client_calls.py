"""Calls of OpenAI's APIs that the client runs, and how those that have no JSON arguments are told as JSON.

Beside functions there are custom tools, for which the model writes plain text (in both APIs), and tools that
the responses API knows by itself (`local_shell_call`, `apply_patch_call`, `computer_call`, ...). All of them
have an id to which the client answers, there the `call_id`; what the server runs (`web_search_call`, ...)
has none. Agents change the world with them, so replies and histories must both tell them.
"""

from json import dumps

import msgspec

INPUT_BEGINS = '{"input": "'
INPUT_ENDS = '"}'

_NOTHING = msgspec.Raw(b"null")

_decode_text = msgspec.json.Decoder(str).decode


class CallItem(msgspec.Struct, gc=False):
    """What an item may have that is a call of the client's."""

    type: str = ""
    call_id: str | None = None
    """What the client answers to; the `id` of an item names it in the stream only."""
    name: str | None = None
    arguments: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    action: msgspec.Raw = _NOTHING
    operation: msgspec.Raw = _NOTHING

    @property
    def is_call(self) -> bool:
        return bool(self.call_id) and self.type.endswith("_call")

    @property
    def tool(self) -> str:
        """Its name; of tools that have none, the type of their calls."""
        return self.name or self.type

    def json(self) -> str:
        """Its arguments as JSON text; empty where it has none yet. Raises what decoders raise."""
        if self.type == "function_call":
            return _text(self.arguments)
        if self.type == "custom_tool_call":
            return input_as_json(_text(self.input))
        given = (bytes(raw) for raw in (self.action, self.operation, self.arguments))
        return next((raw.decode() for raw in given if raw.startswith(b"{")), "")


def input_text(text: str) -> str:
    """Part of the plain text of a custom tool's call, as part of a JSON string."""
    return dumps(text)[1:-1]


def input_as_json(text: str) -> str:
    """All of it; empty where there is none."""
    return INPUT_BEGINS + input_text(text) + INPUT_ENDS if text else ""


def _text(raw: msgspec.Raw) -> str:
    """A string; JSON that is none, as it is."""
    written = bytes(raw)
    if written.startswith(b'"'):
        return _decode_text(written)
    return "" if written == b"null" else written.decode()
