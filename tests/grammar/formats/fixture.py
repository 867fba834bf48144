"""The fixtures of the formats, `fixtures/NAME.yaml`: texts, and what is known of them at which character.

In a text `⟦...⟧` says what is known with the character before it: a tool's name, that its call has begun;
`.path`, the argument of that name; `!`, the whole call.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from paste_proxy.grammar.events import (
    ArgumentSealed,
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
)
from paste_proxy.grammar.formats import Format, TextReader, find
from paste_proxy.grammar.requests import RequestTool

FIXTURES = Path(__file__).parent / "fixtures"
TYPES: dict[str, dict[str, Any]] = {
    "read_file": {"path": "string", "limit": "integer"},
    "search": {
        "query": "string",
        "tags": "array",
        "exact": "boolean",
        "score": "number",
        "after": ["string", "null"],
        "options": "object",
    },
    "now": {},
}
TOOLS = tuple(
    RequestTool(name, {"properties": {key: {"type": type_} for key, type_ in types.items()}})
    for name, types in TYPES.items()
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
    return parsed((FIXTURES / f"{name}.yaml").read_text(encoding="utf-8"))


def parsed(text: str) -> Fixture:
    return msgspec.convert(yaml.safe_load(text), Fixture)


def read(how: str | Format, pieces: Sequence[str], tools: Sequence[RequestTool] = TOOLS) -> list[GrammarEvent]:
    """What a reader of this format tells of a text that came in these pieces, and then ended."""
    reader = TextReader(_format(how), tools=tools)
    out: list[GrammarEvent] = []
    for piece in pieces:
        reader.feed(piece, 0, out)
    reader.end(0, out, finished=True)
    return out


def check(how: str | Format, text: Text) -> None:
    """What stands in a text is found, and nothing else, in one piece and character by character."""
    for pieces in ([text.plain], list(text.plain)):
        events = read(how, pieces)
        assert [event for event in events if isinstance(event, Malformed)] == []
        sealed = [event for event in events if isinstance(event, CallSealed)]
        assert [(one.name, json.loads(one.arguments)) for one in sealed] == text.calls
        assert len([event for event in events if isinstance(event, CallOpened)]) == len(text.calls)
        # What agents read in the content stays there.
        content = "".join(event.text for event in events if isinstance(event, ContentText))
        assert content == (text.plain if _format(how).in_text else text.content)
        reasoning = [event.text for event in events if isinstance(event, ReasoningText)]
        assert "".join(reasoning) == text.reasoning


def check_all(how: str | Format, known: Fixture) -> None:
    for text in known.texts + known.ambiguous:
        check(how, text)
    for plain in known.no_calls:
        check(how, Text(plain, [], content=plain))


def check_known(how: str | Format, known: Fixture) -> None:
    """Each text whose marks say so is known as early as they say."""
    texts = [text for text in known.texts if text.known]
    assert texts
    for text in texts:
        assert became_known(how, text.plain) == text.known


def became_known(how: str | Format, text: str) -> list[tuple[str, str]]:
    """As `Text.known`, for a text that comes character by character."""
    reader = TextReader(_format(how), tools=TOOLS)
    found = []
    for at, char in enumerate(text, 1):
        out: list[GrammarEvent] = []
        reader.feed(char, 0, out)
        found += [(label, text[:at]) for event in out if (label := _label(event))]
    return found


def _format(how: str | Format) -> Format:
    return find(how) if isinstance(how, str) else how


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
