"""Calls that smolagents writes into the text of its history, in place of `tool_calls` (1.26 `memory.py`).

It ends an assistant message with `Calling tools:` and the calls as Python prints them, sorted by id. Ids and
names are read, which tell one call from all others; results come as text of the user's. The code of a
`CodeAgent` is written so too, under a name of its own, and is no call of the model's: it stands in the text.
"""

import re

_BEGINS = "Calling tools:\n[{'id': '"
_CALL = re.compile(r"\{'id': '([^']{1,256})', 'type': 'function', 'function': \{'name': '([^']{1,256})'")
_CODE = "python_interpreter"


def split_written_calls(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The text without them; and of each call id, name, and nothing for the arguments."""
    at = text.rfind(_BEGINS)
    if at < 0 or not text.endswith("}]"):
        return text, []
    return text[:at], [(found[1], found[2], "") for found in _CALL.finditer(text, at) if found[2] != _CODE]


def as_written(calls: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Calls of a reply, with their arguments, as a later history will tell them."""
    return sorted((call_id, name, "") for call_id, name, _ in calls)
