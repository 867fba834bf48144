"""A session's history as the predictor sees it, built from the messages that agents send back."""

from collections.abc import Iterable, Mapping

import msgspec

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.predict.model import Call, FinishedCall, History
from paste_proxy.predict.signatures import finished_call

CALLS_KEPT = 64
"""Contexts are short; earlier arguments matter for what has been used already."""
OUTPUTS_KEPT = 8
"""What is opened next stands in one of the last 8 outputs in 82-96 % of cases (search agents)."""
UNANSWERED_KEPT = 256
"""More parallel calls than any agent issues."""

_decode = msgspec.json.Decoder().decode


class SessionHistory:
    """Feeds on messages in order; `history` is what there is so far, bounded in calls and in text."""

    def __init__(self, session: str = "") -> None:
        self.history = History(calls=[], session=session)
        self.unanswered: dict[str, Call] = {}
        """Calls that the history asks for and gives no result of, by call id."""

    def extend(self, messages: Iterable[Message], names: Mapping[str, str]) -> list[str]:
        """Take in messages; `names` maps the client's tool names to ours. The ids of the calls answered."""
        answered = []
        for message in messages:
            for call in message.calls:
                self._ask(call, names)
            if message.role == "tool" and message.call_id:
                self._answer(message)
                answered.append(message.call_id)
        return answered

    def _ask(self, call: MessageCall, names: Mapping[str, str]) -> None:
        self.unanswered[call.call_id] = Call(names.get(call.name, call.name), decode_object(call.arguments))
        while len(self.unanswered) > UNANSWERED_KEPT:
            del self.unanswered[next(iter(self.unanswered))]

    def _answer(self, message: Message) -> None:
        call = self.unanswered.pop(message.call_id, None)
        if call is None:
            return
        calls = self.history.calls
        calls.append(finished_call(call.tool, call.arguments, message.text))
        if len(calls) > OUTPUTS_KEPT:
            calls[-1 - OUTPUTS_KEPT] = _without_output(calls[-1 - OUTPUTS_KEPT])
        del calls[:-CALLS_KEPT]


def decode_object(text: str) -> dict[str, object]:
    """A JSON object, or an empty one where the text is none."""
    try:
        value = _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _without_output(call: FinishedCall) -> FinishedCall:
    return msgspec.structs.replace(call, text="", value=None, addresses=(), paths=())
