"""Which session does a request belong to? (DESIGN section 4, "session")

A client without state sends its whole history each time. So a session is known by where it waits: at the
digest of its last request's messages with the reply that it got. The request that has this digest as a prefix
is its next one. Call ids and text of the reply are in the digest, so two sessions that began with equal
requests part with their first replies. If not even those differ, nobody can tell their next requests apart:
each then begins a new session, in doubt, rather than perhaps continue another's.

Not all requests tell their history so: `histories` makes one of what they tell.

A name (header or field) narrows the search to the sessions of that name, and allows several: sub-tasks and
title generators run under the name of their agent. Tenants never meet.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import msgspec

from paste_proxy.events import Identity
from paste_proxy.grammar.digests import digest, extend_chain, message_digest
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.sessions.histories import Histories
from paste_proxy.sessions.lineage import SEEN_KEPT, Lineage, Scope, prompt_tip, reply_tips

Relation = Literal["new", "continued", "retry", "child", "edited"]


class Resolution(msgspec.Struct, frozen=True):
    """The session of a request, and how it got there.

    `continued` and `retry`: a session that was there. `new`, `child` (goes on from a point from which its
    parent went on already) and `edited` (its parent's history, changed) begin a session.
    """

    session: str
    relation: Relation
    parent: str = ""
    """The session from whose history this one branches off, or whose sub-agent it is; else empty."""
    fresh_from: int = 0
    """Index of the first message that this session had not seen before; the last reply counts as not seen."""
    in_doubt: bool = False
    """Whose request this is could not be made sure: nothing that was staged before may be released to it."""
    contested: tuple[str, ...] = ()
    """The sessions of which one goes on as this one, nobody knows which. The first waits no longer."""


class SessionTable:
    """Bounded: beyond `limit` sessions the one longest not heard of is dropped, after `idle_s` seconds any; but
    none whose turn is in flight.

    The owner reports every turn: `whole`, `resolve`, `turn_opened`, perhaps `reply_named` and `turn_replied`,
    `turn_closed`. Turns and sessions that are not, or no longer, known are ignored.
    """

    def __init__(self, limit: int, idle_s: float) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._count = 0
        self._lineages: dict[str, Lineage] = {}
        self._resting: OrderedDict[str, Lineage] = OrderedDict()
        """Those whose turn is not in flight, the one longest not heard of first."""
        self._tips: dict[tuple[Scope, bytes], dict[str, Lineage]] = {}
        self._seen: dict[tuple[Scope, bytes], str] = {}
        self._named: dict[Scope, dict[str, Lineage]] = {}
        """The latest last."""
        self._histories = Histories(self._waiting, self._seen)
        self._dropped: list[str] = []
        self._dropped_at = 0.0
        """The last of these for the limit."""

    def __len__(self) -> int:
        return len(self._lineages)

    # -- requests -----------------------------------------------------------------------------------------

    def whole(self, identity: Identity, request: ChatRequest) -> ChatRequest:
        """The request as if it told its history in messages, one for each reply, as far as that is known."""
        return self._histories.whole((identity.tenant, identity.session), request)

    def resolve(self, identity: Identity, request: ChatRequest, now: float) -> Resolution:
        """Find or begin the session of a `whole` request, which then counts as in flight."""
        scope = (identity.tenant, identity.session)
        candidates, at = self._candidates(scope, request)
        if len(candidates) == 1 and not candidates[0].contested:
            return self._go_on(candidates[0], request, at)
        if candidates:
            self._contest(candidates)
            return self._begin(scope, request, "new", "", now, tuple(one.id for one in candidates))
        relation, parent = self._origin(identity, request)
        return self._begin(scope, request, relation, parent, now)

    def _candidates(self, scope: Scope, request: ChatRequest) -> tuple[list[Lineage], int]:
        """The sessions whose next request this may be, and the index of the message at which they wait."""
        chain = request.chain
        if not chain:
            return [], 0
        last = len(chain) - 1
        retries = [one for one in self._waiting(scope, chain[last]) if one.retried_by(request)]
        for at in range(last, -1, -1):
            waiting = [one for one in self._waiting(scope, chain[at]) if at < last or one.chain != chain[at]]
            if waiting:
                sure = [one for one in waiting if one.without_calls != chain[at]]
                return [*retries, *(sure or waiting)], at
            if at < last and (scope, chain[at]) in self._seen:
                break
        return retries, last

    def _waiting(self, scope: Scope, tip: bytes) -> Sequence[Lineage]:
        waiting = self._tips.get((scope, tip))
        return tuple(waiting.values()) if waiting else ()

    def _go_on(self, lineage: Lineage, request: ChatRequest, at: int) -> Resolution:
        retry = lineage.retried_by(request)
        unsure = not retry and (
            (request.chain[at] in (lineage.chain, lineage.without_calls) and not lineage.unsent)
            or any(one.role == "assistant" for one in request.messages[at + 1 :])
        )
        fresh_from = at + 1 if lineage.chain == request.chain[at] else at
        self._see(lineage, request.chain[at])
        self._ask(lineage, request)
        return Resolution(lineage.id, "retry" if retry else "continued", "", fresh_from, unsure)

    def _contest(self, candidates: list[Lineage]) -> None:
        """One of these goes on, nobody knows which: one fewer waits, and none of them is ever sure again."""
        self._unwait(candidates[0])
        for other in candidates[1:]:
            other.contested = True

    def _origin(self, identity: Identity, request: ChatRequest) -> tuple[Relation, str]:
        """How a request that continues no session came about."""
        scope = (identity.tenant, identity.session)
        for at in range(len(request.chain) - 2, -1, -1):
            parent = self._seen.get((scope, request.chain[at]))
            if parent is not None:
                return "child" if request.messages[at].role == "assistant" else "edited", parent
        kin = self._latest(scope)
        if kin is not None and self._rewrites(kin, request):
            return "edited", kin.id
        if identity.parent:
            kin = self._latest((identity.tenant, identity.parent))
            return "new", kin.id if kin is not None else ""
        return "new", ""

    def _rewrites(self, kin: Lineage, request: ChatRequest) -> bool:
        """Of one name and with one system prompt, but not the same request again: a compacted history."""
        chain = request.chain
        return bool(chain) and kin.first == chain[0] and (kin.scope, chain[-1]) not in self._seen

    def _latest(self, scope: Scope) -> Lineage | None:
        named = self._named.get(scope)
        return next(reversed(named.values())) if named else None

    def _begin(
        self,
        scope: Scope,
        request: ChatRequest,
        relation: Relation,
        parent: str,
        now: float,
        contested: tuple[str, ...] = (),
    ) -> Resolution:
        self._count += 1
        origin = digest(msgspec.msgpack.encode((scope, request.chain[-1:])))
        lineage = Lineage(f"{self._count:x}-{origin[:4].hex()}", scope)
        self._lineages[lineage.id] = lineage
        self._ask(lineage, request)
        self._make_room(now)
        return Resolution(lineage.id, relation, parent, 0, bool(contested), contested)

    def _make_room(self, now: float) -> None:
        """Drop what is longest not heard of; turns in flight are bounded by their connections, and stay."""
        while len(self._lineages) > self._limit and self._resting:
            self._drop(next(iter(self._resting)))
            self._dropped_at = now

    def _ask(self, lineage: Lineage, request: ChatRequest) -> None:
        self._resting.pop(lineage.id, None)
        self._unwait(lineage)
        lineage.ask(request)
        self._see(lineage, lineage.chain)
        if lineage.scope[1]:
            named = self._named.setdefault(lineage.scope, {})
            named.pop(lineage.id, None)
            named[lineage.id] = lineage

    # -- turns --------------------------------------------------------------------------------------------

    def turn_opened(self, session: str, turn: str) -> None:
        """The request just resolved to `session` goes out as `turn`."""
        lineage = self._lineages.get(session)
        if lineage is not None:
            lineage.turn = turn

    def turn_withdrawn(self, session: str, turn: str, now: float) -> None:
        """The turn ended unsent: its session waits for the same request, or for what follows on it."""
        self.turn_closed(session, turn, now, complete=False)
        lineage = self._lineages.get(session)
        if lineage is not None and lineage.turn == turn and lineage.failed:
            lineage.unsent = True

    def awaits_again(self, identity: Identity, request: ChatRequest) -> bool:
        """Whether a session whose turn failed waits for just this request."""
        scope = (identity.tenant, identity.session)
        waiting = self._waiting(scope, request.chain[-1]) if request.chain else ()
        return any(one.retried_by(request) for one in waiting)

    def reply_named(self, session: str, turn: str, reply_id: str) -> None:
        """The reply has an id, by which a later request may name it."""
        lineage = self._lineages.get(session)
        if lineage is not None and lineage.turn == turn:
            lineage.reply_id = reply_id

    def turn_replied(self, session: str, turn: str, *, text: str, calls: Sequence[MessageCall]) -> None:
        """The model has stopped: the reply is whole, though its last bytes may be on their way still.

        Call it as soon as that is known, since the client may send its next request before the turn is closed.
        """
        lineage = self._lineages.get(session)
        if lineage is not None and lineage.turn == turn and lineage.in_flight and not lineage.answered:
            lineage.answered = True
            self._take_reply(lineage, text, calls)

    def turn_closed(
        self,
        session: str,
        turn: str,
        now: float,
        *,
        complete: bool,
        text: str = "",
        calls: Sequence[MessageCall] = (),
    ) -> None:
        """The turn is over. `text` and `calls` are what came of it, not read if `turn_replied` told already."""
        lineage = self._lineages.get(session)
        if lineage is None or lineage.turn != turn or not lineage.in_flight:
            return
        if complete:
            self.turn_replied(session, turn, text=text, calls=calls)
        elif not lineage.answered:
            lineage.failed = True
            if lineage.reply_id and lineage.background:
                self._take_reply(lineage, text, calls)
            elif text or calls:
                self._wait_for_next(lineage, text, calls)
            self._wait(lineage, lineage.chain)
        lineage.in_flight, lineage.last = False, now
        self._resting[session] = lineage

    # -- memory -------------------------------------------------------------------------------------------

    def by_name(self, tenant: str, name: str) -> list[str]:
        """The sessions that the client gave this name, the latest last."""
        return list(self._named.get((tenant, name), ())) if name else []

    def expire(self, now: float) -> list[str]:
        """Drop the sessions that are due. Returns those dropped since the last call, also for the limit."""
        while (due := self._next_due()) is not None and due <= now:
            self._drop(next(iter(self._resting)))
        dropped, self._dropped = self._dropped, []
        return dropped

    def _next_due(self) -> float | None:
        oldest = next(iter(self._resting.values()), None)
        return oldest.last + self._idle_s if oldest is not None else None

    def _drop(self, session: str) -> None:
        self.forget(session)
        self._dropped.append(session)

    def next_deadline(self) -> float | None:
        """When to call `expire`: at once if something was dropped for the limit."""
        return self._dropped_at if self._dropped else self._next_due()

    def forget(self, session: str) -> None:
        """The session is over."""
        lineage = self._lineages.pop(session, None)
        if lineage is None:
            return
        self._resting.pop(session, None)
        self._unwait(lineage)
        self._histories.replies.forget(lineage)
        for point in lineage.seen:
            self._unsee(lineage, point)
        named = self._named.get(lineage.scope)
        if named is not None:
            del named[session]
            if not named:
                del self._named[lineage.scope]

    def _take_reply(self, lineage: Lineage, text: str, calls: Sequence[MessageCall]) -> None:
        """The next request may name it, if it has a name."""
        self._wait_for_next(lineage, text, calls)
        if lineage.reply_id:
            self._histories.replies.add(lineage, text, calls)

    def _wait_for_next(self, lineage: Lineage, text: str, calls: Sequence[MessageCall]) -> None:
        """The next request goes on from this reply."""
        if lineage.prompt is None:
            self._wait(lineage, *reply_tips(lineage.chain, text, calls))
            if calls:
                lineage.without_calls = extend_chain(lineage.chain, message_digest("assistant", text))
                self._wait(lineage, lineage.without_calls)
            return
        tip, lineage.prompt_end = prompt_tip(lineage.prompt, text)
        if lineage.prompt_end:
            self._histories.prompt_ends.add(lineage.scope, lineage.prompt_end)
            self._wait(lineage, tip)

    def _wait(self, lineage: Lineage, *tips: bytes) -> None:
        lineage.tips += tips
        for tip in tips:
            self._tips.setdefault((lineage.scope, tip), {})[lineage.id] = lineage

    def _unwait(self, lineage: Lineage) -> None:
        for tip in lineage.tips:
            key = (lineage.scope, tip)
            waiting = self._tips[key]
            del waiting[lineage.id]
            if not waiting:
                del self._tips[key]
        if lineage.prompt_end:
            self._histories.prompt_ends.remove(lineage.scope, lineage.prompt_end)
        lineage.tips, lineage.without_calls, lineage.prompt_end = (), b"", 0
        lineage.contested = False

    def _see(self, lineage: Lineage, point: bytes) -> None:
        """Remember a point of a session's history: the first one, and the latest."""
        if point in lineage.seen[-2:]:
            return
        if len(lineage.seen) == SEEN_KEPT:
            self._unsee(lineage, lineage.seen.pop(1))
        lineage.seen.append(point)
        self._seen[lineage.scope, point] = lineage.id

    def _unsee(self, lineage: Lineage, point: bytes) -> None:
        if self._seen.get((lineage.scope, point)) == lineage.id:
            del self._seen[lineage.scope, point]
