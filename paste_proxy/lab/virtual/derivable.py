"""Which calls could be known before they are made: all their values stand in what the task holds already.

A value stands in the context if it is there word for word: in a result, in an earlier call's arguments, in what
a user, the system prompt or the model said; of a path the last two parts are enough, of an address what follows
the scheme; numbers and short strings only as whole words. Truth values, null, numbers below ten and what a tool
is typically called with need no source. An upper bound: no rule need be able to find what is there.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from paste_proxy.lab.virtual.recorded import RecordedCall, Session
from paste_proxy.predict.model import Call
from paste_proxy.tools.spec import Effect, ToolSpec

SHORT = 3
"""Characters of a string that is found by chance inside of others: codes of airports and the like."""
SMALL = 10
"""Numbers below are counts and places in lists."""
TYPICAL_SHARE = 0.1
TYPICAL_TASKS = 5
"""A value is typical of an argument that has it in so many of its calls, and in so many tasks."""

Values: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""By tool and argument: its typical values, as text."""


class Derivable:
    """What an oracle may know of sessions that are played (cell O)."""

    def __init__(self, specs: Mapping[str, ToolSpec], learnt: Iterable[tuple[str, RecordedCall]]) -> None:
        """`learnt`: calls of other tasks, each with its task; looked at once somebody asks."""
        self._specs = specs
        self._learnt = learnt
        self._typical: Values | None = None
        self._known: dict[str, list[list[int | None]]] = {}

    def calls(self, session: Session, turn: int) -> list[Call]:
        """The reads that the session makes from `turn` on, up to its next write, whose values it holds before
        that turn. A write would void what was read before it."""
        known = self._known_from(session)
        found: list[Call] = []
        for number in range(turn, len(session.turns)):
            for call, since in zip(session.turns[number].calls, known[number], strict=True):
                if not self._reads(call):
                    return found
                if since is not None and since <= turn:
                    found.append(Call(call.tool, call.arguments))
        return found

    def _reads(self, call: RecordedCall) -> bool:
        return self._specs[call.tool].effect is Effect.READ

    def _known_from(self, session: Session) -> list[list[int | None]]:
        if session.name not in self._known:
            if self._typical is None:
                self._typical = typical(self._learnt)
            texts = [_texts(session, number) for number in range(len(session.turns))]
            self._known[session.name] = [
                [
                    known_from(call, texts[: number + 1], self._typical) if self._reads(call) else None
                    for call in turn.calls
                ]
                for number, turn in enumerate(session.turns)
            ]
        return self._known[session.name]


def _texts(session: Session, turn: int) -> str:
    """What came into the context since the turn before; before the first one, with the opening."""
    if not turn:
        return "\n".join(said.text for said in session.opening)
    before = session.turns[turn - 1]
    calls = (f"{call.text}\n{call.result}" for call in before.calls)
    return "\n".join([before.text, *calls, *(said.text for said in before.interlude)])


def typical(learnt: Iterable[tuple[str, RecordedCall]]) -> Values:
    """The values that arguments have in many calls of many tasks."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    tasks: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for task, call in learnt:
        for name, value in call.arguments.items():
            for text in set(map(_text, _scalars(value))):
                counts[call.tool, name][text] += 1
                tasks[call.tool, name, text].add(task)
    return {
        slot: frozenset(
            text
            for text, count in found.items()
            if count >= TYPICAL_SHARE * found.total() and len(tasks[*slot, text]) >= TYPICAL_TASKS
        )
        for slot, found in counts.items()
    }


def known_from(call: RecordedCall, texts: Sequence[str], typical: Values) -> int | None:
    """The first of `texts` with which all values of the call are there; None if they never are."""
    latest = 0
    for name, value in call.arguments.items():
        for scalar in _scalars(value):
            if _needs_no_source(scalar) or _text(scalar) in typical.get((call.tool, name), ()):
                continue
            found = _first(scalar, texts)
            if found is None:
                return None
            latest = max(latest, found)
    return latest


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    else:
        yield value


def _needs_no_source(value: Any) -> bool:
    if value is None or isinstance(value, bool) or value == "":
        return True
    return isinstance(value, int | float) and abs(value) < SMALL


def _text(value: Any) -> str:
    """As it would be written: 200.0 as 200."""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _first(value: Any, texts: Sequence[str]) -> int | None:
    written = _text(value)
    if not isinstance(value, str) or len(written) <= SHORT:
        word = re.compile(rf"(?<!\w){re.escape(written)}(?!\w)")
        return next((place for place, text in enumerate(texts) if word.search(text)), None)
    forms = {written, *_shorter(written)}
    return next((place for place, text in enumerate(texts) if any(form in text for form in forms)), None)


def _shorter(value: str) -> Iterator[str]:
    """What is left of an address without its scheme, and of a path its end."""
    if "://" in value:
        yield value.partition("://")[2]
    elif value.count("/") > 1 and not any(map(str.isspace, value)):
        yield "/".join(value.rstrip("/").rsplit("/", 2)[1:])
