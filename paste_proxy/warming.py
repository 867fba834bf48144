"""Prefixes that are read ahead: what a session's next request begins with, sent while its agent runs tools.

When a reply has asked for calls, the next request is known up to their results. Where the engine has forgotten
it meanwhile, reading it again is most of what that request will wait for; so it is read before, if the engine
has nothing else to do. Speculative work: for the turns that come it is called off at once, whosoever they are.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from paste_proxy.broker.permits import EVERY_TOOL, Permits
from paste_proxy.config import Config
from paste_proxy.deadlines import Deadlines, Timer
from paste_proxy.events import CancelWarm, Decision, WarmEnded, WarmPrefix
from paste_proxy.grammar.requests import MessageCall
from paste_proxy.pacing import Pacing
from paste_proxy.schedule.placement import Placement
from paste_proxy.sessions.state import SessionState
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import ToolSpec

WORTH_TOKENS = 1024
"""Gone from memory, from which on it is worth a request of its own: less is read beside other things."""
AT_ONCE = 1
"""At one backend: two would only be read one after the other."""
EARLY = 2.0
"""Times what it takes to read: so long before its session is expected it begins, since tools may be faster."""
LATE_S = 60.0
"""After the moment for it, if there was no slack until then, nobody waits for it any more."""
LONGEST_S = 60.0
"""A million tokens are read in that time: what takes longer hangs."""
TRIES = 2
"""For one return of a session: what was called off twice finds no slack."""
REPLY_LIMIT = 256 * 1024
"""Characters of a reply that are kept to send them back: more than models write in one turn."""
COVERED = 0.9
"""Of what was read ahead, what the next request must find to have been helped: its reply is often told in other
tokens than it was written in."""
SPEC = ToolSpec("", "", {})
"""Stands for a warm-up before the budgets, which know tools."""


@dataclass(slots=True)
class WarmLedger:
    """Counts since the start."""

    started: int = 0
    cancelled: int = 0
    """Called off before their end; in none of those below."""
    failed: int = 0
    used: int = 0
    """Whose session came, and found what was read."""
    unused: int = 0
    read_tokens: int = 0
    """That were not in memory, of those that came to their end..."""
    unused_tokens: int = 0
    """...and of those that were unused."""


@dataclass(eq=False, slots=True)
class _Away:
    """A session whose agent runs tools."""

    session: SessionState
    turn: str
    """Its last one."""
    backend: str
    text: str
    calls: tuple[MessageCall, ...]
    timer: Timer | None = None
    tries: int = 0


@dataclass(eq=False, slots=True)
class _Run:
    id: str
    away: _Away
    tokens: int
    gone: int
    timer: Timer


@dataclass(eq=False, slots=True)
class _Warmed:
    tokens: int
    read: int
    there: bool = False
    """By our own account, when its session came."""


class Warming:
    def __init__(
        self,
        config: Config,
        pacing: Pacing,
        placement: Placement,
        permits: Permits,
        deadlines: Deadlines,
        decide: Callable[[Decision], None],
    ) -> None:
        self.ledger = WarmLedger()
        self.on = config.schedule.warm_up == "on" and config.speculation.mode == "on"
        self._pacing = pacing
        self._placement = placement
        self._permits = permits
        self._deadlines = deadlines
        self._decide = decide
        self._ids = itertools.count(1)
        self._away: dict[str, _Away] = {}
        """By session, until its moment..."""
        self._due: dict[str, _Away] = {}
        """...and from then on."""
        self._runs: dict[str, _Run] = {}
        self._warmed: dict[str, _Warmed] = {}
        """By session, until it comes; then by turn."""
        self._look = False
        """Something may begin that could not before."""

    # -- sessions come and go -----------------------------------------------------------------------------

    def left(
        self, turn: str, session: SessionState, said: tuple[str, tuple[MessageCall, ...]], now: float
    ) -> None:
        """Its turn has ended, with calls."""
        text, calls = said
        if session.turn != turn or session.home is None:
            return
        if len(text) + sum(len(call.arguments) for call in calls) > REPLY_LIMIT:
            return
        away = self._away[session.id] = _Away(session, turn, session.home, text, calls)
        prefix = self._pacing.prefix(session.id, away.backend)
        wait_s = prefix.away_s - EARLY * prefix.read_s if prefix is not None else 0.0
        away.timer = self._deadlines.at(now + max(0.0, wait_s), lambda at: self._fall_due(away, at))

    def _fall_due(self, away: _Away, now: float) -> None:
        del self._away[away.session.id]
        self._due[away.session.id] = away
        away.timer = self._deadlines.at(now + LATE_S, lambda _: self._forget(away.session.id))
        self._look = True

    def came(self, turn: str, session: SessionState | None) -> None:
        """Its next request is here."""
        if session is None:
            return
        self._forget(session.id)
        for run in [run for run in self._runs.values() if run.away.session is session]:
            self._cancel(run)
        warmed = self._warmed.pop(session.id, None)
        if warmed is not None:
            prefix = self._pacing.prefix(session.id, session.home or "")
            warmed.there = prefix is not None and prefix.gone < WORTH_TOKENS
            self._warmed[turn] = warmed

    def closed(self, turn: str) -> None:
        """Its reply is over: what its backend says of it is known, and the backend has less to do."""
        self._look = self.on
        warmed = self._warmed.pop(turn, None)
        if warmed is None:
            return
        cached = self._pacing.cached(turn)
        self._judge(warmed, used=warmed.there if cached is None else cached >= COVERED * warmed.tokens)

    def over(self, session: str) -> None:
        """No request of it will come any more."""
        self._forget(session)
        warmed = self._warmed.pop(session, None)
        if warmed is not None:
            self._judge(warmed, used=False)

    def _forget(self, session: str) -> None:
        away = self._away.pop(session, None) or self._due.pop(session, None)
        if away is not None:
            self._deadlines.cancel(away.timer)

    def _judge(self, warmed: _Warmed, *, used: bool) -> None:
        if used:
            self.ledger.used += 1
        else:
            self.ledger.unused += 1
            self.ledger.unused_tokens += warmed.read

    # -- slack --------------------------------------------------------------------------------------------

    def preempt(self, backend: str) -> None:
        """A turn goes there, or waits to."""
        for run in [run for run in self._runs.values() if run.away.backend == backend]:
            self._cancel(run)

    def settle(self, now: float) -> None:
        """Whoever may go has gone: what is left over is slack."""
        for backend in {run.away.backend for run in self._runs.values()}:
            if self._pacing.waits(backend):
                self.preempt(backend)
        if not self._look:
            return
        self._look = False
        if EVERY_TOOL in self._permits.switched_off:
            return
        for away in list(self._due.values()):
            if self._under_way(away.backend) < AT_ONCE:
                self._try(away, now)

    def switched(self) -> None:
        """The operator switched something on or off."""
        self._look = True
        if EVERY_TOOL in self._permits.switched_off:
            for run in list(self._runs.values()):
                self._cancel(run)

    def _under_way(self, backend: str) -> int:
        return sum(run.away.backend == backend for run in self._runs.values())

    def _try(self, away: _Away, now: float) -> None:
        session = away.session
        prefix = self._pacing.prefix(session.id, away.backend)
        if prefix is None or prefix.gone < WORTH_TOKENS or not prefix.read_s:
            return
        if not self._placement.serves(away.backend) or session.home != away.backend:
            return
        if not self._pacing.has_slack(session.id, away.backend, prefix.tokens):
            return
        context = RunContext(session.tenant, session.id)
        if not self._permits.budgets.admits(SPEC, context, now):
            return
        run = f"warm-{next(self._ids)}"
        self._permits.budgets.begin(run, SPEC, context, now)
        self._begin(run, away, prefix.tokens, prefix.gone, now)

    def _begin(self, run: str, away: _Away, tokens: int, gone: int, now: float) -> None:
        self.ledger.started += 1
        away.tries += 1
        if away.tries == TRIES:
            self._forget(away.session.id)
        timer = self._deadlines.at(now + LONGEST_S, lambda _: self._cancel(self._runs[run]))
        self._runs[run] = _Run(run, away, tokens, gone, timer)
        band = self._placement.capacity(away.backend).priority
        self._decide(
            WarmPrefix(
                run,
                away.turn,
                away.backend,
                away.session.id,
                away.text,
                away.calls,
                band.latest if band is not None else None,
            )
        )

    def ended(self, event: WarmEnded) -> None:
        """Of those that were called off nobody wants to hear."""
        run = self._runs.get(event.warm_up)
        if run is None:
            return
        self._take(run)
        session, usage = run.away.session, event.usage
        self._forget(session.id)
        self._look = True
        if not event.ok:
            self.ledger.failed += 1
            return
        tokens = usage.prompt_tokens if usage is not None else run.tokens
        read = tokens - usage.cached_tokens if usage is not None else run.gone
        self.ledger.read_tokens += read
        self._warmed[session.id] = _Warmed(min(tokens, run.tokens), read)
        self._pacing.warmed(session.id, run.away.backend, tokens)

    def _cancel(self, run: _Run) -> None:
        self._take(run)
        self.ledger.cancelled += 1
        self._decide(CancelWarm(run.id))

    def _take(self, run: _Run) -> None:
        del self._runs[run.id]
        self._deadlines.cancel(run.timer)
        self._permits.budgets.end(run.id, started=True)
