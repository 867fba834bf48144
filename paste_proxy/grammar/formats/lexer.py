"""Finds the terminals of one state in text that comes in pieces, in linear time."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

Find: TypeAlias = Callable[..., tuple[int, str]]
"""As `Terminals.find`."""

TERMINAL_LIMIT = 64
"""Characters of a terminal; the longest have about thirty."""


class Terminals:
    """Literal strings to look for, none of which begins another."""

    __slots__ = ("_search", "_strings")

    def __init__(self, strings: tuple[str, ...], unless: Mapping[str, str] | None = None) -> None:
        """`unless`: patterns in front of which these strings are no terminals."""
        self._strings = frozenset(strings)
        unless = unless or {}
        whole = [
            re.escape(string) + (f"(?!{unless[string]})" if string in unless else "") for string in strings
        ]
        begun = [_beginning(string) for string in strings if len(string) > 1]
        self._search = re.compile("|".join(whole + begun) or r"(?!)").search
        """One pass over the text: terminals, and at its very end the beginning of one."""

    def find(self, text: str, at: int, room: int | None = None) -> tuple[int, str]:
        """The next terminal in `text[at:]`: where, and which. If there is none, where a beginning of one
        stands at the end of the text, else that end; and an empty string.

        `room`: only what begins in so many characters is of interest, and no more of the text is looked at."""
        end = len(text) if room is None else min(at + room + TERMINAL_LIMIT, len(text))
        found = self._search(text, at, end)
        if found is None:
            return end, ""
        string = found[0]
        return found.start(), string if string in self._strings else ""


def _beginning(string: str) -> str:
    """A pattern for every proper beginning of `string`, the longest first, at the end of a text."""
    pattern = ""
    for char in reversed(string[1:-1]):
        pattern = f"(?:{re.escape(char)}{pattern})?"
    return rf"{re.escape(string[0])}{pattern}\Z"
