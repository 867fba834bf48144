"""What running ahead costs beside the tool's own time, as measured: a tool that is faster stays at home.

Two parts: from the hand-over of a run to the begin of its function (a worker process, a client, a server's
session is waited for), and what its runs ahead take longer than those that were asked for.
"""

WEIGHT = 0.2
"""Of the newest measurement, as for service times; starts begin at none, so that one cold one weighs little."""
FADE = 0.98
"""With each run that was asked for: what is not run ahead is not measured either, and after some fifty calls it
is tried again."""
KEPT = 1024
"""Tools and sources that are known; the longest unused is forgotten first."""


class Overheads:
    def __init__(self) -> None:
        self._start: dict[tuple[str, str], float] = {}
        """By ("tool", its name) and ("source", its name)."""
        self._run: dict[tuple[str, bool], float] = {}
        """By tool, and whether the run was ahead."""

    def began(self, tool: str, source: str, seconds: float) -> None:
        """A run ahead began so long after it was handed over."""
        for key in (("tool", tool), ("source", source)):
            before = self._start.pop(key, 0.0)
            self._start[key] = before + WEIGHT * (seconds - before)
            if len(self._start) > KEPT:
                del self._start[next(iter(self._start))]

    def ran(self, tool: str, seconds: float, *, ahead: bool) -> None:
        """A run of the tool gave a result after so long."""
        key = tool, ahead
        before = self._run.pop(key, seconds)
        self._run[key] = before + WEIGHT * (seconds - before)
        if not ahead:
            self._fade(tool, self._run[key])
        if len(self._run) > KEPT:
            del self._run[next(iter(self._run))]

    def _fade(self, tool: str, asked: float) -> None:
        if ("tool", tool) in self._start:
            self._start["tool", tool] *= FADE
        if (longer := self._run.get((tool, True), asked) - asked) > 0:
            self._run[tool, True] = asked + FADE * longer

    def of(self, tool: str, source: str) -> float:
        """Seconds; of a tool that was never run ahead, its source's."""
        start = self._start.get(("tool", tool), self._start.get(("source", source), 0.0))
        asked = self._run.get((tool, False))
        longer = 0.0 if asked is None else max(0.0, self._run.get((tool, True), asked) - asked)
        return start + longer
