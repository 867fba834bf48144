"""One turn of a session: its candidates, sharpened by all that is heard (the levels of DESIGN section 6)."""

import heapq
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from paste_proxy.predict.calibration import Calibration
from paste_proxy.predict.extractors import Extractors
from paste_proxy.predict.filling import Filled, Filling
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Call, Candidate
from paste_proxy.predict.next_tool import NextTool
from paste_proxy.predict.repeats import Repeats
from paste_proxy.predict.symbols import Argument, Slot, Symbol, Symbols, Written
from paste_proxy.predict.values import READ, Key, key_of, mask_of, spoken, value_of

SYMBOLS = 8
"""Symbols that are filled, the likeliest first: their tools are right in over 90 % of turns."""
SETS = 3
"""Sets of arguments per symbol."""
PER_SLOT = 5
"""Values per slot, and COMBINED fillings per symbol, that are followed."""
COMBINED = 8
LEAST = 4e-3
"""A chance below is not followed: nobody would start it."""
SIBLINGS = 4
"""Calls of one turn that are foreseen before it begins: parallel calls are a handful."""
LIKELY = 0.3
"""Chance from which on what follows a call is looked at: what is less likely is hardly worth a run itself."""
HEARD = 4096
"""Characters of one unfinished word of a turn's text, after which it is taken for whole."""


class Parts(NamedTuple):
    symbols: Symbols
    next_tool: NextTool
    repeats: Repeats
    extractors: Extractors
    filling: Filling
    hearing: Hearing
    calibration: Calibration
    ledger: Ledger


class Turn:
    """Implements `TurnPredictor`. `tools`: the names that may be called; None: any."""

    def __init__(self, parts: Parts, memory: Memory, tools: frozenset[str] | None) -> None:
        self._parts = parts
        self._memory = memory
        self._tools = tools
        self._mentioned: set[Key] = set()
        self._heard_any = False
        self._tail = ""
        self._named: str | None = None
        self._given: dict[Argument, Key | None] = {}
        self._filled: dict[Slot, Filled] = {}
        """What fills a slot does not change with what is heard; what of it is likely does."""
        self._found: list[tuple[float, Written]] | None = None
        self._level = 0

    # -- hearing ------------------------------------------------------------------------------------------

    def heard(self, text: str) -> None:
        """Values are looked for in whole words: the last, unfinished one waits for its rest."""
        if not text:
            return
        self._tail += text
        end = max(self._tail.rfind(" "), self._tail.rfind("\n"))
        if end < 0:
            if len(self._tail) < HEARD:
                return
            end = len(self._tail) - 1
        whole, self._tail = self._tail[: end + 1], self._tail[end + 1 :]
        self._memory.heard = (self._memory.heard + whole)[-READ:]
        known = {("str", word) for word in spoken(whole)} & self._memory.values.keys()
        fresh = known - self._mentioned
        if fresh or (known and not self._heard_any):
            self._heard_any = True
            self._mentioned |= fresh
            self._level = max(self._level, 1)
            self._found = None

    def named(self, tool: str) -> None:
        self._heard_out()
        self._named, self._given, self._found, self._level = tool, {}, None, 2

    def argued(self, argument: str, value: Any) -> None:
        self._given[argument], self._found, self._level = key_of(value), None, 3

    def asked(self, call: Call) -> None:
        """For this turn alone: what was really asked for is learnt when the turn is over."""
        self._heard_out()
        self._memory.suppose(call.tool, call.arguments)
        self._filled = {}
        self._named, self._given, self._found, self._level = None, {}, None, 0

    def _heard_out(self) -> None:
        """No more text comes before the call: the last word is whole."""
        if self._tail:
            self.heard("\n")

    # -- candidates ---------------------------------------------------------------------------------------

    def candidates(self, limit: int) -> list[Candidate]:
        return self._told(self.expected(limit))

    def whole_turn(self, limit: int) -> list[Candidate]:
        """Calls that may come at any place of the turn: those that may come next, and, where one of them is
        likely, those that may follow it in the same turn, each with the chance that it comes at all. To be
        asked at the turn's beginning."""
        chances: dict[Written, float] = {}
        before = len(self._memory.asked)
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
            self._filled, self._found = {}, None
        best = heapq.nlargest(limit, ((chance, call) for call, chance in chances.items()), key=_chance)
        return self._told(best)

    def expected(self, limit: int) -> list[tuple[float, Written]]:
        """Calls with their chances as the parts state them, the likeliest first."""
        if self._found is None or len(self._found) < limit:
            self._found = self._search(max(limit, 1))
        return self._found[:limit]

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

    def learn(self, symbol: Symbol, argument: Argument, right: Key, session: str) -> None:
        slot = Slot(symbol, argument)
        filled = self._parts.filling.fill(self._memory, slot, self._after())
        self._parts.filling.learn(slot, filled, right)
        self._parts.extractors.learn(self._memory, slot, right, session)
        self._witness_fields(right, session)
        if self._memory.heard.strip():
            mentioned = self._memory.mentioned()
            for _, key in filled.best(PER_SLOT):
                if key != right:
                    self._parts.hearing.learn(slot, right=False, named=key in mentioned)
            self._parts.hearing.learn(slot, right=True, named=right in mentioned)

    def _witness_fields(self, right: Key, session: str) -> None:
        """The names of fields that were of use may be kept once they were so in several sessions."""
        value = self._memory.values.get(right)
        for _, _, where in value.places if value is not None else ():
            for step in where if isinstance(where, tuple) else ():
                if isinstance(step, str):
                    self._parts.ledger.witness("names", None, step, session)

    def _search(self, limit: int) -> list[tuple[float, Written]]:
        """Symbols in the order of their chances; a symbol can't do better than its own chance, so the search
        ends where `limit` calls have more."""
        chances = self._symbols()
        found: dict[Written, float] = {}
        for symbol in sorted(chances, key=chances.__getitem__, reverse=True)[:SYMBOLS]:
            bar = _nth(found, limit)
            if chances[symbol] <= max(bar, LEAST):
                break
            for call, chance in self._calls(symbol, chances[symbol], bar).items():
                found[call] = max(found.get(call, 0.0), chance)
        return heapq.nlargest(limit, ((chance, call) for call, chance in found.items()), key=_chance)

    def _symbols(self) -> dict[Symbol, float]:
        chances = self._parts.next_tool.likely(self._memory)
        if self._named is None:
            return {
                symbol: chance
                for symbol, chance in chances.items()
                if self._tools is None or symbol.tool in self._tools
            }
        mine = {symbol: chance for symbol, chance in chances.items() if symbol.tool == self._named}
        whole = sum(mine.values())
        return (
            {symbol: chance / whole for symbol, chance in mine.items()} if whole else {Symbol(self._named): 1.0}
        )

    def _calls(self, symbol: Symbol, chance: float, bar: float) -> dict[Written, float]:
        found: dict[Written, float] = {}
        again = self._parts.repeats.likely(self._memory, symbol)
        for call, share in again.items():
            if self._fits(call):
                found[call] = chance * share
        fresh = max(0.02, 1 - sum(again.values()))
        for combined, filling in self._fillings(symbol, chance * fresh, bar):
            call_ = self._parts.symbols.together(symbol, filling)
            if call_ is not None and call_ not in again:
                found[call_] = found.get(call_, 0.0) + combined
        return found

    def _fits(self, call: Written) -> bool:
        arguments = dict(call[1])
        return all(key is not None and arguments.get(str(name)) == key for name, key in self._given.items())

    def _fillings(self, symbol: Symbol, chance: float, bar: float) -> list[tuple[float, dict[Argument, Key]]]:
        """The likeliest ways to fill all slots of a symbol."""
        if symbol.open:
            return []
        sets = self._parts.ledger.find("arguments", symbol) or {}
        fitting = {
            names: count for names, count in sets.items() if names != TOTAL and set(self._given) <= set(names)
        }
        whole = sum(fitting.values())
        slots: dict[Argument, list[tuple[float, Key]]] = {}
        found: list[tuple[float, dict[Argument, Key]]] = []
        for names in heapq.nlargest(SETS, fitting, key=fitting.__getitem__):
            combined: list[tuple[float, dict[Argument, Key]]] = [(chance * fitting[names] / whole, {})]
            if combined[0][0] * self._hope(symbol, names) <= max(bar, LEAST):
                continue
            for name in names:
                if combined[0][0] <= max(bar, LEAST):
                    combined = []
                    break
                if name not in slots:
                    slots[name] = self._values(Slot(symbol, name))
                combined = heapq.nlargest(
                    COMBINED,
                    ((p * q, {**filling, name: key}) for p, filling in combined for q, key in slots[name]),
                    key=_chance,
                )
                if not combined:
                    break
            found += combined
        return found

    def _hope(self, symbol: Symbol, names: Iterable[Argument]) -> float:
        """What the chance of a set of arguments can be at best."""
        asked = (Slot(symbol, name) for name in names if name not in self._given)
        return math.prod(map(self._parts.filling.hope, asked))

    def _values(self, slot: Slot) -> list[tuple[float, Key]]:
        if slot.argument in self._given:
            given = self._given[slot.argument]
            return [] if given is None else [(1.0, given)]
        if slot not in self._filled:
            self._filled[slot] = self._parts.filling.fill(self._memory, slot, self._after())
        filled = self._filled[slot]
        return self._sharpened(slot, filled) if self._heard_any else filled.best(PER_SLOT)

    def _sharpened(self, slot: Slot, filled: Filled) -> list[tuple[float, Key]]:
        """With what the text names."""
        named, silent = (self._parts.hearing.odds(slot, named=one) for one in (True, False))
        chances = [
            chance * (named if key in self._mentioned else silent)
            for chance, key in zip(filled.chances, filled.keys, strict=False)
        ]
        whole = sum(chances) + filled.chances[-1]
        pairs = ((chance / whole, key) for chance, key in zip(chances, filled.keys, strict=True))
        return heapq.nlargest(PER_SLOT, pairs, key=_chance)

    def _after(self) -> tuple[str, bool]:
        memory = self._memory
        last = (
            str(memory.asked[-1]) if memory.asked else memory.signatures[-1].tool if memory.signatures else ""
        )
        return last, memory.heard_user

    # -- saying -------------------------------------------------------------------------------------------

    def _told(self, found: list[tuple[float, Written]]) -> list[Candidate]:
        candidates = [self._candidate(stated, call) for stated, call in found]
        return sorted(candidates, key=lambda candidate: -candidate.estimate)

    def _candidate(self, stated: float, call: Written) -> Candidate:
        made = _call(call)
        estimate = self._parts.calibration.estimate(stated)
        symbol, filling = self._parts.symbols.apart(made.tool, made.arguments)
        evidence = (self._parts.ledger.find("arguments", symbol) or {}).get(TOTAL, 0.0)
        return Candidate(
            made.tool,
            made.arguments,
            probability=self._parts.calibration.lower_bound(estimate, evidence),
            why=self._why(symbol, filling),
            estimate=estimate,
        )

    def _why(self, symbol: Symbol, filling: dict[Argument, Key | None]) -> str:
        after = (
            " then ".join(f"{one.tool} ({one.outcome})" for one in self._memory.signatures[-2:]) or "the start"
        )
        bound = ", ".join(f"{name} = {self._binding(key)}" for name, key in filling.items() if key is not None)
        return f"{symbol}({bound}) after {after}, level {self._level}"

    def _binding(self, key: Key) -> str:
        """Where a value was seen last, in words."""
        value = self._memory.values.get(key)
        if value is None or not value.places:
            return f"a new {mask_of(key)}"
        kind, tool, where = list(value.places)[-1]
        if kind == "out":
            from_path = "$" + "".join(f".{step}" if isinstance(step, str) else "[*]" for step in where)
            return f"{from_path} of {tool}"
        return {"arg": f"argument {where} of {tool}"}.get(kind, f"{where or 'text'} of {tool or kind}")


def _call(written: Written) -> Call:
    tool, keys = written
    return Call(tool, {name: value_of(key) for name, key in sorted(keys)})


def _nth(found: dict[Written, float], limit: int) -> float:
    return heapq.nlargest(limit, found.values())[-1] if len(found) >= limit else 0.0


def _chance(item: tuple[float, Any]) -> float:
    return item[0]
