"""Bindings: where an argument's value is found in the session (DESIGN section 4; the f of PASTE's patterns).

A small closed set, evaluated in two directions: `find` says which value a binding gives now, and `explain`
which bindings give a value that was really asked for. The first decides: an explanation is kept only if it
gives exactly that value. Constants are not among them: a constant is a value of some session, and what is
learnt here is kept on disk. A repeated `limit=10` is bound all the same, to the argument of the call before.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

import msgspec

from paste_proxy.predict.model import FinishedCall
from paste_proxy.predict.shapes import Key, Path, every_item, exact, leaves, readable, select

RANKS = 10
"""Places of an iteration that are told apart: agents' traces hardly ever take an item after the tenth
unused."""
_OUTPUTS = 8
"""Newest outputs in which values are looked for: in search agents' traces they hold 82-96 % of what is
opened."""
_SOURCES = 16
"""Outputs looked at in all: older ones only where no newer one is of the same tool."""
_REACH = 64
"""How many calls back such an older output may be."""
_MEMORY = 256
"""How many calls back an item counts as used: longer than nearly all sessions (mean 3 to 81 calls)."""
_EXPLANATIONS = 8
"""Bindings considered per argument value."""


Rank: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=RANKS)]


class Slot(NamedTuple):
    """The argument that is to be filled."""

    tool: str
    argument: str


class PathBinding(msgspec.Struct, frozen=True, tag="path"):
    """The value at a JSON path of the newest output of `tool` that has one; an integer is a list's item."""

    tool: str
    path: Path
    rank: ClassVar[int] = 0

    def find(self, view: "View", slot: Slot) -> Key | None:
        for output in view.outputs(self.tool):
            for value in select(output.value, self.path):
                return exact(value)
        return None

    def __str__(self) -> str:
        return f"{readable(self.path)} of {self.tool}"


class IterationBinding(msgspec.Struct, frozen=True, tag="iteration"):
    """The `rank`-th item that no earlier call has used as this argument, of a list in an output of `tool`.

    `path` leads to the items; None stands for every item, so nested lists are one list in document order.
    The list is that of the newest output that still has such an item.
    """

    tool: str
    path: Path
    rank: Rank = 0

    def items(self, output: FinishedCall) -> Iterable[Any]:
        return select(output.value, self.path)

    def find(self, view: "View", slot: Slot) -> Key | None:
        return _at(view.unused(msgspec.structs.replace(self, rank=0), slot), self.rank)

    def __str__(self) -> str:
        return f"unused {readable(self.path)} #{self.rank + 1} of {self.tool}"


class TextBinding(msgspec.Struct, frozen=True, tag="text"):
    """The `rank`-th unused address or path, by shape, in the text of an output of `tool`; as
    `IterationBinding`."""

    kind: Literal["address", "path"]
    tool: str
    rank: Rank = 0

    def items(self, output: FinishedCall) -> Iterable[Any]:
        return output.addresses if self.kind == "address" else output.paths

    def find(self, view: "View", slot: Slot) -> Key | None:
        return _at(view.unused(msgspec.structs.replace(self, rank=0), slot), self.rank)

    def __str__(self) -> str:
        return f"unused {self.kind} #{self.rank + 1} in the text of {self.tool}"


class ArgumentBinding(msgspec.Struct, frozen=True, tag="argument"):
    """The value of an argument in the newest call of `tool` that has it."""

    tool: str
    argument: str
    rank: ClassVar[int] = 0

    def find(self, view: "View", slot: Slot) -> Key | None:
        return view.newest_arguments(self.tool).get(self.argument)

    def __str__(self) -> str:
        return f"argument {self.argument} of {self.tool}"


Iterating: TypeAlias = IterationBinding | TextBinding
Binding: TypeAlias = PathBinding | IterationBinding | TextBinding | ArgumentBinding


def family(binding: Binding) -> Binding:
    """The binding without its rank: what places of one list have in common."""
    if isinstance(binding, Iterating):
        return msgspec.structs.replace(binding, rank=0)
    return binding


def _at(items: Sequence[Key], rank: int) -> Key | None:
    return items[rank] if 0 <= rank < len(items) else None


class View:
    """A session's calls, prepared once for many bindings. Its work is bounded whatever they hold."""

    def __init__(self, calls: Sequence[FinishedCall]) -> None:
        self._calls = calls[-_MEMORY:]
        self._outputs = _sources(self._calls)
        self._used: dict[Slot, frozenset[Key]] = {}
        self._unused: dict[tuple[Iterating, Slot], list[Key]] = {}
        self._asked: dict[str, set[frozenset[tuple[str, Key]]]] = {}
        self._newest: dict[str, dict[str, Key]] = {}
        self._places: dict[Key, list[tuple[str, Path]]] | None = None

    def tools(self) -> Iterable[str]:
        """Tools that have outputs in view, the newest first."""
        return self._outputs

    def outputs(self, tool: str) -> Sequence[FinishedCall]:
        """The outputs of `tool` in view, the newest first."""
        return self._outputs.get(tool, ())

    def unused(self, source: Iterating, slot: Slot) -> list[Key]:
        """The items of `source` that no call has used as `slot` yet, from the newest output that has any."""
        if (source, slot) not in self._unused:
            lists = (self._fresh(source.items(output), slot) for output in self.outputs(source.tool))
            self._unused[source, slot] = next(filter(None, lists), [])
        return self._unused[source, slot]

    def _fresh(self, items: Iterable[Any], slot: Slot) -> list[Key]:
        used = self._used_as(slot)
        keys = (key for key in map(exact, items) if key is not None and key not in used)
        return list(islice(dict.fromkeys(keys), RANKS))

    def _used_as(self, slot: Slot) -> frozenset[Key]:
        if slot not in self._used:
            values = (
                exact(call.arguments[slot.argument])
                for call in self._calls
                if call.tool == slot.tool and slot.argument in call.arguments
            )
            self._used[slot] = frozenset(key for key in values if key is not None)
        return self._used[slot]

    def repeats(self, tool: str, arguments: dict[str, Key]) -> bool:
        """Whether an earlier call was exactly this one."""
        if any(key not in self._used_as(Slot(tool, name)) for name, key in arguments.items()):
            return False
        if tool not in self._asked:
            calls = (_keys(call.arguments) for call in self._calls if call.tool == tool)
            self._asked[tool] = {frozenset(keys.items()) for keys in calls if keys is not None}
        return frozenset(arguments.items()) in self._asked[tool]

    def newest_arguments(self, tool: str) -> dict[str, Key]:
        """The arguments of the last calls of `tool`, each as it was last given."""
        if tool not in self._newest:
            found: dict[str, Key] = {}
            for output in reversed(self.outputs(tool)):
                for name, value in islice(output.arguments.items(), _SOURCES):
                    if (key := exact(value)) is not None:
                        found[name] = key
            self._newest[tool] = found
        return self._newest[tool]

    def places(self, key: Key) -> list[tuple[str, Path]]:
        """Where the outputs hold a value: tool and path, the newest output first."""
        if self._places is None:
            self._places = {}
            for tool, outputs in self._outputs.items():
                for path, leaf in chain.from_iterable(leaves(output.value) for output in outputs):
                    self._places.setdefault(leaf, []).append((tool, path))
        return self._places.get(key, [])


def _sources(calls: Sequence[FinishedCall]) -> dict[str, list[FinishedCall]]:
    """The newest outputs, and of each other tool the newest: by tool, the newest first."""
    found: dict[str, list[FinishedCall]] = {}
    count = 0
    for age, call in enumerate(islice(reversed(calls), _REACH)):
        if age < _OUTPUTS or call.tool not in found:
            found.setdefault(call.tool, []).append(call)
            count += 1
        if count == _SOURCES:
            break
    return found


def _keys(arguments: dict[str, Any]) -> dict[str, Key] | None:
    keys = {name: exact(value) for name, value in arguments.items()}
    bound = {name: key for name, key in keys.items() if key is not None}
    return bound if len(bound) == len(keys) else None


def explain(view: View, slot: Slot, value: Any) -> list[Binding]:
    """The bindings that give exactly `value` now, in a fixed order: lists, fields, text, earlier arguments.

    Truth values and null are bound to earlier arguments alone: in outputs they stand everywhere.
    """
    key = exact(value)
    if key is None:
        return []
    proposed: Iterator[Binding] = _arguments(view)
    if key[0] not in (bool, type(None)):
        proposed = chain(_iterations(view, slot, key), _paths(view, key), _texts(view, slot, key), proposed)
    giving = (binding for binding in dict.fromkeys(proposed) if binding.find(view, slot) == key)
    return list(islice(giving, _EXPLANATIONS))


def _iterations(view: View, slot: Slot, key: Key) -> Iterator[Binding]:
    lists = ((tool, every_item(path)) for tool, path in view.places(key) if None in every_item(path))
    for tool, path in dict.fromkeys(lists):
        yield from _ranked(view, slot, key, IterationBinding(tool, path))


def _texts(view: View, slot: Slot, key: Key) -> Iterator[Binding]:
    for tool in view.tools():
        yield from _ranked(view, slot, key, TextBinding("address", tool))
        yield from _ranked(view, slot, key, TextBinding("path", tool))


def _ranked(view: View, slot: Slot, key: Key, source: Iterating) -> Iterator[Binding]:
    unused = view.unused(source, slot)
    if key in unused:
        yield msgspec.structs.replace(source, rank=unused.index(key))


def _paths(view: View, key: Key) -> Iterator[Binding]:
    """Fields before items of lists: the more general first."""
    places = [(tool, path) for tool, path in view.places(key) if None not in path]
    for tool, path in sorted(places, key=lambda place: None in every_item(place[1])):
        yield PathBinding(tool, path)


def _arguments(view: View) -> Iterator[Binding]:
    for tool in view.tools():
        for argument in view.newest_arguments(tool):
            yield ArgumentBinding(tool, argument)
