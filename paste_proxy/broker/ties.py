"""Ties a call that reaches the gateway to the session whose model asked for it (DESIGN section 7).

By `tool_call_id` first, then by the identity headers, then only if exactly one unclaimed pending call of the
tenant equals it. Anything else stays untied, and is run fresh.
"""

from collections.abc import Collection
from typing import TypeVar

import msgspec

K = TypeVar("K")


class ModelCall(msgspec.Struct, frozen=True):
    """A call of a gateway tool that a model was seen to ask for and that nobody has claimed yet."""

    tenant: str
    session: str
    call_id: str
    tool: str
    arguments: str
    """Canonical JSON text."""


class Ties:
    """Index of unclaimed model calls, bounded by the sessions: `forget` drops a session's."""

    def __init__(self) -> None:
        self._by_session: dict[str, dict[str, ModelCall]] = {}
        self._by_id: dict[tuple[str, str], set[ModelCall]] = {}
        self._by_call: dict[tuple[str, str, str], set[ModelCall]] = {}

    def expect(self, call: ModelCall) -> None:
        calls = self._by_session.setdefault(call.session, {})
        if (earlier := calls.get(call.call_id)) is not None:
            self._drop(earlier)
        self._by_session.setdefault(call.session, {})[call.call_id] = call
        self._by_id.setdefault((call.tenant, call.call_id), set()).add(call)
        self._by_call.setdefault((call.tenant, call.tool, call.arguments), set()).add(call)

    def claim(self, tenant: str, tool: str, arguments: str, *, call_id: str, named: Collection[str]) -> str:
        """The session that the call belongs to, or "". `named`: the sessions that the identity headers name."""
        equal = self._by_call.get((tenant, tool, arguments), set())
        if call_id and (known := self._by_id.get((tenant, call_id))):
            return self._claim_one_session(equal & known)
        if named:
            own = {call for call in equal if call.session in named}
            return self._claim_one_session(own) or (next(iter(named)) if len(named) == 1 else "")
        return self._claim_one_session(equal) if len(equal) == 1 else ""

    def _claim_one_session(self, calls: set[ModelCall]) -> str:
        """Claim the first of `calls` if all are of one session; which of equal siblings does not matter."""
        if len({call.session for call in calls}) != 1:
            return ""
        call = min(calls, key=lambda one: one.call_id)
        self._drop(call)
        return call.session

    def answered(self, session: str, call_id: str) -> None:
        """The call's result stands in the history: whoever ran it has run it."""
        if (call := self._by_session.get(session, {}).get(call_id)) is not None:
            self._drop(call)

    def forget(self, session: str) -> None:
        for call in list(self._by_session.get(session, {}).values()):
            self._drop(call)

    def _drop(self, call: ModelCall) -> None:
        _remove(self._by_id, (call.tenant, call.call_id), call)
        _remove(self._by_call, (call.tenant, call.tool, call.arguments), call)
        calls = self._by_session[call.session]
        del calls[call.call_id]
        if not calls:
            del self._by_session[call.session]


def _remove(index: dict[K, set[ModelCall]], key: K, call: ModelCall) -> None:
    index[key].discard(call)
    if not index[key]:
        del index[key]
