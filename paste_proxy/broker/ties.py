"""Ties a call that reaches the gateway to the session whose model asked for it (DESIGN section 7).

By `tool_call_id` among the sessions that the identity headers name, then by these headers alone, then only if
exactly one unclaimed pending call of the tenant equals it. Anything else stays untied, and is run fresh.
"""

from collections.abc import Collection

import msgspec

from paste_proxy.broker.index import discard


class ModelCall(msgspec.Struct, frozen=True):
    """A call of a gateway tool that a model was seen to ask for and that nobody has claimed yet."""

    tenant: str
    session: str
    call_id: str
    tool: str
    arguments: str
    """Canonical JSON text."""
    place: str = ""
    """Tells calls apart that have no id."""

    @property
    def key(self) -> str:
        """Within its session."""
        return self.call_id or self.place


class Ties:
    """Index of model calls that have no result in the history yet; bounded by the sessions (`forget`).

    A claimed call stays known by its id, so that a repeated request for it stays with its session.
    """

    def __init__(self) -> None:
        self._by_session: dict[str, dict[str, ModelCall]] = {}
        self._by_id: dict[tuple[str, str], set[ModelCall]] = {}
        self._unclaimed: dict[tuple[str, str, str], set[ModelCall]] = {}

    def expect(self, call: ModelCall) -> None:
        if (earlier := self._by_session.get(call.session, {}).get(call.key)) is not None:
            self._drop(earlier)
        self._by_session.setdefault(call.session, {})[call.key] = call
        self._by_id.setdefault((call.tenant, call.call_id), set()).add(call)
        self._unclaimed.setdefault((call.tenant, call.tool, call.arguments), set()).add(call)

    def claim(
        self, tenant: str, tool: str, arguments: str, *, call_id: str, named: Collection[str] | None
    ) -> str:
        """The session that the call belongs to, or "".

        `named`: the sessions of the name that the caller gives; None if it gives none. No other may be meant:
        an id that none of them has issued is one that the client made, and leaves it to the name. Without a
        name it ties to nothing; so does whatever an id or a name contradicts.
        """
        known = self._by_id.get((tenant, call_id), set()) if call_id else set()
        unclaimed = self._unclaimed.get((tenant, tool, arguments), set())
        if named is not None:
            known = {call for call in known if call.session in named}
            unclaimed = {call for call in unclaimed if call.session in named}
        if known:
            same = {call for call in known if (call.tool, call.arguments) == (tool, arguments)}
            return self._claim_one_session(same)
        if named is not None:
            return self._claim_one_session(unclaimed) or (next(iter(named)) if len(named) == 1 else "")
        return self._claim_one_session(unclaimed) if len(unclaimed) == 1 and not call_id else ""

    def _claim_one_session(self, calls: set[ModelCall]) -> str:
        """Claim the first of `calls` if all are of one session; which of equal siblings does not matter."""
        if len({call.session for call in calls}) != 1:
            return ""
        call = min(calls, key=lambda one: one.key)
        discard(self._unclaimed, (call.tenant, call.tool, call.arguments), call)
        return call.session

    def answered(self, session: str, call_id: str) -> bool:
        """The call's result stands in the history: whoever ran it has run it. False if none was expected."""
        call = self._by_session.get(session, {}).get(call_id)
        if call is not None:
            self._drop(call)
        return call is not None

    def left(self, session: str) -> None:
        """The session asks again: its calls without an id were made, or never will be."""
        for call in [one for one in self._by_session.get(session, {}).values() if not one.call_id]:
            self._drop(call)

    def forget(self, session: str) -> None:
        for call in list(self._by_session.get(session, {}).values()):
            self._drop(call)

    def _drop(self, call: ModelCall) -> None:
        discard(self._by_id, (call.tenant, call.call_id), call)
        discard(self._unclaimed, (call.tenant, call.tool, call.arguments), call)
        calls = self._by_session[call.session]
        del calls[call.key]
        if not calls:
            del self._by_session[call.session]
