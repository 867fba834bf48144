"""The histories of requests, told alike: as messages, one for each reply, so that sessions are known by them.

Some requests bring only what is new, and name the reply that they go on from. The history of others is one
text, a prompt, which begins with the last one and its reply. And a reply may be spread over several messages.
"""

from collections.abc import Callable, Container, Sequence
from itertools import takewhile

from msgspec.structs import replace

from paste_proxy.grammar.digests import digest, extend_chain, prefix_digests
from paste_proxy.grammar.requests import ChatRequest, Message, chain_of, new_message
from paste_proxy.sessions.lineage import Lineage, Scope
from paste_proxy.sessions.named_replies import NamedReplies
from paste_proxy.sessions.prompts import PromptEnds

REPLIES_TRIED = 4
"""Places of a history at which the last reply may have begun; it is nearly always the first one tried."""


class Histories:
    """Bounded by the sessions, whose table tells of each what is kept here."""

    def __init__(
        self, waiting: Callable[[Scope, bytes], Sequence[Lineage]], seen: Container[tuple[Scope, bytes]]
    ) -> None:
        """`waiting` says which sessions wait at a digest, `seen` holds the points of their histories."""
        self._waiting = waiting
        self._seen = seen
        self.replies = NamedReplies()
        self.prompt_ends = PromptEnds()

    def whole(self, scope: Scope, request: ChatRequest) -> ChatRequest:
        """The request as if it told its history in messages, one for each reply, as far as that is known."""
        if request.reply_to:
            return self._after_reply(scope, request)
        if request.prompt:
            return self._after_prompt(scope, request)
        return self._in_one_reply(scope, request)

    def _after_reply(self, scope: Scope, request: ChatRequest) -> ChatRequest:
        """The messages of a reply that is not known go on from nothing that is."""
        reply = self.replies.find(scope, request.reply_to)
        if reply is None:
            root = digest(b"reply;" + request.reply_to.encode())
            return replace(request, chain=chain_of(request.messages, root))
        messages = (reply.message, *request.messages)
        return replace(request, messages=messages, chain=chain_of(messages, reply.chain))

    def _after_prompt(self, scope: Scope, request: ChatRequest) -> ChatRequest:
        """In two messages, if a session waits where the first one ends."""
        sizes = self.prompt_ends.below(scope, len(request.prompt))
        tips = prefix_digests(request.prompt, reversed(sizes))
        for size in sizes:
            if self._waiting(scope, tips[size]):
                said = Message("assistant", digest=tips[size])
                chain = (tips[size], *request.chain)
                return replace(request, messages=(said, *request.messages), chain=chain)
        return request

    def _in_one_reply(self, scope: Scope, request: ChatRequest) -> ChatRequest:
        """Clients may put each result right behind its call, as if there had been a reply for each. Whether
        there was, only the session knows that waits for this request."""
        chain, messages = request.chain, request.messages
        if any(self._waiting(scope, one) for one in reversed(chain)):
            return request
        tried = 0
        for at in range(len(chain) - 2, -1, -1):
            if messages[at + 1].role != "assistant" or (scope, chain[at]) not in self._seen:
                continue
            run = list(takewhile(lambda one: one.role in ("assistant", "tool"), messages[at + 1 :]))
            reply = _together([one for one in run if one.role == "assistant"])
            tip = extend_chain(chain[at], reply.digest)
            if self._waiting(scope, tip):
                later = [one for one in run if one.role == "tool"] + list(messages[at + 1 + len(run) :])
                # From here on the session is known by the history as its client tells it.
                told = (*chain[: at + 1], tip, *chain[-1:] * len(later))
                return replace(request, messages=(*messages[: at + 1], reply, *later), chain=told)
            tried += 1
            if tried == REPLIES_TRIED:
                break
        return request


def _together(replies: list[Message]) -> Message:
    """One reply that was told as several."""
    text = "\n".join(one.text for one in replies)
    return new_message("assistant", text, [call for one in replies for call in one.calls])
