"""Is what was released still what the call would return? A share of the hits is run again, and compared.

Writes by third parties can't be seen (DESIGN's second promise); this is how they are measured. A tool whose
results differ more often than its author declared (`volatility`) runs ahead no more until the next start.
"""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from paste_proxy.broker.scopes import Stamp
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec

START_WITHIN_S = 2.0
"""A second look is worth something at the moment of the first: one that found no slot by then is left out."""


@dataclass(eq=False, slots=True)
class Sample:
    """A hit that is run again: what was released, and of which state of the world."""

    spec: ToolSpec
    released: Output
    stamp: Stamp


@dataclass(slots=True)
class Tally:
    hits: int = 0
    taken: int = 0
    differed: int = 0
    judged: ToolSpec | None = None
    """The tool that has the name now, and what of the above is its own."""
    taken_now: int = 0
    differed_now: int = 0

    def add(self, spec: ToolSpec, *, differs: bool) -> None:
        if self.judged != spec:
            self.judged, self.taken_now, self.differed_now = spec, 0, 0
        self.taken += 1
        self.taken_now += 1
        self.differed += differs
        self.differed_now += differs

    def is_beyond(self, declared: float) -> bool:
        """More than chance explains of a tool that is as volatile as declared: by two standard deviations.
        Where it is declared to be none, one difference is enough."""
        expected = declared * self.taken_now
        return self.differed_now > expected + 2 * math.sqrt(expected * (1 - declared))


class Sampling:
    def __init__(self, share: float) -> None:
        """See `configure`."""
        self.configure(share)
        self.tallies: dict[str, Tally] = {}
        """By tool: as many as there are tools."""

    def configure(self, share: float) -> None:
        """`share` of the hits is looked at again; 0: none."""
        self._every = round(1 / share) if share else 0

    def is_due(self, tool: str) -> bool:
        """A hit of the tool: whether it is run again. The first is, so that a clock is found out at once."""
        tally = self.tallies.setdefault(tool, Tally())
        tally.hits += 1
        return self._every > 0 and tally.hits % self._every == 1 % self._every

    def compare(self, sample: Sample, now: Output) -> bool:
        """What the second run gave. True: the tool is more volatile than declared."""
        tally = self.tallies.setdefault(sample.spec.name, Tally())
        tally.add(sample.spec, differs=not _is_same(sample.released, now))
        return tally.is_beyond(sample.spec.volatility)


def _is_same(one: Output, other: Output) -> bool:
    """Objects may come in another order of their keys."""
    if one.is_text != other.is_text or _whole(one.mcp) != _whole(other.mcp):
        return False
    if one.kept is not None:
        return one.digest == other.digest or not other.digest
    return one.body == other.body or (not one.is_text and _value(one.body) == _value(other.body))


def _whole(mcp: bytes | None) -> Any:
    """All that an MCP client is given, less what its server notes beside it: a time or an id of the call."""
    whole = _value(mcp or b"")
    return {key: part for key, part in whole.items() if key != "_meta"} if isinstance(whole, dict) else whole


def _value(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body
