"""Predictors that no real one can be: one that knows, and one that is always wrong."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from paste_proxy.lab.virtual.world import Script
from paste_proxy.predict.model import Call, Candidate, Fixed, History, TurnPredictor
from paste_proxy.tools.spec import ToolSpec

IN_A_TURN = 16
"""Calls that are named in one turn at most: as many as cell O may start."""


class Silent:
    """Predicts nothing."""

    def learn(self, history: History, calls: Sequence[Call]) -> None: ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return []

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        return Fixed(self.predict(history, tools, IN_A_TURN))


class Oracle(Silent):
    """Knows every call that a task will make as soon as the task holds its values (cell O): causal, since it
    knows no value before. What it names it does not name again."""

    def __init__(self, script_of: Callable[[str], Script | None]) -> None:
        """`script_of` a session, by its id."""
        self._script_of = script_of

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        script = self._script_of(history.session)
        known = frozenset(tools)
        calls = script.derivable() if script is not None else ()
        found = [Candidate(one.tool, one.arguments, 1.0, "oracle", 1.0) for one in calls if one.tool in known]
        return found[:limit]


class AlwaysWrong(Silent):
    """Names as many calls as it may, none of which anybody will ever make (cells X and XF)."""

    def __init__(self, specs: Iterable[ToolSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._numbers = itertools.count()

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        names = sorted(tools)
        return [self._wrong(names[place % len(names)]) for place in range(limit if names else 0)]

    def _wrong(self, tool: str) -> Candidate:
        """A tool that says nothing of its arguments gets one that it has not."""
        properties = self._specs[tool].parameters.get("properties") or {"nothing": {}}
        arguments = {
            name: _of_type(schema.get("type"), next(self._numbers)) for name, schema in properties.items()
        }
        return Candidate(tool, arguments, 1.0, "always wrong", 1.0)


def _of_type(kind: Any, number: int) -> Any:
    """A value that no workload has."""
    values = {"integer": -number - 1, "number": -number - 0.5, "boolean": True, "array": [], "object": {}}
    return values.get(kind, f"nothing-{number}")
