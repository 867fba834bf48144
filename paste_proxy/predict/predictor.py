"""The pattern predictor: what the session's next call is, concretely (DESIGN section 6, PASTE's C, T, f and p).

A call's chance is that of its symbol (`next_tool`), times that of a repeat (`repeats`) or of its arguments
(`filling`), corrected by how such candidates fared (`calibration`). Everything learnt is in one ledger.
Deterministic: equal ledgers and histories, equal candidates.
"""

from collections.abc import Iterable, Sequence

from paste_proxy.predict.calibration import Calibration
from paste_proxy.predict.extractors import NAMES, Extractors
from paste_proxy.predict.filling import Filling
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Call, Candidate, History
from paste_proxy.predict.next_tool import LEFT_OUT, NextTool
from paste_proxy.predict.repeats import Repeats
from paste_proxy.predict.shapes import is_tool
from paste_proxy.predict.symbols import Symbols, written
from paste_proxy.predict.turn import Parts, Turn
from paste_proxy.predict.values import LONGEST

CALLS = 12
"""Calls of one turn that are learnt from: parallel calls are a handful, and each takes a few milliseconds."""
ARGUMENTS = 12
"""A call with more is not learnt from: the calls that can be bound have one to four."""
PARTS = (*NAMES, *LEFT_OUT, "repeats", "shared weights")
"""What can be left out, to see what it is worth."""
JUDGED = 3
"""Candidates of each turn whose outcome is counted."""


class PatternPredictor:
    """Implements `Predictor` over a `Ledger`."""

    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        """`without`: of `PARTS` (`lab predict --without`)."""
        self.ledger = ledger
        extractors = Extractors(ledger, without)
        self._parts = Parts(
            Symbols(ledger),
            NextTool(ledger, without),
            Repeats(ledger, without),
            extractors,
            Filling(ledger, extractors, without),
            Hearing(ledger),
            Calibration(ledger),
            ledger,
        )

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model said what its turn heard, and asked for `calls`; none: it had no call."""
        memory = self._remember(history)
        for call in calls[:CALLS]:
            self._learn_call(memory, call, history.origin or history.session)
            memory.ask(call.tool, call.arguments)
        self._judge(memory, None)
        self._parts.next_tool.learn(memory, None)
        memory.asked = []
        memory.heard = ""

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """Of the whole turn: where it is likely to make several calls, the later ones, too."""
        return self.begin(history, tools).whole_turn(limit)

    def begin(self, history: History, tools: Iterable[str]) -> Turn:
        memory = self._remember(history)
        memory.heard = ""
        return Turn(self._parts, memory, frozenset(tools))

    def _remember(self, history: History) -> Memory:
        """The session's memory, brought up to its history."""
        memory = history.memory
        if not isinstance(memory, Memory):
            memory = history.memory = Memory(self._parts.symbols)
        memory.settle()
        calls = history.calls[max(0, memory.calls_read - history.forgotten_calls) :]
        said = history.said[max(0, memory.said_read - history.forgotten_said) :]
        place = history.forgotten_calls + len(history.calls) - len(calls)
        for call in calls:
            while said and said[0].after <= place:
                memory.said(said[0])
                said = said[1:]
            memory.answered(call)
            place += 1
        for one in said:
            memory.said(one)
        memory.calls_read = history.forgotten_calls + len(history.calls)
        memory.said_read = history.forgotten_said + len(history.said)
        return memory

    def _learn_call(self, memory: Memory, call: Call, session: str) -> None:
        if len(call.arguments) > ARGUMENTS or not is_tool(call.tool):
            return
        parts = self._parts
        self._judge(memory, call)
        symbol, filling = parts.symbols.apart(call.tool, call.arguments)
        again = parts.repeats.learn(memory, symbol, written(call.tool, call.arguments))
        parts.next_tool.learn(memory, symbol)
        self.ledger.count("arguments", symbol, tuple(sorted(filling, key=str)))
        if not again:
            turn = Turn(parts, memory, frozenset())
            for argument, key in filling.items():
                if key is not None and (key[0] != "str" or len(key[1]) <= LONGEST):
                    turn.learn(symbol, argument, key, session)
        parts.symbols.learn(call.tool, call.arguments, session)

    def _judge(self, memory: Memory, call: Call | None) -> None:
        """What became of what was expected; None: there was no further call."""
        right = written(call.tool, call.arguments) if call is not None else None
        for stated, expected in Turn(self._parts, memory, None).expected(JUDGED):
            self._parts.calibration.learn(stated, right=expected == right)
