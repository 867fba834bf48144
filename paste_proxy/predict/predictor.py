"""The pattern predictor: what the session's next call is, concretely (DESIGN section 6, PASTE's C, T, f and p).

A call's chance is that of its symbol (`next_tool`), times that of a repeat (`repeats`) or of its arguments
(`filling`), corrected by how such candidates fared (`calibration`). Everything learnt is in one ledger.
Deterministic: equal ledgers and histories, equal candidates.
"""

from collections.abc import Iterable, Sequence

from paste_proxy.predict.calibration import Calibration
from paste_proxy.predict.extractors import NAMES, Extractors
from paste_proxy.predict.filling import Filling
from paste_proxy.predict.heard import Heard
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.joint import WEIGHED, Joint
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Call, Candidate, History
from paste_proxy.predict.next_tool import LEFT_OUT, NextTool
from paste_proxy.predict.repeats import Repeats
from paste_proxy.predict.shapes import is_tool
from paste_proxy.predict.symbols import Argument, Slot, Symbol, Symbols, written
from paste_proxy.predict.symbols import Filling as Filled
from paste_proxy.predict.turn import JUDGED, Look, Parts, Turn
from paste_proxy.predict.values import LONGEST, Key

CALLS = 12
"""Calls of one turn that are learnt from: parallel calls are a handful, and each takes a few milliseconds."""
ARGUMENTS = 12
"""A call with more is not learnt from: the calls that can be bound have one to four."""
RANKED = 1024
"""Values that are ranked to learn from a turn's calls, beside those of its looks, some 20 ms: turns of agents
have a few hundred. Of arguments beyond it is learnt that they come, not where from."""
PARTS = (*NAMES, *LEFT_OUT, "joint", "repeats", "shared weights")
"""What can be left out, to see what it is worth."""


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
            Joint(ledger, without),
            Hearing(ledger),
            Calibration(ledger),
            ledger,
        )

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        """After `history` the model said what its turn heard, and asked for `calls`; none: it had no call."""
        calls = calls[:CALLS]
        memory = self._remember(history)
        looks = self._looks(memory, calls)
        memory.heard.end()
        for look, call in zip(looks, calls, strict=False):
            self._learn_call(memory, look, call, history.origin or history.session)
            memory.suppose(call.tool, call.arguments)  # as while the turn was under way
        self._judge(memory, looks[len(calls)], None)
        self._parts.next_tool.learn(memory, None)
        memory.settle()
        for call in calls:
            memory.ask(call.tool, call.arguments)
        memory.asked = []
        memory.heard = Heard()

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        """Of the whole turn: where it is likely to make several calls, the later ones, too."""
        return self.begin(history, tools).whole_turn(limit)

    def begin(self, history: History, tools: Iterable[str]) -> Turn:
        memory = self._remember(history)
        memory.heard = Heard()
        turn = Turn(self._parts, memory, frozenset(tools), memory.heard)
        memory.looks = turn.looks
        return turn

    def _remember(self, history: History) -> Memory:
        """The session's memory, brought up to its history."""
        memory = history.memory
        if not isinstance(memory, Memory):
            memory = history.memory = Memory(self._parts.symbols)
        memory.settle()
        self._parts.symbols.offer(history.offered)
        read = memory.calls_read + memory.said_read
        if read < (history.forgotten_calls + len(history.calls) + history.forgotten_said + len(history.said)):
            memory.looks = []  # of a turn that never was learnt from
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

    def _looks(self, memory: Memory, calls: Sequence[Call]) -> list[Look]:
        """What was expected of each call of the turn, and of one more: as it was, or found anew where nobody
        asked then."""
        looks, memory.looks = memory.looks, []
        left = RANKED
        for place in range(len(calls) + 1):
            if place >= len(looks):
                looks.append(self._look(memory))
            if place < len(calls):
                left -= self._fill(memory, looks[place], calls[place], left)
            if place + 1 < len(calls) or (place + 1 == len(calls) == len(looks)):
                memory.suppose(calls[place].tool, calls[place].arguments)
        memory.settle()
        return looks

    def _look(self, memory: Memory) -> Look:
        """Of what the turn says nothing is heard."""
        turn = Turn(self._parts, memory, None)
        turn.expected(JUDGED)
        return turn.looks[0]

    def _fill(self, memory: Memory, look: Look, call: Call, most: int) -> int:
        """The slots that will be learnt from. How many values were ranked: no further slot beyond `most`."""
        symbol, filling = self._parts.symbols.apart(call.tool, call.arguments)
        if len(call.arguments) > ARGUMENTS or written(call.tool, call.arguments) in memory.made.get(symbol, ()):
            return 0
        ranked = 0
        for slot in (Slot(symbol, argument) for argument, key in filling.items() if _is_learnt(key)):
            if slot not in look.filled and ranked < most:
                look.filled[slot] = self._parts.fill(memory, slot)
                ranked += len(look.filled[slot].keys)
        return ranked

    def _learn_call(self, memory: Memory, look: Look, call: Call, session: str) -> None:
        if len(call.arguments) > ARGUMENTS or not is_tool(call.tool):
            return
        parts = self._parts
        symbol, filling = parts.symbols.apart(call.tool, call.arguments)
        self._judge(memory, look, call)
        again = parts.repeats.learn(memory, symbol, written(call.tool, call.arguments))
        parts.next_tool.learn(memory, symbol)
        self.ledger.count("arguments", symbol, tuple(sorted(filling, key=str)))
        if not again:
            self._learn_joint(memory, look, symbol, filling)
            for argument, key in filling.items():
                slot = Slot(symbol, argument)
                # Not looked at: the turn's call before made a word common, which makes another symbol of it; or
                # enough values were ranked.
                if key is not None and _is_learnt(key) and slot in look.filled:
                    self._learn_slot(memory, look, slot, key, session)
        memory.heard.gave(symbol, filling)
        parts.symbols.learn(call.tool, call.arguments, session)

    def _learn_joint(self, memory: Memory, look: Look, symbol: Symbol, filling: Filled) -> None:
        """In the order in which slots are filled."""
        right = {
            name: key for name, key in sorted(filling.items(), key=_name) if key is not None and _is_learnt(key)
        }
        slots = {name: look.filled.get(Slot(symbol, name)) for name in right}
        chances = {name: slot.best(WEIGHED) for name, slot in slots.items() if slot is not None}
        if len(right) > 1:
            self._parts.joint.learn(memory, symbol, chances, right)

    def _learn_slot(self, memory: Memory, look: Look, slot: Slot, right: Key, session: str) -> None:
        parts = self._parts
        filled = look.filled[slot]
        parts.filling.learn(slot, filled, right)
        parts.extractors.learn(memory, slot, right, session)
        self._witness_fields(memory, right, session)
        if memory.heard:
            parts.hearing.learn_value(slot, filled.keys, filled.chances, memory.heard, right)

    def _witness_fields(self, memory: Memory, right: Key, session: str) -> None:
        """The names of fields that were of use may be kept once they were so in several sessions."""
        value = memory.values.get(right)
        for origin in value.places if value is not None else ():
            where = origin.source[2]
            for step in where if isinstance(where, tuple) else ():
                if isinstance(step, str):
                    self.ledger.witness("names", None, step, session)

    def _judge(self, memory: Memory, look: Look, call: Call | None) -> None:
        """What became of what was expected; None: there was no further call."""
        symbol = self._parts.symbols.apart(call.tool, call.arguments)[0] if call is not None else None
        self._parts.hearing.learn_symbol(look.symbols, memory.heard, symbol)
        right = written(call.tool, call.arguments) if call is not None else None
        for stated, expected in look.expected[:JUDGED]:
            self._parts.calibration.learn(stated, right=expected == right)


def _name(item: tuple[Argument, Key | None]) -> str:
    return str(item[0])


def _is_learnt(key: Key | None) -> bool:
    """Content is not."""
    return key is not None and (key[0] != "str" or len(key[1]) <= LONGEST)
