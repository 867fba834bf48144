"""What turns are expected to need, learnt from those before: of each application, and of each backend.

An application is whoever offers the same tools to the same model. All is causal and bounded.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

WEIGHT = 0.1
"""Of a new observation: what changed shows within some dozen turns. The first ones weigh more."""
KNOWN = 8
"""Turns, and times that sessions came to an end, after which an application's habits are believed."""
SELDOM = 0.2
"""Below this share of turns that are followed by another, a session is expected to have one only."""
OFTEN = 0.5
"""From this share of ends on after which sessions went on all the same, an end is none."""
ENDS = 32
"""Ends of which it is known whether the session came back, after which they are believed: if three of so many
did, it is less than one in four in truth, of which one may be sure in 95 of 100 cases."""
SELDOM_BACK = 0.1
"""Up to this share of ends that sessions came back from, an end is one. To be wrong costs a session its prompt,
to be right saves another its own, and only while memory is short: so right nine times in ten."""
BACK_S = 600.0
"""Who comes later does not count as having come back: people who answer do so within minutes, and an engine
that is short of memory has read all of it anew many times by then."""
ENDS_WEIGHT = 0.02
"""Of one end: when a few dozen chats end together, as in the evening, that makes no tasks of them."""
WATCHED = 64
"""Sessions of an application whose coming back is waited for at once: twice what it takes to know."""
APPLICATIONS, TOOLS = 256, 64
"""Remembered; of an application's tools the longest unused are forgotten first."""
TOKENS_PER_CHARACTER = 0.25
"""Of English text, with today's vocabularies."""
OUTPUT = 400
"""Tokens of a reply, before anything is known."""
LEAST_TOKENS = 1024
"""Read for a turn, from which the engine's rate can be told: below it other things take the time."""
FADES = 0.999
"""The best rate seen is believed a little less with each turn: models and settings change. A crowd has hundreds
of turns in the time in which what they read together is known."""
TOGETHER_S = 180.0
"""From the request on that went out first to the prompt that was read last, of those that are added up: long
beside a turn's wait, for which it comes out too low."""


class Mean:
    """Of late."""

    __slots__ = ("count", "value", "weight")

    def __init__(self, value: float = 0.0, weight: float = WEIGHT) -> None:
        """`value`: before anything is known."""
        self.value = value
        self.weight = weight
        self.count = 0

    def add(self, value: float) -> None:
        self.count += 1
        self.value += (value - self.value) * max(self.weight, 1 / self.count)


class Ends:
    """Whether sessions come back after a reply without a call. Each end counts once, when that is known: as
    soon as its session is back, or `BACK_S` after it."""

    __slots__ = ("_away", "_back")

    def __init__(self) -> None:
        self._back = Mean(weight=ENDS_WEIGHT)
        """1 for each that came back, 0 for each that did not."""
        self._away: OrderedDict[str, float] = OrderedDict()
        """Sessions that are waited for, by when their reply ended."""

    def ended(self, session: str, now: float) -> None:
        self._look(now)
        if len(self._away) < WATCHED:  # which ones are watched does not depend on what becomes of them
            self._away.setdefault(session, now)

    def came(self, session: str, now: float) -> None:
        self._look(now)
        if self._away.pop(session, None) is not None:
            self._back.add(1.0)

    def _look(self, now: float) -> None:
        while self._away and next(iter(self._away.values())) + BACK_S <= now:
            self._away.popitem(last=False)
            self._back.add(0.0)

    @property
    def are_final(self) -> bool:
        return self._back.count >= ENDS and self._back.value <= SELDOM_BACK


class Application:
    def __init__(self) -> None:
        self.output = Mean(OUTPUT)
        """Tokens of a reply."""
        self.fresh = Mean(OUTPUT)
        """Tokens that a next request brings beside the last reply."""
        self.opening_ratio = Mean(TOKENS_PER_CHARACTER)
        self.fresh_ratio = Mean(TOKENS_PER_CHARACTER)
        """Tokens per character, of first requests and of what later ones bring."""
        self.shared = Mean()
        """Tokens of a first prompt that the engine had in memory: other sessions began with the same."""
        self._followed = Mean()
        """1 for each turn that came after another of its session, 0 for each first one."""
        self._went_on = Mean()
        """1 for each end after which the session went on, 0 for each end."""
        self.ends = Ends()
        self._away: OrderedDict[str, Mean] = OrderedDict()

    def came(self, *, first: bool) -> None:
        self._followed.add(0.0 if first else 1.0)

    def ended(self) -> None:
        """A reply asked for no call."""
        self._went_on.add(0.0)

    def went_on(self) -> None:
        """After such a reply."""
        self._went_on.add(1.0)

    def was_away(self, tool: str, seconds: float) -> None:
        """Between a reply that called `tool` ("" for none) and the next request."""
        if tool not in self._away and len(self._away) >= TOOLS:
            self._away.popitem(last=False)
        self._away.setdefault(tool, Mean()).add(seconds)
        self._away.move_to_end(tool)

    def away_s(self, tool: str) -> float:
        """0 where nothing is known."""
        known = self._away.get(tool)
        return known.value if known is not None else 0.0

    @property
    def mean_away_s(self) -> float:
        known = [mean.value for tool, mean in self._away.items() if tool]
        return sum(known) / len(known) if known else 0.0

    @property
    def returns(self) -> bool:
        """A session has more than one turn, as far as one can tell."""
        return self._followed.count < KNOWN or self._followed.value >= SELDOM

    @property
    def goes_on(self) -> bool:
        """A session whose reply asks for no call is expected to come again: its calls are in the text, or its
        user answers at once. Each that did counts twice, as an end and as none: half of them is a third."""
        return self._went_on.count >= KNOWN and self._went_on.value >= OFTEN / (1 + OFTEN)

    @property
    def growth(self) -> int:
        return round(self.output.value + self.fresh.value)


class Applications:
    """Each is its tenant's: nobody teaches the proxy habits that are others'."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Application] = OrderedDict()

    def of(self, tenant: str, model: str, tools: Sequence[str]) -> Application:
        key = _digest(tenant, model, *tools)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Application()
            if len(self._known) > APPLICATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return found


class Rates:
    """Of one backend, in tokens a second; 0: not known yet."""

    def __init__(self) -> None:
        self.prefill = 0.0
        """All turns together. A turn waits for others before it is read, so the best of late is nearest; what
        all of them read in some minutes is the least that it can be, however long each of them waits."""
        self._least = 0.0
        self._together = 0
        """Tokens, all of which were read..."""
        self._from = math.inf
        """...from then..."""
        self._to = -math.inf
        """...to then."""
        self._decode = Mean()

    @property
    def decode(self) -> float:
        """Of one turn, beside as many as there are of late."""
        return self._decode.value

    def read(self, tokens: int, sent: float, read: float) -> None:
        if tokens >= LEAST_TOKENS and read > sent:
            self.prefill = max(FADES * self.prefill, self._least, tokens / (read - sent))
        self._together += tokens
        self._from, self._to = min(self._from, sent), max(self._to, read)
        if self._to - self._from >= TOGETHER_S:
            self._least = self._together / (self._to - self._from)
            if self.prefill:  # of short turns alone it would be how often they come
                self.prefill = max(self.prefill, self._least)
            self._together, self._from = 0, math.inf

    def wrote(self, tokens: int, seconds: float) -> None:
        if tokens > 1 and seconds > 0:
            self._decode.add((tokens - 1) / seconds)

    def seconds(self, prompt: int, output: float) -> float:
        read = prompt / self.prefill if self.prefill else 0.0
        return read + (output / self._decode.value if self._decode.value else 0.0)


def _digest(*names: str) -> bytes:
    """Names come from clients, and are as long as these like."""
    digest = blake2b(digest_size=16)
    for name in names:
        encoded = name.encode()
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.digest()
