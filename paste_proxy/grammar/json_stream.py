"""Finds the end of one JSON object in text that arrives in pieces."""

import json
import re

import msgspec

DEPTH_LIMIT = 128
"""Levels of nesting. Tool schemas have a handful; decoders give up at about a thousand."""
_BLANK = " \t\r\n"
_MARK = re.compile(r'["{}\[\]]')
_STRING_MARK = re.compile(r'["\\]')


class ObjectScanner:
    """Reads one JSON object piece by piece, in time linear in its length.

    Only strings, escapes and nesting are followed: `check_object` says whether what was found is valid.
    Keeps all the text: whoever feeds it bounds its length.
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_parts", "complete", "fault")

    def __init__(self) -> None:
        self.complete = False
        self.fault = ""
        """Why this can't be an object; once set, it stays."""
        self._parts: list[str] = []
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def started(self) -> bool:
        """Something other than white space has come."""
        return self.complete or self._depth > 0 or bool(self.fault)

    @property
    def text(self) -> str:
        """The object as far as it has come, without white space before it."""
        return "".join(self._parts)

    def feed(self, piece: str) -> str:
        """Read on. Returns that part of `piece` that belongs to the object; look at `complete` and `fault`."""
        if self.fault:
            return ""
        if self._depth == 0:
            piece = piece.lstrip(_BLANK)
            if not piece:
                return ""
            if self.complete:
                self.fault = "text after the complete JSON object"
                return ""
            if piece[0] != "{":
                self.fault = "arguments are not a JSON object"
                return ""
        end = self._scan(piece)
        own = piece if end < 0 else piece[:end]
        self._parts.append(own)
        if 0 <= end < len(piece) and not self.fault and piece[end:].strip(_BLANK):
            self.fault = "text after the complete JSON object"
        return own

    def _scan(self, piece: str) -> int:
        """Where the object ends in `piece`, or -1."""
        at = 0
        while at < len(piece):
            if self._in_string:
                at = self._scan_string(piece, at)
                continue
            mark = _MARK.search(piece, at)
            if mark is None:
                break
            at = mark.end()
            if self._nest(mark[0]):
                return at
        return -1

    def _scan_string(self, piece: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        mark = _STRING_MARK.search(piece, at)
        if mark is None:
            return len(piece)
        if mark[0] == '"':
            self._in_string = False
        else:
            self._escaped = True
        return mark.end()

    def _nest(self, mark: str) -> bool:
        """Follow one structural character; true at the end of the object, or where it can't go on."""
        if mark == '"':
            self._in_string = True
        elif mark in "{[":
            self._depth += 1
            if self._depth > DEPTH_LIMIT:
                self.fault = f"arguments nested deeper than {DEPTH_LIMIT} levels"
                return True
        else:
            self._depth -= 1
            self.complete = self._depth == 0
            return self.complete
        return False


def check_object(text: str) -> str:
    """Why `text` is not one valid JSON object (RFC 8259) without duplicate keys; empty if it is one."""
    try:
        msgspec.json.decode(text, type=dict)
        json.loads(text, object_pairs_hook=_distinct)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return f"arguments are not valid JSON: {error}"
    return ""


def _distinct(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("an object with duplicate keys")
