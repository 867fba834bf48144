"""What one session holds: every value in sight, where it stood, what it was used for. Read once, kept small.

Values are grouped by mask, newest text first and within a text in its order, so what may fill an argument is
at hand without a search.
"""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar

from paste_proxy.predict.heard import Heard
from paste_proxy.predict.keeping import NAME, application, cut, in_bounds, is_same, plain_words
from paste_proxy.predict.model import FinishedCall, Said
from paste_proxy.predict.places import Origin, Source, Value
from paste_proxy.predict.shapes import Trail, leaves
from paste_proxy.predict.signatures import Signature
from paste_proxy.predict.symbols import Argument, Filling, Slot, Symbol, Symbols, Written
from paste_proxy.predict.ties import Ties
from paste_proxy.predict.values import LONGEST, Key, key_of, mask_of, spoken, twin

VALUES = 1536
"""Values kept, some 2 MB: of eight outputs with as many values as are kept of each text, and most of what was
used before. The longest unseen go first."""
PER_MASK = 128
PER_SOURCE = 64
SOURCES = 4096
"""Places that are told apart: agents' tools have some tens of fields each. The longest unseen go first."""
PLACES = 16
"""Of one value, the newest."""
SLOTS = 256
"""Arguments, and calls, that are remembered by name: an agent has some tens of tools, of a few arguments."""
SHORT_RESULT = 64
"""Characters of a result that is a value as a whole."""
LISTED = 12
"""Items of a list that may be an argument as a whole."""
USED = 128
"""Slots that one value was used in, the newest: a file is named in tens of commands."""
REPEATS = 16
"""Earlier calls of a symbol that may be made again; MADE of all symbols, of REPEATED arguments at most."""
MADE = 512
REPEATED = 16
HABITS = 2048
"""Pairs of symbols, what came after what, that are counted: a session of a thousand turns has fewer."""
NAMED = 12
"""Values of an argument's name, and RECENT of all arguments, that are remembered as used."""
RECENT = 24
SUPPOSED = 128
"""Uses of one turn that may be taken back: some forty parallel calls."""
WRITTEN = 256
"""Characters of a text written or run whose words are values: a script says at its beginning what it makes."""
FORMER = 3
"""Signatures of finished calls that are kept."""


T = TypeVar("T")


class Supposed:
    """What a session held before a use that may not last."""

    def __init__(self, memory: "Memory", slot: Slot, key: Key) -> None:
        self._slot = slot
        self._key = key
        origin = memory.origins.get(_argument(slot))
        self._newest = origin.newest if origin is not None else None
        value = memory.values.get(key)
        self._value = value.kept() if value is not None else None
        self._last = memory.last.get(slot), memory.before_last.get(slot)
        self._named = dict(memory.named_for(slot))
        self._recent = dict(memory.recent)

    def undo(self, memory: "Memory") -> None:
        slot, value = self._slot, memory.values.get(self._key)
        if value is not None and self._value is not None:
            value.restore(self._value)
        elif value is not None:
            memory.drop(self._key)
        for kept, key in zip((memory.last, memory.before_last), self._last, strict=True):
            kept.pop(slot, None)
            if key is not None:
                kept[slot] = key
        if self._newest is not None:
            memory.origins[_argument(slot)].newest = self._newest
        else:
            memory.origins.pop(_argument(slot), None)
        name = slot.argument if isinstance(slot.argument, str) else slot.symbol
        memory.named.pop(name, None)
        if self._named:
            memory.named[name] = self._named
        memory.recent = self._recent


class Memory:
    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self.values: OrderedDict[Key, Value] = OrderedDict()
        self.by_mask: dict[str, dict[Key, Value]] = {}
        self.origins: dict[Source, Origin] = {}
        """By the source, the newest last."""
        self.last: dict[Slot, Key] = {}
        self.before_last: dict[Slot, Key] = {}
        self.named: dict[Argument | Symbol, dict[Key, None]] = {}
        self.recent: dict[Key, None] = {}
        self.made: dict[Symbol, list[Written]] = {}
        """Calls made, by symbol, the latest last."""
        self.local: dict[Symbol | None, dict[Symbol, int]] = {}
        """What this session asked for after what."""
        self.signatures: list[Signature] = []
        self.former: list[Symbol] = []
        self.asked: list[Symbol] = []
        """Calls of the turn under way."""
        self.heard_user = False
        """Whether the user spoke since the last result."""
        self.user_masks: tuple[str, ...] = ()
        self.user_words: frozenset[str] = frozenset()
        self.heard = Heard()
        """What the turn under way has said."""
        self.looks: list[Any] = []
        """What was expected of the turn under way; whoever began it adds to them."""
        self.application = ""
        """A digest of how its system prompt begins."""
        self.calls = 0
        """Answered."""
        self.calls_read = 0
        self.said_read = 0
        self._habits = 0
        self._made = 0
        self._unanswered: list[tuple[str, Mapping[str, Any]]] = []
        self.clock = 0
        """Texts that were read, and calls."""
        self.supposed: list[tuple[str, Mapping[str, Any]]] = []
        """Calls that are taken back by `settle`."""
        self._supposed: list[Supposed] = []
        self.ties = Ties()

    # -- reading ------------------------------------------------------------------------------------------

    def said(self, said: Said) -> None:
        who = said.role if said.role in ("system", "assistant") else "user"
        masks = self._text(said.text, who, "")
        if who == "system":
            self.application = self.application or application(said.text)
        if who == "user":
            self.heard_user = True
            self.user_masks = tuple(sorted(masks - {"Aa"}))  # any capitalised word
            self.user_words = frozenset(word for word in plain_words(said.text) if len(word) > 2)

    def ask(self, tool: str, arguments: Mapping[str, Any], *, whole: bool = True) -> None:
        """The model asked for a call, of the turn under way. `whole`: these are all its arguments."""
        tool, arguments, whole = tool[:NAME], in_bounds(arguments), whole and in_bounds(arguments) is arguments
        symbol, filling = self._symbols.apart(tool, arguments)
        self.ties.call(filling.values())
        self.clock += 1
        bound = {name: key for name, value in arguments.items() if (key := key_of(value)) is not None}
        uses: Filling = dict(filling)
        uses.update(bound)
        if symbol.open or not symbol.argument:
            for value in arguments.values():
                if isinstance(value, str) and " " in value:
                    self._text(value[:WRITTEN], "said", tool)
        for argument, key in uses.items():
            if key is not None:
                self._use(symbol, tool, argument, key)
        if whole and len(bound) == len(arguments):
            self._note_made(symbol, (tool, frozenset(bound.items())))
        self._note_habit(self.former[-1] if self.former else None, symbol)
        self.asked.append(symbol)
        self._unanswered.append((tool, cut(arguments)))
        del self._unanswered[:-64]

    def suppose(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """As `ask`, for as long as the turn is under way: `settle` takes it back."""
        self.supposed.append((tool, arguments))
        tool, arguments = tool[:NAME], in_bounds(arguments) if len(self._supposed) <= SUPPOSED else {}
        symbol, filling = self._symbols.apart(tool, arguments)
        self.ties.suppose(filling.values())
        for argument, key in filling.items():
            if key is not None:
                self._supposed.append(Supposed(self, Slot(symbol, argument), key))
                self._use(symbol, tool, argument, key, lasting=False)
        self.asked.append(symbol)

    def settle(self) -> None:
        """Take back what was supposed."""
        self.asked, self.supposed = [], []
        self.ties.settle()
        while self._supposed:
            self._supposed.pop().undo(self)

    def answered(self, call: FinishedCall) -> None:
        """A result came back; of a call that was not asked for here, the call is read, too."""
        given = call.tool[:NAME], cut(in_bounds(call.arguments))
        asked = next((one for one in self._unanswered if is_same(one, given)), None)
        if asked is None:
            self.ask(call.tool, call.arguments, whole=call.whole)
            asked = self._unanswered[-1]
        self._unanswered.remove(asked)
        self.asked = []
        self.clock += 1
        self.calls += 1
        self.former = [*self.former[1 - FORMER :], self._symbols.apart(*asked)[0]]
        self.signatures = [*self.signatures[1 - FORMER :], Signature(str(self.former[-1]), call.outcome)]
        if isinstance(call.value, dict | list):
            self.ties.read(call.value)
            self._json(call.value, call.tool)
        else:
            self._text(call.text, "text", call.tool)
            whole = call.text.strip()
            if 0 < len(whole) <= SHORT_RESULT:
                self._put(("str", whole), self._origin(("whole", call.tool, "")), 0)
        self.heard_user = False

    def latest(self) -> str:
        """The symbol that was asked for last."""
        return str(self.asked[-1]) if self.asked else self.signatures[-1].tool if self.signatures else ""

    def named_for(self, slot: Slot) -> dict[Key, None]:
        """What was given as an argument of this name, of any tool; as a slot of a command, of this command."""
        return self.named.get(slot.argument if isinstance(slot.argument, str) else slot.symbol, {})

    def _text(self, text: str, kind: str, tool: str) -> set[str]:
        """From its end, so that the first value of a text is the newest."""
        self.clock += 1
        origins: dict[str, Origin] = {}
        words = spoken(text)
        for position in range(len(words) - 1, -1, -1):
            key: Key = ("str", words[position])
            mask = mask_of(key)
            origin = origins.get(mask)
            if origin is None:
                origin = origins[mask] = self._origin((kind, tool, mask))
            self._put(key, origin, position)
            if (number := twin(key)) is not None:
                self._put(number, self._origin((kind, tool, "int")), position)
        return set(origins)

    def _json(self, value: Any, tool: str) -> None:
        whole = Trail()
        origins: dict[Trail, Origin] = {}
        found = leaves(value, whole)
        for position in range(len(found) - 1, -1, -1):
            trail, key = found[position]
            if key is not None:
                origin = origins.get(trail)
                if origin is None:
                    origin = origins[trail] = self._origin(("out", tool, trail.path))
                self._put(key, origin, position)
        self._names(value, tool, whole)

    def _names(self, value: Any, tool: str, trail: Trail) -> None:
        """Keys of maps are values, and so are short lists. `value` is a map, a record or a list."""
        if len(trail.path) > 4:
            return
        if isinstance(value, list):
            if value and len(value) <= LISTED and not isinstance(value[0], dict | list):
                if (key := key_of(value)) is not None:
                    self._put(key, self._origin(("list", tool, trail.path)), 0)
                return
            inside = [(trail.step(None), item) for item in value[:20]]
        else:
            record = trail.is_record(value)
            inside = [(trail.step(name if record else None), item) for name, item in islice(value.items(), 64)]
            if not record:
                self._keys(value, tool, trail)
            inside.reverse()
        for step, item in inside:
            if isinstance(item, dict | list):
                self._names(item, tool, step)

    def _keys(self, value: dict[str, Any], tool: str, trail: Trail) -> None:
        """Of a map."""
        for position, name in reversed(list(enumerate(islice(value, 64)))):
            if len(name) <= LONGEST:
                self._put(("str", name), self._origin(("key", tool, trail.path)), position)

    def _use(self, symbol: Symbol, tool: str, argument: Argument, key: Key, *, lasting: bool = True) -> None:
        slot = Slot(symbol, argument)
        origin = self._origin(_argument(slot), lasting=lasting)
        value = self._put(key, origin, 0, lasting=lasting)
        value.used[slot] = self.clock
        if lasting and (other := twin(key)) is not None:
            self._put(other, origin, 0)
        if slot in self.last:
            self.before_last[slot] = self.last[slot]
        self.last[slot] = key
        named = self.named.setdefault(argument if isinstance(argument, str) else symbol, {})
        _newest(named, key, None, NAMED)
        _newest(self.recent, key, None, RECENT)
        if lasting:
            _bounded(value.used, USED)
            for kept in (self.last, self.before_last, self.named):
                _bounded(kept)

    def _origin(self, source: Source, *, lasting: bool = True) -> Origin:
        """Of the text that is read."""
        origin = self.origins.pop(source, None)
        if origin is None:
            origin = Origin(source)
        self.origins[source] = origin
        origin.newest = self.clock
        if lasting and len(self.origins) > SOURCES:
            oldest = self.origins.pop(next(iter(self.origins)))
            oldest.newest = -1
            oldest.values.clear()
        return origin

    def _put(self, key: Key, origin: Origin, position: int, *, lasting: bool = True) -> Value:
        value = self.values.get(key)
        if value is None:
            value = self.values[key] = Value(key)
        value.put(origin, (self.calls, position, self.clock))
        if lasting:
            self._is_newest(value, origin)
        return value

    def _is_newest(self, value: Value, origin: Origin) -> None:
        """Of all, of its mask, and of its source."""
        key, values, alike = value.key, self.values, self.by_mask.get(value.mask)
        values.move_to_end(key)
        if len(values) > VALUES:
            self.drop(next(iter(values)))
            alike = self.by_mask.get(value.mask)
        if alike is None:
            alike = self.by_mask[value.mask] = {}
        _newest(alike, key, value, PER_MASK)
        _newest(origin.values, key, value, PER_SOURCE)
        if len(value.places) > PLACES:
            value.leave_oldest().values.pop(key, None)

    def drop(self, key: Key) -> None:
        value = self.values.pop(key)
        alike = self.by_mask.get(value.mask)
        if alike is not None:
            alike.pop(key, None)
            if not alike:
                del self.by_mask[value.mask]
        for origin in value.places:
            origin.values.pop(key, None)

    def _note_made(self, symbol: Symbol, call: Written) -> None:
        if len(call[1]) > REPEATED:
            return
        made = self.made.setdefault(symbol, [])
        before = len(made)
        if call in made:
            made.remove(call)
        made.append(call)
        del made[:-REPEATS]
        self._made += len(made) - before
        while self._made > MADE or len(self.made) > SLOTS:
            self._made -= len(self.made.pop(next(iter(self.made))))

    def _note_habit(self, after: Symbol | None, symbol: Symbol) -> None:
        counts = self.local.setdefault(after, {})
        self._habits += symbol not in counts
        counts[symbol] = counts.get(symbol, 0) + 1
        while self._habits > HABITS or len(self.local) > SLOTS:
            self._habits -= len(self.local.pop(next(iter(self.local))))


def _newest(kept: dict[Key, T], key: Key, value: T, limit: int) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > limit:
        del kept[next(iter(kept))]


def _bounded(kept: dict[Any, Any], most: int = SLOTS) -> None:
    """To be called after each new entry."""
    if len(kept) > most:
        del kept[next(iter(kept))]


def _argument(slot: Slot) -> Source:
    return "arg", slot.symbol.tool, slot.argument if isinstance(slot.argument, str) else ""
