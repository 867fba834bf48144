"""The fixtures of the formats, `fixtures/NAME.yaml`: texts, and what is known of them at which character.

In a text `⟦...⟧` says what is known with the character before it: a tool's name, that its call has begun;
`.path`, the argument of that name; `!`, the whole call.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from paste_proxy.grammar.events import ArgumentSealed, CallOpened, CallSealed, GrammarEvent
from paste_proxy.grammar.formats import TextReader, find
from paste_proxy.grammar.requests import RequestTool

FIXTURES = Path(__file__).parent / "fixtures"
TOOLS = (
    RequestTool("read_file", {"properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}}),
    RequestTool("search", {"properties": {"query": {"type": "string"}}}),
    RequestTool("now", {"properties": {}}),
)
_KNOWN = re.compile("⟦([^⟧]*)⟧")


class Text(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    calls: list[tuple[str, dict[str, Any]]]
    content: str = ""
    reasoning: str = ""

    @property
    def plain(self) -> str:
        """As the model writes it."""
        return _KNOWN.sub("", self.text)

    @property
    def known(self) -> list[tuple[str, str]]:
        """What is known, and the text by then."""
        return [(mark[1], _KNOWN.sub("", self.text[: mark.start()])) for mark in _KNOWN.finditer(self.text)]


class Fixture(msgspec.Struct, forbid_unknown_fields=True):
    texts: list[Text]
    no_calls: list[str]
    """Texts that only look like calls."""
    ambiguous: list[Text] = []
    """Texts that nobody could tell from calls, and that are read as such."""


def fixture(name: str) -> Fixture:
    return msgspec.convert(yaml.safe_load((FIXTURES / f"{name}.yaml").read_text()), Fixture)


def read(
    name: str, pieces: Sequence[str], tools: Sequence[RequestTool] = TOOLS, **how: Any
) -> list[GrammarEvent]:
    """What the format's reader tells of a text that came in these pieces, and then ended."""
    reader = TextReader(find(name), tools=tools, **how)
    out: list[GrammarEvent] = []
    for piece in pieces:
        reader.feed(piece, 0, out)
    reader.end(0, out, finished=True)
    return out


def became_known(name: str, text: str) -> list[tuple[str, str]]:
    """As `Text.known`, for a text that comes character by character."""
    reader = TextReader(find(name), tools=TOOLS)
    found = []
    for at, char in enumerate(text, 1):
        out: list[GrammarEvent] = []
        reader.feed(char, 0, out)
        found += [(label, text[:at]) for event in out if (label := _label(event))]
    return found


def _label(event: GrammarEvent) -> str:
    match event:
        case CallOpened(_, _, name):
            return name
        case ArgumentSealed(_, (key,), _):
            return f".{key}"
        case CallSealed():
            return "!"
        case _:
            return ""
