"""One lineage of requests, and where its next request may be recognised."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from paste_proxy.grammar.digests import (
    TextDigest,
    call_fields,
    digest_of_fields,
    extend_chain,
    of_doubles,
    squeeze,
    without_thinking,
)
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.grammar.requests.written_calls import as_written

Scope = tuple[str, str]
"""Tenant, and the name that the client gives the session, if any."""

SEEN_KEPT = 32
"""Points of its history by which a session's forks are known: about the last 15 turns, and the first."""

SPELT_LIMIT = 256 * 1024
"""Characters of a reply's text and arguments up to which it is known in every spelling: about 20 ms. Hardly a
model writes more in one turn, and then it must come back as it was sent."""


@dataclass(eq=False, slots=True)
class Lineage:
    """A session: requests of which each goes on from the one before, with that one's reply."""

    id: str
    scope: Scope
    last: float = 0.0
    """When its last turn ended."""
    turn: str = ""
    """The turn in flight, or the last one."""
    in_flight: bool = False
    answered: bool = False
    """The last request's reply is known."""
    failed: bool = False
    """The last turn ended without a whole reply."""
    unsent: bool = False
    """Then it never reached a model, so nothing is known to its client that is not known here."""
    chain: bytes = b""
    """Digest of the messages of the last request."""
    first: bytes = b""
    """Digest of its first message."""
    body: bytes = b""
    """Digest of its bytes."""
    tips: tuple[bytes, ...] = ()
    """Where it waits for its next request: chain digests of which one must be that request's prefix."""
    without_calls: bytes = b""
    """One of them: its last reply without its calls, which says little of whose it is."""
    prompt_end: int = 0
    """How much of a prompt, without white space, must have that digest; 0 where the history has messages."""
    prompt: TextDigest | None = None
    """Of the last request, where its history is one text."""
    reply_id: str = ""
    """The id of the last request's reply, where a later request may name it."""
    background: bool = False
    """The last request's reply goes on without its client, which may have the rest from elsewhere."""
    contested: bool = False
    """Others waited with the same history and the same reply, and one of them has gone on."""
    seen: list[bytes] = field(default_factory=list)
    """Chain digests of its requests and replies, oldest first."""

    def ask(self, request: ChatRequest) -> None:
        """A request of this session goes out; until its reply is known nothing can go on from it."""
        self.chain = request.chain[-1] if request.chain else b""
        self.first = request.chain[0] if request.chain else b""
        self.body = request.body_digest
        self.prompt = TextDigest(request.prompt) if request.prompt else None
        self.reply_id = ""
        self.background = request.background
        self.in_flight = True
        self.answered = False
        self.failed = False
        self.unsent = False
        self.tips = ()

    def retried_by(self, request: ChatRequest) -> bool:
        """After a failure the same request again: the same bytes, unless the client names the session."""
        same = request.chain[-1] == self.chain and (request.body_digest == self.body or bool(self.scope[1]))
        return self.failed and same


def reply_tips(chain: bytes, text: str, calls: Iterable[MessageCall]) -> tuple[bytes, ...]:
    """Digests of the history `chain` with this reply, as clients write it into their next request.

    They drop the thinking that some engines leave in the text, and some drop the text beside calls. Calls
    must come back with their ids, names and arguments; but where arguments are no text, JavaScript writes 1.0
    as 1, and calls that are written into the text have ids and names only.
    """
    said = [(call.call_id, call.name, call.arguments) for call in calls]
    spellings, texts = [said], [text]
    if len(text) + sum(len(arguments) for _, _, arguments in said) <= SPELT_LIMIT:
        spellings += _other_spellings(said)
        texts += [without_thinking(text), *([""] if said else [])]
    squeezed = [squeeze(one) for one in dict.fromkeys(texts)]
    fields = [call_fields(spelling) for spelling in spellings]
    return tuple(
        dict.fromkeys(
            extend_chain(chain, digest_of_fields("assistant", one, told)) for told in fields for one in squeezed
        )
    )


def _other_spellings(said: list[tuple[str, str, str]]) -> list[list[tuple[str, str, str]]]:
    rewritten = [(call_id, name, of_doubles(arguments)) for call_id, name, arguments in said]
    return [as_written(said), *([rewritten] if rewritten != said else [])] if said else []


def prompt_tip(prompt: TextDigest, text: str) -> tuple[bytes, int]:
    """Digest and size of the prompt with this reply; size 0 where the reply says nothing to know it by."""
    reply = squeeze(text)
    if not reply:
        return b"", 0
    prompt.add(reply)
    return prompt.value(), prompt.size
