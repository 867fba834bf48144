"""A session's history as the predictor sees it, built from the messages that agents send back."""

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.predict.keeping import short
from paste_proxy.predict.model import TENANT, Call, FinishedCall, History, Said
from paste_proxy.predict.signatures import finished_call

CALLS_KEPT = 64
"""Contexts are short; earlier arguments matter for what has been used already."""
OUTPUTS_KEPT = 8
"""What is opened next stands in one of the last 8 outputs in 82-96 % of cases (search agents)."""
SAID_KEPT = 64
"""As many as calls: most turns bring one text, of the user or of the model."""
SAID_LIMIT = 16_384
"""Characters of a text that are kept, as of a result (`predict/signatures.py`): system prompts are longer, but
what a session is about stands at their beginning or in what users say, which is short."""
UNANSWERED_KEPT = 256
"""More parallel calls than any agent issues."""
NAMES_LIMIT = 1024
"""Characters of a call's id and of its tool's name: one with longer ones is as one that was never seen."""
ARGUMENTS_LIMIT = 256 * 1024
"""Characters of a call's arguments that are still looked at: a millisecond or two."""

_decode = msgspec.json.Decoder().decode


class Asked(msgspec.Struct, frozen=True, gc=False):
    tool: str
    """As the client calls it."""
    call: Call
    whole: bool
    """Whether it is kept with all its arguments."""


class Answered(msgspec.Struct, frozen=True, gc=False):
    call_id: str
    tool: str | None
    """As the client calls it; None where the history holds no such call."""


class SessionHistory:
    """Takes messages in order (`take`, cheap) and reads their results later (`read`, up to milliseconds).

    The two are apart so that nothing is read while a request waits to be sent.
    """

    def __init__(self, session: str = "", tenant: str = TENANT) -> None:
        self.history = History(calls=[], session=session, tenant=tenant)
        """Bounded in calls and in texts; up to the last `read`."""
        self.unanswered: dict[str, Asked] = {}
        """Calls that the history asks for and gives no result of, by call id."""
        self._unread: deque[tuple[Asked, str]] = deque(maxlen=CALLS_KEPT)
        self._unread_said: deque[Said] = deque(maxlen=SAID_KEPT)
        self._answered = 0
        self._said = 0

    def take(self, messages: Iterable[Message], names: Mapping[str, str]) -> list[Answered]:
        """`names` maps the client's tool names to ours. Returns the calls that are answered."""
        tools: dict[str, str] = {}
        answered = []
        for message in messages:
            if message.role != "tool" and message.text:
                self._said += 1
                self._unread_said.append(Said(message.role, message.text[:SAID_LIMIT], self._answered))
            for call in message.calls:
                self._ask(call, names)
            if message.role == "tool" and message.call_id:
                if (asked := self.unanswered.pop(message.call_id, None)) is not None:
                    self._answered += 1
                    self._unread.append((asked, message.text))
                    tools[message.call_id] = asked.tool
                answered.append(Answered(message.call_id, tools.get(message.call_id)))
        return answered

    def read(self) -> None:
        """Bring `history` up to what was taken."""
        calls, said = self.history.calls, self.history.said
        while self._unread:
            asked, text = self._unread.popleft()
            call, text = asked.call, text if len(self._unread) < OUTPUTS_KEPT else ""
            calls.append(finished_call(call.tool, call.arguments, text, whole=asked.whole))
            if len(calls) > OUTPUTS_KEPT:
                calls[-1 - OUTPUTS_KEPT] = _without_output(calls[-1 - OUTPUTS_KEPT])
        del calls[:-CALLS_KEPT]
        said += self._unread_said
        self._unread_said.clear()
        del said[:-SAID_KEPT]
        self.history.forgotten_calls = self._answered - len(calls)
        self.history.forgotten_said = self._said - len(said)

    def _ask(self, call: MessageCall, names: Mapping[str, str]) -> None:
        if len(call.call_id) + len(call.name) > NAMES_LIMIT:
            return
        arguments = decode_object(call.arguments)
        kept = short(arguments)
        made = Call(names.get(call.name, call.name), kept)
        self.unanswered[call.call_id] = Asked(call.name, made, whole=_is_whole(call.arguments, arguments, kept))
        while len(self.unanswered) > UNANSWERED_KEPT:
            del self.unanswered[next(iter(self.unanswered))]


def _is_whole(text: str, arguments: Mapping[str, object], kept: Mapping[str, object]) -> bool:
    return len(kept) == len(arguments) and (bool(arguments) or text.strip() in ("", "{}"))


def decode_object(text: str) -> dict[str, object]:
    """A JSON object; an empty one where the text is none, or longer than what could be predicted."""
    if len(text) > ARGUMENTS_LIMIT:
        return {}
    try:
        value = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _without_output(call: FinishedCall) -> FinishedCall:
    return msgspec.structs.replace(call, text="", value=None, addresses=(), paths=())
