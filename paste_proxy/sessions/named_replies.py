"""Replies that a request may name as the turn that it goes on from (`previous_response_id`)."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from paste_proxy.grammar.requests import Message, MessageCall, new_message
from paste_proxy.sessions.lineage import Lineage, Scope

REPLIES_KEPT = 4
"""Of one session: clients go on from the last reply, a retry from the one before it, a fork from an earlier."""


@dataclass(eq=False, slots=True, frozen=True)
class NamedReply:
    lineage: Lineage
    chain: bytes
    """Digest of the history up to and without it."""
    message: Message
    """Without its text, which counts by the digest."""


class NamedReplies:
    """Bounded by the sessions (`forget`). An id that two sessions have got names neither's reply."""

    def __init__(self) -> None:
        self._replies: dict[tuple[Scope, str], NamedReply | None] = {}
        self._ids: dict[Lineage, list[str]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def add(self, lineage: Lineage, text: str, calls: Iterable[MessageCall]) -> None:
        """The last request of `lineage` has this reply, whose id is `lineage.reply_id`."""
        said = replace(new_message("assistant", text, calls), text="")
        reply, reply_id = NamedReply(lineage, lineage.chain, said), lineage.reply_id
        key = (lineage.scope, reply_id)
        known = self._replies.get(key, reply)
        self._replies[key] = reply if known is not None and known.lineage is lineage else None
        ids = self._ids.setdefault(lineage, [])
        if reply_id not in ids:
            ids.append(reply_id)
        if len(ids) > REPLIES_KEPT:
            self._replies.pop((lineage.scope, ids.pop(0)), None)

    def find(self, scope: Scope, reply_id: str) -> NamedReply | None:
        return self._replies.get((scope, reply_id))

    def forget(self, lineage: Lineage) -> None:
        for reply_id in self._ids.pop(lineage, ()):
            self._replies.pop((lineage.scope, reply_id), None)
