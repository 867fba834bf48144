"""What running a candidate ahead is worth, in seconds of waiting saved (DESIGN section 6).

    p x E[min(S, L)] - (1 - p) x price x E[S] - overhead

S is the tool's service time; L the lead that is left, from now to the seal of its call. Both are learnt as
histograms rather than means: what is saved is the lesser of the two, and that depends on their tails.
"""

import math
from collections.abc import Callable, Hashable
from itertools import accumulate
from operator import mul
from typing import TypeAlias, TypeVar

K = TypeVar("K", bound=Hashable)
Left: TypeAlias = list[tuple[float, float]]
"""Times that may be left, rising, with their probabilities."""
_Lead: TypeAlias = tuple[str, bool]
"""Of a tool's calls: from the turn's request on, or from their name on."""

FIRST_S = 0.001
"""Upper end of the first bin: nothing shorter is worth telling apart."""
PER_OCTAVE = 2
"""Bins for each doubling: a time is known within 20 %, finer than it repeats."""
BINS = 42
"""Up to half an hour."""
HORIZON = 64.0
"""Observations after which all are halved: a service that got slower shows within some dozen calls."""
ENOUGH = 8
"""Observations after which wider knowledge (of all tools; of a tool anywhere, for one application) is dropped:
a tenth of it that is much slower would hide how fast a tool is."""
PRIOR = 1.0
"""Observations that it counts for until then."""
KEPT = 1024
"""Tools, and tools in applications, of which times are known; the longest unused is forgotten first. 1 MB."""
LATEST = 0.95
"""A run that begins later than 95 % of such calls are sealed is hardly ever in time."""

OVERHEAD_S = 0.002
"""What a start costs beside the run: some hundred microseconds of the proxy, more of the tool's worker."""
PRICES = ((0.5, 0.02), (0.8, 0.05), (1.0, 0.25))
"""By the share of slots that authoritative work has: below it, a wasted second of a run weighs so many seconds
of waiting. Idle slots are nearly free, as the run is pre-empted when they are needed. Where most are taken a
wasted second weighs more, as it slows the services behind the tools; where all are, nothing is run ahead."""
MONEY = 1.0
"""The same for a tool with a price: what is wasted is paid, whatever the load."""


class Durations:
    """A decayed histogram of times with bins that double, and what follows from it."""

    __slots__ = ("_counts", "_prior", "_saved", "_stale", "_survival", "_total")

    def __init__(self, prior: list[float]) -> None:
        """`prior`: shares of the bins, which count as `PRIOR` observations."""
        self._prior: list[float] | None = [PRIOR * share for share in prior]
        self._counts = [*self._prior]
        self._total = PRIOR
        self._saved: list[float] = []
        self._survival: list[float] = []
        self._stale = True

    def add(self, seconds: float) -> None:
        if self._total >= HORIZON:
            self._counts = [count / 2 for count in self._counts]
            self._total /= 2
        if self._prior is not None and self._total >= PRIOR + ENOUGH:
            self._counts = [count - prior for count, prior in zip(self._counts, self._prior, strict=True)]
            self._total, self._prior = self._total - PRIOR, None
        self._counts[_bin(seconds)] += 1
        self._total += 1
        self._stale = True

    def shares(self) -> list[float]:
        return [count / self._total for count in self._counts]

    @property
    def mean(self) -> float:
        self._sum_up()
        return self._saved[-1]

    def at_most(self, seconds: float) -> float:
        """E[min(S, seconds)]."""
        if seconds <= 0:
            return 0.0
        self._sum_up()
        at = _bin(seconds)
        return self._saved[at] + seconds * self._survival[at]

    def beyond(self, elapsed: float) -> Left:
        """The time that is left after `elapsed` seconds, with its probabilities; empty: it is over by now."""
        left = [
            (middle - elapsed, count)
            for middle, count in zip(MIDDLES, self._counts, strict=True)
            if count and middle > elapsed
        ]
        total = sum(count for _, count in left)
        return [(seconds, count / total) for seconds, count in left]

    def _sum_up(self) -> None:
        """For each bin, what the times in it and below add to the mean, and the share of those above."""
        if not self._stale:
            return
        self._stale = False
        shares = self.shares()
        self._saved = list(accumulate(map(mul, shares, MIDDLES)))
        self._survival = [max(0.0, 1.0 - below) for below in accumulate(shares)]


class ValueModel:
    """Learns the times of tools, and says what candidates are worth. Everything is bounded."""

    def __init__(self) -> None:
        self._service: dict[str, Durations] = {}
        self._lead: dict[_Lead, Durations] = {}
        self._lead_there: dict[tuple[Hashable, _Lead], Durations] = {}

    def served(self, tool: str, seconds: float) -> None:
        """A call of `tool` took so long."""
        self._service_of(tool).add(seconds)

    def sealed(self, application: Hashable, tool: str, seconds: float, *, named: bool = False) -> None:
        """A call of `tool` was complete so long after its turn's request; `named`: after its name."""
        self._lead_of(application, (tool, named)).add(seconds)
        self._lead_anywhere((tool, named)).add(seconds)

    def value(
        self,
        application: Hashable,
        tool: str,
        probability: float,
        elapsed: float,
        price: float,
        *,
        named: bool = False,
    ) -> float:
        """Seconds that it is worth to start a call now, `elapsed` seconds after its turn's request, or after
        its name."""
        return self.worth(tool, probability, self.left(application, tool, elapsed, named=named), price)

    def worth(self, tool: str, probability: float, left: Left, price: float) -> float:
        """The same, by the time that is left until its call is sealed."""
        service, chance = self._service_of(tool), min(max(probability, 0.0), 1.0)
        saved = sum(share * service.at_most(seconds) for seconds, share in left)
        return chance * saved - (1 - chance) * price * service.mean - OVERHEAD_S

    def left(self, application: Hashable, tool: str, elapsed: float, *, named: bool = False) -> Left:
        """The time that is left until a call is sealed; empty: such calls are sealed by now."""
        return self._lead_of(application, (tool, named)).beyond(elapsed)

    def left_after(self, left: Left, application: Hashable, tool: str) -> Left:
        """The same of a call in the turn after: its request goes out when what is `left` is over."""
        return _summed(left, self.left(application, tool, 0.0))

    def _service_of(self, tool: str) -> Durations:
        return _known(self._service, tool, lambda: SERVICE_PRIOR)

    def _lead_anywhere(self, lead: _Lead) -> Durations:
        return _known(self._lead, lead, lambda: WRITING_PRIOR if lead[1] else LEAD_PRIOR)

    def _lead_of(self, application: Hashable, lead: _Lead) -> Durations:
        return _known(self._lead_there, (application, lead), lambda: self._lead_anywhere(lead).shares())


def latest(left: Left) -> float:
    """Seconds after which its turn is expected to be over, and a start worthless."""
    passed = 0.0
    for seconds, share in left:
        passed += share
        if passed >= LATEST:
            return seconds
    return 0.0


def price_at(pressure: float) -> float:
    """The price of a wasted second where `pressure` is the share of slots that authoritative work has."""
    return next((price for most, price in PRICES if pressure < most), math.inf)


def _known(table: dict[K, Durations], key: K, prior: Callable[[], list[float]]) -> Durations:
    """The entry, which is now the most recently used."""
    found = table.pop(key, None) or Durations(prior())
    table[key] = found
    if len(table) > KEPT:
        del table[next(iter(table))]
    return found


def _summed(one: Left, other: Left) -> Left:
    """Of two times, one after the other; by bins, so that it stays as short as one."""
    shares: dict[int, float] = {}
    for seconds, share in one:
        for more, part in other:
            at = _bin(seconds + more)
            shares[at] = shares.get(at, 0.0) + share * part
    return [(MIDDLES[at], shares[at]) for at in sorted(shares)]


def _bin(seconds: float) -> int:
    if not seconds > FIRST_S:
        return 0
    octaves = min(math.log2(seconds / FIRST_S), BINS)
    return min(BINS - 1, math.ceil(PER_OCTAVE * octaves))


def _even(shortest: float, longest: float) -> list[float]:
    """Every bin between two times alike."""
    first, last = _bin(shortest), _bin(longest)
    return [float(first <= at <= last) / (last - first + 1) for at in range(BINS)]


MIDDLES = [FIRST_S * 2 ** ((at - 0.5) / PER_OCTAVE) for at in range(BINS)]
SERVICE_PRIOR = _even(0.02, 10.0)
"""Of a tool that nobody has called: from a look-up in a file to a slow page."""
LEAD_PRIOR = _even(0.5, 64.0)
"""From a call that is written at once to one after a page of reasoning."""
WRITING_PRIOR = _even(0.05, 4.0)
"""From a name to the end of its arguments: a few to some hundred tokens."""
