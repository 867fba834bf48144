"""Where other parsers make something else of a text than we do, and who is right: read from `differences.yaml`.

The list is exact: what it says is there in every case and mode that it names, and there is nothing else.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from tests.conformance.parsers.outcomes import AT_ONCE, NO_JSON, Outcome

LIST = Path(__file__).parent / "differences.yaml"

_GROUPS = {
    "every": "whole tokens:1 tokens:4 chars:1 chars:4",
    "streamed": "tokens:1 tokens:4 chars:1 chars:4",
    "tokens": "tokens:1 tokens:4",
    "chars": "chars:1 chars:4",
    "at-once": AT_ONCE,
}
"""Names of several modes."""

Kind = Literal[
    "no answer", "no call", "fewer calls", "more calls", "other calls", "no JSON", "other arguments", "text"
]
"""What a peer says, beside what we say: calls first, then their arguments, then the text beside them."""

Cell = tuple[str, str]
"""A case's key, and a mode."""


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cases in which a peer says the same kind of thing."""

    modes: str
    """Names of modes or of several (`_GROUPS`)."""
    says: Kind
    cases: dict[str, str]
    """Patterns of names by formats, blanks between several; those that begin with `-` are left out again."""

    def cells(self, asked: Iterable[Cell]) -> set[Cell]:
        """Those of `asked` that it names."""
        modes = {mode for name in self.modes.split() for mode in _GROUPS.get(name, name).split()}
        return {(key, mode) for key, mode in asked if mode in modes and self._names(*key.split("/"))}

    def _names(self, writer: str, name: str) -> bool:
        named = False
        for writers, patterns in self.cases.items():
            for pattern in patterns.split() if writer in writers.split() else ():
                if fnmatchcase(name, pattern.removeprefix("-")):
                    named = not pattern.startswith("-")
        return named


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reason why a peer differs."""

    peer: Literal["sglang", "vllm"]
    why: str
    right: Literal["ours", "either"]
    """`either`: the format does not say, or says nothing of such a text."""
    where: list[Where]
    issue: str = ""
    """Where it has been reported."""

    def cells(self, asked: Iterable[Cell]) -> dict[Cell, Kind]:
        """Those of `asked` that it is about, and what the peer says there."""
        cells = list(asked)
        return {cell: where.says for where in self.where for cell in where.cells(cells)}


def differences() -> list[Difference]:
    return msgspec.yaml.decode(LIST.read_bytes(), type=list[Difference])


def kind(ours: Outcome, theirs: Outcome) -> Kind | None:
    """How `theirs` differs; None if it does not."""
    if theirs.error:
        return "no answer"
    mine, others = _names(ours), _names(theirs)
    if mine != others:
        if not others:
            return "no call"
        if _within(others, mine):
            return "fewer calls"
        return "more calls" if _within(mine, others) else "other calls"
    if ours.calls != theirs.calls:
        broken = any(arguments.startswith(NO_JSON) for _, arguments in theirs.calls)
        return "no JSON" if broken else "other arguments"
    same_text = (ours.content, ours.reasoning) == (theirs.content, theirs.reasoning)
    return None if same_text else "text"


def _names(outcome: Outcome) -> list[str]:
    return [name for name, _ in outcome.calls]


def _within(some: list[str], many: list[str]) -> bool:
    """Are these some of them, in their order?"""
    rest: Iterator[str] = iter(many)
    return all(name in rest for name in some)
