"""One turn of a session: its candidates, sharpened by all that is heard (the levels of DESIGN section 6)."""

import math
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from paste_proxy.predict.calibration import Calibration
from paste_proxy.predict.extractors import Extractors
from paste_proxy.predict.filling import Filled, Filling
from paste_proxy.predict.forks import forked
from paste_proxy.predict.heard import Heard
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.joint import WEIGHED, Joint
from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.listening import Listening
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Call, Candidate, FinishedCall
from paste_proxy.predict.next_tool import NextTool
from paste_proxy.predict.reasons import reason
from paste_proxy.predict.repeats import Repeats
from paste_proxy.predict.symbols import Argument, Slot, Symbol, Symbols, Written
from paste_proxy.predict.values import Key, key_of, value_of

SYMBOLS = 8
"""Symbols that are filled, the likeliest first: their tools are right in over 90 % of turns."""
RANKED = 128
"""Values that are ranked for one decision: no further symbol is filled then. It bounds what a decision takes,
and the likelier symbols have had theirs."""
SETS = 3
"""Sets of arguments per symbol."""
PER_SLOT = 5
"""Values per slot, and COMBINED fillings per symbol, that are followed."""
COMBINED = 8
JUDGED = 3
"""Candidates of each call whose outcome is learnt from."""
LOOKS = 4
"""Calls of a turn whose looks are kept until it is over, some hundred kilobytes; the others are made again."""
LEAST = 4e-3
"""A chance below is not followed: nobody would start it."""
SIBLINGS = 4
"""Calls of one turn that are foreseen before it begins: parallel calls are a handful."""
LIKELY = 0.3
"""Chance from which on what follows a call is looked at: what is less likely is hardly worth a run itself."""

T = TypeVar("T")


class Parts(NamedTuple):
    symbols: Symbols
    next_tool: NextTool
    repeats: Repeats
    extractors: Extractors
    filling: Filling
    joint: Joint
    hearing: Hearing
    calibration: Calibration
    ledger: Ledger

    def fill(self, memory: Memory, slot: Slot) -> Filled:
        return self.filling.fill(memory, slot, (memory.latest(), memory.heard_user))


class Look(NamedTuple):
    """What was expected of one call before anything of it was heard; what came of it is learnt when the turn is
    over."""

    expected: list[tuple[float, Written]]
    symbols: dict[Symbol, float]
    filled: dict[Slot, Filled]


class _Here:
    """What is known at one place of the turn: found once, and used at all levels."""

    __slots__ = ("again", "filled", "reasons", "sets", "symbols")

    def __init__(self) -> None:
        self.symbols: dict[Symbol, float] | None = None
        """What may come next."""
        self.again: dict[Symbol, dict[Written, float]] = {}
        """The chances of repeats."""
        self.sets: dict[Symbol, list[tuple[float, tuple[Argument, ...]]]] = {}
        """Sets of arguments, with their shares."""
        self.filled: dict[Slot, Filled] = {}
        """What fills a slot does not change with what is heard; what of it is likely does."""
        self.reasons: dict[Written, tuple[float, str]] = {}
        """Of each candidate its evidence, and why it is one."""


class Turn:
    """Implements `ForesightedTurn`. `tools`: the names that may be called; None: any."""

    def __init__(
        self, parts: Parts, memory: Memory, tools: frozenset[str] | None, heard: Heard | None = None
    ) -> None:
        """Without `heard` it is deaf, and expects what was expected before anything was said."""
        self._parts = parts
        self._memory = memory
        self._tools = tools
        self._listening = Listening(parts.hearing, Heard() if heard is None else heard)
        self._named: str | None = None
        self._given: dict[Argument, Key | None] = {}
        self._here = _Here()
        self._least = LEAST
        """Less, where the text makes it unlikely that any call comes."""
        self._ranked = 0
        """Values ranked in the search under way."""
        self._found: list[tuple[float, Written]] | None = None
        self._since = 0
        """What had been taken in by then."""
        self._shares: dict[Symbol, dict[Written, float]] = {}
        """Calls of a symbol, now that the text is known; the chance of the symbol is 1 here."""
        self._place = 0
        """Of the call that comes next."""
        self._asked: list[Call] = []
        """What it asked for before."""
        self.looks: list[Look] = []
        """Of the turn's first calls, in their order."""

    # -- hearing ------------------------------------------------------------------------------------------

    def heard(self, text: str) -> bool:
        """Whether it said something that is worth another look."""
        return self._listening.hear(text)

    def named(self, tool: str) -> bool:
        """Whether the text's last words said something that is worth another look."""
        news = self._listening.take_in(whole=True)
        self._named, self._given, self._found = tool, {}, None
        self._shares.clear()
        return news

    def argued(self, argument: str, value: Any) -> None:
        self._given[argument], self._found = key_of(value), None
        self._shares.clear()

    @property
    def _level(self) -> int:
        return 3 if self._given else 2 if self._named is not None else 1 if self._listening.heard else 0

    def asked(self, call: Call) -> None:
        """For this turn alone: what was really asked for is learnt when the turn is over."""
        self._listening.take_in(whole=True)
        symbol, filling = self._parts.symbols.apart(call.tool, call.arguments)
        self._listening.heard.gave(symbol, filling)
        self._memory.suppose(call.tool, call.arguments)
        self._asked.append(call)
        self._place += 1
        self._named, self._given = None, {}
        self._move_on()

    def _move_on(self) -> None:
        """To the next call: other contexts, other values."""
        self._here, self._found = _Here(), None
        self._shares.clear()
        self._listening.move_on()

    # -- candidates ---------------------------------------------------------------------------------------

    def candidates(self, limit: int) -> list[Candidate]:
        return self._told(self.expected(limit))

    def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
        memory = forked(self._memory)
        for call in self._asked:
            memory.ask(call.tool, call.arguments)
        for result in results:
            memory.answered(result)
        return Turn(self._parts, memory, self._tools).candidates(limit)

    def whole_turn(self, limit: int) -> list[Candidate]:
        """Calls that may come at any place of the turn: those that may come next, and, where one of them is
        likely, those that may follow it in the same turn, each with the chance that it comes at all. To be
        asked at the turn's beginning."""
        chances: dict[Written, float] = {}
        before, given = len(self._memory.asked), set(self._listening.heard.given)
        reached = 1.0
        for _ in range(SIBLINGS):
            found = self.expected(limit)
            for chance, call in found:
                chances[call] = min(1.0, chances.get(call, 0.0) + reached * chance)
            if not found or reached * found[0][0] < LIKELY:
                break
            reached *= found[0][0]
            self.asked(_call(found[0][1]))
        if len(self._memory.asked) > before:
            self._memory.settle()
            self._listening.heard.given = given
            self._move_on()
            self._place, self._asked = 0, []
            del self.looks[1:]  # they rest on guesses
        return self._told(_best(limit, [(chance, call) for call, chance in chances.items()]))

    @property
    def filled(self) -> dict[Slot, Filled]:
        """What fills the slots of the call that comes next, as far as it was of interest."""
        return self._here.filled

    def expected(self, limit: int) -> list[tuple[float, Written]]:
        """Calls with their chances as the parts state them, the likeliest first."""
        if self._listening.heard.waits:
            self._listening.take_in()
        if self._found is None or len(self._found) < limit or self._since != self._listening.changes:
            self._since = self._listening.changes
            self._found = self._search(max(limit, JUDGED))
            if self._is_deaf and len(self.looks) == self._place < LOOKS:
                self.looks.append(Look(self._found, self._here.symbols or {}, self._here.filled))
        return self._found[: max(limit, 0)]

    @property
    def _is_deaf(self) -> bool:
        """Whether the same is expected as if nothing had been heard: also where no call is likely at all."""
        return not self._level or (self._named is None and not self._here.symbols)

    def reaches(self, call: Call) -> bool:
        """Whether the extractors could give this call at all, however unlikely."""
        symbol, filling = self._parts.symbols.apart(call.tool, call.arguments)
        made = self._memory.made.get(symbol, ())
        if any(dict(one[1]) == {name: key_of(value) for name, value in call.arguments.items()} for one in made):
            return True
        return not symbol.open and all(
            key is not None
            and key in self._parts.extractors.candidates(self._memory, Slot(symbol, argument)).values
            for argument, key in filling.items()
        )

    def _search(self, limit: int) -> list[tuple[float, Written]]:
        """Symbols in the order of their chances; a symbol can't do better than its own chance, so the search
        ends where `limit` calls have more."""
        chances = self._next_symbols()
        found: dict[Written, float] = {}
        self._ranked = 0
        for symbol in sorted(chances, key=chances.__getitem__, reverse=True)[:SYMBOLS]:
            bar = _nth(found, limit)
            if chances[symbol] <= max(bar, self._least) or self._ranked > RANKED:
                break
            for call, chance in self._calls(symbol, chances[symbol], bar).items():
                found[call] = max(found.get(call, 0.0), chance)
        return _best(limit, [(chance, call) for call, chance in found.items()])

    def _next_symbols(self) -> dict[Symbol, float]:
        if self._here.symbols is None:
            self._here.symbols = self._parts.next_tool.likely(self._memory, LEAST)
        chances, tools = self._here.symbols, self._tools
        if self._named is None:
            heard = self._listening.symbols(chances)
            self._least = LEAST * min(1.0, sum(heard.values()) / (sum(chances.values()) or 1.0))
            return {symbol: chance for symbol, chance in heard.items() if tools is None or symbol.tool in tools}
        self._least = LEAST
        if tools is not None and self._named not in tools:
            return {}
        mine = {symbol: chance for symbol, chance in chances.items() if symbol.tool == self._named}
        whole = sum(mine.values())
        return (
            {symbol: chance / whole for symbol, chance in mine.items()} if whole else {Symbol(self._named): 1.0}
        )

    def _calls(self, symbol: Symbol, chance: float, bar: float) -> dict[Written, float]:
        """Once something is heard their shares are kept: what a text names changes few of them, and symbols'
        chances often."""
        if not self._listening.heard or self._named is not None:
            return self._made(symbol, chance, bar)
        for stale in self._listening.take_stale():
            self._shares.pop(stale, None)
        if symbol not in self._shares:
            self._shares[symbol] = self._made(symbol, 1.0, 0.0)
        return {call: chance * share for call, share in self._shares[symbol].items()}

    def _made(self, symbol: Symbol, chance: float, bar: float) -> dict[Written, float]:
        found: dict[Written, float] = {}
        again = self._again(symbol) if symbol in self._memory.made else {}
        for call, share in again.items():
            if not self._given or self._fits(call):
                found[call] = chance * share
        fresh = max(0.02, 1 - sum(again.values())) if again else 1.0
        for combined, filling in self._fillings(symbol, chance * fresh, bar):
            if combined <= bar:
                continue
            call_ = self._parts.symbols.together(symbol, filling)
            if call_ is not None and call_ not in again:
                found[call_] = found.get(call_, 0.0) + combined
        return found

    def _again(self, symbol: Symbol) -> dict[Written, float]:
        again = self._here.again.get(symbol)
        if again is None:
            again = self._here.again[symbol] = self._parts.repeats.likely(self._memory, symbol)
        return again

    def _fits(self, call: Written) -> bool:
        """A call with nothing beyond what is told is no guess any more."""
        arguments = dict(call[1])
        return len(arguments) > len(self._given) and all(
            key is not None and arguments.get(str(name)) == key for name, key in self._given.items()
        )

    def _sets(self, symbol: Symbol) -> list[tuple[float, tuple[Argument, ...]]]:
        """The likeliest sets of arguments, with their shares of those that go with what is told."""
        if not self._given and symbol in self._here.sets:
            return self._here.sets[symbol]
        counts, given = self._parts.ledger.find("arguments", symbol) or {}, self._given.keys()
        fitting = [(count, names) for names, count in counts.items() if names != TOTAL and given <= set(names)]
        whole = sum(count for count, _ in fitting)
        shares = [
            (count / whole, names)
            for count, names in _best(SETS, fitting)
            if len(names) > len(given) or not given
        ]
        if not given:
            self._here.sets[symbol] = shares
        return shares

    def _fillings(self, symbol: Symbol, chance: float, bar: float) -> list[tuple[float, dict[Argument, Key]]]:
        """The likeliest ways to fill all slots of a symbol."""
        if symbol.open:
            return []
        floor = max(bar, LEAST)
        slots: dict[Argument, list[tuple[float, Key]]] = {}
        found: list[tuple[float, dict[Argument, Key]]] = []
        weighing = self._parts.joint.of(self._memory, symbol) if self._parts.joint.knows(symbol) else None
        for share, names in self._sets(symbol):
            if chance * share <= floor or chance * share * self._hope(symbol, names) <= floor:
                continue
            combined: list[tuple[float, dict[Argument, Key]]] = [(chance * share, {})]
            for name in sorted(names, key=lambda one: one not in self._given):
                if not combined or combined[0][0] <= floor:
                    combined = []
                    break
                if name not in slots:
                    slots[name] = self._values(Slot(symbol, name))
                more = [
                    (p * q, (filling, key))
                    for p, filling in combined
                    if p > floor
                    for q, key in _best(
                        PER_SLOT,
                        weighing.weighed(name, slots[name], filling) if weighing and filling else slots[name],
                    )
                ]
                combined = [(p, {**filling, name: key}) for p, (filling, key) in _best(COMBINED, more)]
            found += combined
        return found

    def _hope(self, symbol: Symbol, names: Iterable[Argument]) -> float:
        """What the chance of a set of arguments can be at best."""
        slots = [Slot(symbol, name) for name in names if name not in self._given]
        return math.prod([self._parts.filling.hope(slot) for slot in slots if slot not in self._here.filled])

    def _values(self, slot: Slot) -> list[tuple[float, Key]]:
        if slot.argument in self._given:
            given = self._given[slot.argument]
            return [] if given is None else [(1.0, given)]
        filled = self._here.filled.get(slot)
        if filled is None:
            filled = self._here.filled[slot] = self._parts.fill(self._memory, slot)
            self._ranked += len(filled.keys)
        if not self._listening.heard:
            self._listening.expect(slot, filled)
            return filled.best(WEIGHED)
        return _best(WEIGHED, self._listening.values(slot, filled))

    # -- saying -------------------------------------------------------------------------------------------

    def _told(self, found: list[tuple[float, Written]]) -> list[Candidate]:
        candidates = [self._candidate(stated, call) for stated, call in found]
        return sorted(candidates, key=lambda candidate: -candidate.estimate)

    def _candidate(self, stated: float, call: Written) -> Candidate:
        made = _call(call)
        estimate = self._parts.calibration.estimate(stated)
        reasons = self._here.reasons
        if call not in reasons:
            symbol, filling = self._parts.symbols.apart(made.tool, made.arguments)
            evidence = (self._parts.ledger.find("arguments", symbol) or {}).get(TOTAL, 0.0)
            reasons[call] = evidence, reason(self._memory, symbol, filling)
        evidence, why = reasons[call]
        bound = self._parts.calibration.lower_bound(estimate, evidence)
        return Candidate(made.tool, made.arguments, bound, f"{why}, level {self._level}", estimate)


def _call(written: Written) -> Call:
    tool, keys = written
    return Call(tool, {name: value_of(key) for name, key in sorted(keys)})


def _nth(found: dict[Written, float], limit: int) -> float:
    return sorted(found.values(), reverse=True)[limit - 1] if len(found) >= limit else 0.0


def _best(most: int, items: list[tuple[float, T]]) -> list[tuple[float, T]]:
    """The likeliest; of equals the first."""
    items.sort(key=itemgetter(0), reverse=True)
    return items[: max(most, 0)]
