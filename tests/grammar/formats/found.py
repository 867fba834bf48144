"""What the tests of readers share: feed text in pieces, and say what was found without how it was cut."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from hypothesis import strategies as st

from paste_proxy.grammar.formats.pythonic import Found


class Reader(Protocol):
    found: list[Found]

    def feed(self, text: str) -> object: ...


def pieces(text: str, lengths: Sequence[int]) -> Iterator[str]:
    """`text` cut into pieces of these lengths, in turn; whole without any."""
    at = turn = 0
    while at < len(text):
        length = lengths[turn % len(lengths)] if lengths else len(text)
        yield text[at : at + length]
        at += length
        turn += 1


CUTS = st.lists(st.integers(1, 7), max_size=6)
"""Lengths of pieces; empty for one piece."""


def merged(found: Sequence[Found]) -> list[Found]:
    """Neighbouring pieces of text as one."""
    out: list[Found] = []
    for kind, text in found:
        if kind == "text" and out and out[-1][0] == "text":
            out[-1] = ("text", out[-1][1] + text)
        else:
            out.append((kind, text))
    return out


def calls(found: Sequence[Found]) -> list[tuple[str, Any]]:
    """The whole calls: name and arguments."""
    news = merged(found)
    return [
        (news[at - 1][1], json.loads(text))
        for at, (kind, text) in enumerate(news)
        if kind == "text" and news[at + 1 : at + 2] == [("close", "")]
    ]


def read(make: Callable[[], Reader], text: str, lengths: Sequence[int] = ()) -> list[Found]:
    reader = make()
    for piece in pieces(text, lengths):
        reader.feed(piece)
    return merged(reader.found)
