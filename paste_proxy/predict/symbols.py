"""Symbols: what a session's sentence is made of. A symbol is a tool, or a tool with its command's template.

Agents that have one shell say everything with one tool. A command whose first word is common is therefore a
symbol of its own: its common words, and slots for the others. `sed -n 10,20p app.py` is
`sed -n _,_p _` with three slots, which are filled as arguments are. A word is common once it came in five
sessions of the tenant; until then it is a slot, and its content is not learnt. Files and numbers always are.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from paste_proxy.predict.ledger import WITNESSES, Ledger
from paste_proxy.predict.shapes import is_tool
from paste_proxy.predict.values import Key, key_of, mask_of

LONGEST_COMMAND = 300
"""Characters of a command that is taken apart: longer ones are scripts."""
MOST_WORDS = 16
MOST_SLOTS = 4
"""Commands with more are made anew each time."""

CALLED = ("names", "called")
"""The group of the names of tools and arguments that are nobody's data: a request offered them, or they came in
five sessions. Models make up others, of whatever they have read."""

Argument: TypeAlias = str | int
"""An argument's name, or the place of a slot in a command."""


class Symbol(NamedTuple):
    tool: str
    argument: str = ""
    """The argument that holds the command; empty: the tool has none."""
    parts: tuple[str | tuple[str], ...] = ()
    """The command's pieces: texts, and in a tuple of one the mask of a slot."""
    open: bool = False
    """Only the command's first word is known: it can't be written."""

    def __str__(self) -> str:
        if not self.argument:
            return self.tool
        command = "".join(part if isinstance(part, str) else "_" for part in self.parts)
        return f"{self.tool}: {command}{' ...' if self.open else ''}"


def is_symbol(value: tuple[Any, ...]) -> bool:
    """Of what was stored, too: there it is a plain tuple, and nothing else that is learnt has its form."""
    return [type(part) for part in value] == [str, str, tuple, bool]


class Slot(NamedTuple):
    """What is to be filled."""

    symbol: Symbol
    argument: Argument


Filling: TypeAlias = dict[Argument, Key | None]
"""What fills the slots of a symbol; None for content."""
Written: TypeAlias = tuple[str, frozenset[tuple[str, Key]]]
"""A call as it is compared: its tool, and its arguments."""

_WORDS = re.compile(r"(\d+(?=[a-z]\b)|[\w./~@+-]+)")
_FIRST = re.compile(r"(?:cd \S+ && )?\s*([\w./~@+-]+)")


class Symbols:
    """Takes calls apart and puts them together, by the words that it has learnt."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._offered: frozenset[str] = frozenset()

    def apart(self, tool: str, arguments: Mapping[str, Any]) -> tuple[Symbol, Filling]:
        filling: Filling = {name: key_of(value) for name, value in arguments.items()}
        for name, value in arguments.items():
            if isinstance(value, str) and " " in value.strip():
                return self._command(tool, name, value, filling)
        return Symbol(tool), filling

    def _command(self, tool: str, name: str, text: str, filling: Filling) -> tuple[Symbol, Filling]:
        common = self._ledger.find("words", (tool, name))
        first = _FIRST.match(text)
        if not common or first is None or common.get(first.group(1), 0) < WITNESSES:
            return Symbol(tool), filling
        filling = {other: key for other, key in filling.items() if other != name}
        short = len(text) <= LONGEST_COMMAND and "\n" not in text
        pieces: list[str | tuple[str]] = list(_WORDS.split(text)) if short else []
        slots: Filling = {}
        for place in range(1, len(pieces), 2):
            word = pieces[place]
            if isinstance(word, str) and (common.get(word, 0) < WITNESSES or _is_reference(word)):
                slots[place] = ("str", word)
                pieces[place] = (mask_of(("str", word)),)
        if not pieces or len(pieces) > 2 * MOST_WORDS + 1 or len(slots) > MOST_SLOTS:
            return Symbol(tool, name, (first.group(1),), open=True), filling
        return Symbol(tool, name, tuple(pieces)), filling | slots

    def together(self, symbol: Symbol, filling: Mapping[Argument, Key]) -> Written | None:
        """The call; None if it can't be written."""
        named = [(name, key) for name, key in filling.items() if isinstance(name, str)]
        if not symbol.argument:
            return symbol.tool, frozenset(named)
        if symbol.open:
            return None
        text = "".join(
            part if isinstance(part, str) else str(filling[place][1]) for place, part in enumerate(symbol.parts)
        )
        return symbol.tool, frozenset([*named, (symbol.argument, ("str", text))])

    def offer(self, names: frozenset[str]) -> None:
        """Of tools and arguments: they stand in a request, so no model made them up."""
        if names is self._offered:
            return
        self._offered = names
        if new := sorted(filter(is_tool, names.difference(self._ledger.find(*CALLED) or ()))):
            self._ledger.admit(*CALLED, new, float(WITNESSES))

    def learn(self, tool: str, arguments: Mapping[str, Any], session: str) -> None:
        """Its names, and which words its commands have."""
        for name in filter(is_tool, dict.fromkeys((tool, *arguments))):
            self._ledger.witness(*CALLED, name, session)
        for name, value in arguments.items():
            if isinstance(value, str) and " " in value.strip():
                for word in dict.fromkeys(_WORDS.findall(value[:LONGEST_COMMAND])):
                    if len(word) <= 24:
                        self._ledger.witness("words", (tool, name), word, session)


@lru_cache(maxsize=4096)
def _is_reference(word: str) -> bool:
    """A file is an argument, however common its name is; so is a number."""
    return mask_of(("str", word)) in ("file", "path", "0")


def written(tool: str, arguments: Mapping[str, Any]) -> Written | None:
    """None where an argument is content."""
    keys = [(name, key_of(value)) for name, value in arguments.items()]
    bound = [(name, key) for name, key in keys if key is not None]
    return (tool, frozenset(bound)) if len(bound) == len(keys) else None
