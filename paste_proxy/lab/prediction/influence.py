"""Arguments in which a model says why, and which seem to mean nothing to results: to be looked at by a person.

An argument is suggested if it is called like a rationale, holds free text that stands in no result, and calls
that differ in nothing else had the same result. None of this proves anything: who declares it must know.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from paste_proxy.lab.prediction.sessions import Session, TurnCall, canonical

_RATIONALE = re.compile(
    r"reason|descri|expla|rationale|thought|thinking|justif|motiv|purpose|intent|why|active_?form|comment"
)
WORDS = 2.5
"""On average: a code, a name or a word of a fixed set has fewer."""
QUOTED = 0.02
"""Share of the values that may stand in a result by chance."""
QUOTABLE = 12
"""Characters: shorter texts stand anywhere."""
SAME = 3
"""Pairs with an equal result for each with another: the world changes between two calls, too."""


class Evidence(msgspec.Struct):
    """Of one argument of one tool."""

    calls: int = 0
    words: int = 0
    quoted: int = 0
    """Values that stand in a result of their session, up to that of the call itself."""
    same: int = 0
    other: int = 0
    """Pairs of calls that differ in this argument alone, by whether their results do."""

    @property
    def is_free_text(self) -> bool:
        return self.words >= WORDS * self.calls and self.quoted <= QUOTED * self.calls

    @property
    def seems_inert(self) -> bool:
        return self.is_free_text and self.same > 0 and self.same >= SAME * self.other

    def __str__(self) -> str:
        return f"{self.same} of {self.same + self.other}"


class Influence:
    """Told of sessions, it keeps evidence for arguments that are called like a rationale."""

    def __init__(self) -> None:
        self.evidence: defaultdict[tuple[str, str], Evidence] = defaultdict(Evidence)

    def see(self, session: Session) -> None:
        results: list[str] = []
        alike: dict[tuple[str, str, str], tuple[str, str | None]] = {}
        for turn in session.turns:
            results += [call.result for call in turn.calls if call.result is not None]
            for call in turn.calls:
                for name, value in call.call.arguments.items():
                    if isinstance(value, str) and _RATIONALE.search(name.lower()):
                        self._see(call, name, value, results)
                        self._compare(call, name, value, alike)

    def inert(self) -> dict[str, list[str]]:
        """By tool, the arguments to suggest."""
        found: dict[str, list[str]] = {}
        for (tool, name), evidence in sorted(self.evidence.items()):
            if evidence.seems_inert:
                found.setdefault(tool, []).append(name)
        return found

    def undecided(self) -> list[tuple[str, str]]:
        """Free texts of which calls tell nothing, or too little: results change with the world, too."""
        return [slot for slot, one in sorted(self.evidence.items()) if one.is_free_text and not one.seems_inert]

    def _see(self, call: TurnCall, name: str, value: str, results: Iterable[str]) -> None:
        evidence = self.evidence[call.call.tool, name]
        evidence.calls += 1
        evidence.words += len(value.split())
        evidence.quoted += len(value) >= QUOTABLE and any(value in result for result in results)

    def _compare(
        self, call: TurnCall, name: str, value: str, alike: dict[tuple[str, str, str], tuple[str, str | None]]
    ) -> None:
        others = {key: one for key, one in call.call.arguments.items() if key != name}
        slot = (call.call.tool, name, canonical(others))
        before, alike[slot] = alike.get(slot), (value, call.result)
        if before is None or before[0] == value or None in (before[1], call.result):
            return
        evidence = self.evidence[call.call.tool, name]
        if before[1] == call.result:
            evidence.same += 1
        else:
            evidence.other += 1
