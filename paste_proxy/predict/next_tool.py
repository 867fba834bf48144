"""Which symbol comes next: counts in contexts of growing length, backed off (the C and T of PASTE's patterns).

A context's counts are blended with those of the shorter one by how often new things came in it (Witten and
Bell's rule, 1991): n / (n + NEW * kinds) for the context's own. The session's own habits join in the same way.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache

from paste_proxy.predict.heard import NAME
from paste_proxy.predict.ledger import TOTAL, Group, Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.signatures import START, Signature
from paste_proxy.predict.symbols import Symbol

FREQUENT = 16
"""Symbols that are considered in any context, the most frequent ones."""
LEFT_OUT = ("long contexts", "habits", "user's text")
SHORT = 4
"""Contexts of one signature."""
KINDS = 16
"""Of each context."""
CONSIDERED = 24
"""Symbols from which on no shorter context is asked for more."""
NEW = 3.0
"""Witten and Bell's kinds count so often: a long context that was seen once or twice must not outweigh the
shorter ones. Of 1 to 7 the best on five sources' traces."""
UNSEEN = 0.2
"""Added to each symbol's count where nothing is known of the context."""
HABIT = 6.0
"""What a session asked for after the same symbol counts as if there were so many kinds more: a handful of
turns must agree before it is a habit."""
WEIGHT = 4.0
"""Turns that the shorter context's share of ends counts for."""
MASKS = 5.0
"""Turns that a symbol's share of masks in the user's text counts for beforehand."""
TRUST = 0.7
"""Exponent on the masks' likelihood: they come together, so each says less than it would alone."""
NAMED = 0.5
"""A word of the tool's name in the user's text makes it half as likely again."""


class NextTool:
    def __init__(self, ledger: Ledger, without: frozenset[str] = frozenset()) -> None:
        """`without`: of `LEFT_OUT`, to see what they are worth."""
        self._ledger = ledger
        self._without = without

    def learn(self, memory: Memory, symbol: Symbol | None) -> None:
        """None: the turn ends without a further call."""
        for context in _contexts(memory):
            self._ledger.count("ends", context, symbol is None)
            if symbol is not None:
                self._ledger.count("next", context, symbol)
        if symbol is None:
            return
        if memory.heard_user:
            self._ledger.count("heard by", None, symbol)
            for mask in memory.user_masks:
                self._ledger.count("heard", symbol, mask)
                self._ledger.count("heard", None, mask)

    def likely(self, memory: Memory, least: float = 0.0) -> dict[Symbol, float]:
        """Symbols with their probabilities; what is left of one: the turn ends without a further call. None if
        that leaves `least` or less for all of them."""
        contexts = list(_contexts(memory))
        if (goes_on := 1 - self._ends(contexts)) <= least:
            return {}
        if "long contexts" in self._without:
            del contexts[SHORT:]
        groups = [self._ledger.find("next", context) for context in contexts]
        local = memory.local.get(memory.former[-1] if memory.former else None) or {}
        chances = dict.fromkeys(_considered(groups, local), 0.0)
        for group in groups:
            if group is groups[0] or group:
                chances = _blend(chances, group or {})
        if local and "habits" not in self._without:
            chances = _habit(chances, local)
        if memory.heard_user and "user's text" not in self._without:
            self._hear(chances, memory)
        return {symbol: chance * goes_on for symbol, chance in chances.items()}

    def _ends(self, contexts: Iterable[Hashable]) -> float:
        """Apart from what comes: a context that nearly always ends a turn must not hide what follows if it does
        not."""
        share = 0.5
        for context in contexts:
            counts = self._ledger.find("ends", context) or {}
            share = (counts.get(True, 0.0) + WEIGHT * share) / (counts.get(TOTAL, 0.0) + WEIGHT)
        return share

    def _hear(self, chances: dict[Symbol, float], memory: Memory) -> None:
        """What the user's text has the shape of, and which tools it names."""
        by, all_masks = self._ledger.find("heard by", None) or {}, self._ledger.find("heard", None) or {}
        turns = by.get(TOTAL, 0.0) + 1
        base = {mask: (all_masks.get(mask, 0.0) + 0.5) / turns for mask in memory.user_masks}
        for symbol in chances:
            own, seen, odds = self._ledger.find("heard", symbol) or {}, by.get(symbol, 0.0), 1.0
            for mask, share in base.items():
                odds *= (own.get(mask, 0.0) + MASKS * share) / (seen + MASKS) / share
            named = sum(word in memory.user_words for word in name_words(symbol.tool))
            chances[symbol] *= min(20.0, max(0.05, odds)) ** TRUST * (1 + NAMED * named)
        whole = sum(chances.values()) or 1.0
        for symbol in chances:
            chances[symbol] /= whole


def _contexts(memory: Memory) -> Iterator[Hashable]:
    """From short to long. The user's speaking and the calls of the turn so far stand beside the signatures."""
    empty = [START] * (3 - len(memory.signatures))
    third, second, last = (empty + memory.signatures)[-3:]
    user, asked = memory.heard_user, tuple(memory.asked[-2:])
    yield ()
    tool, program = _coarse(last.tool)
    yield ("tool", tool, user, bool(asked))
    yield ("application", memory.application, tool, user, bool(asked))
    yield ("last", (program, last.outcome), asked)
    yield ("user", (program, last.outcome), user, asked)
    if program != last.tool:
        yield ("exact", _pair(last), user, asked)
    yield ("two", _pair(second), _pair(last), user, asked)
    yield ("three", _pair(third), _pair(second), _pair(last), user, asked)


def _coarse(symbol: str) -> tuple[str, str]:
    """A symbol's tool, and the tool with its command's first word: commands differ too much to be told apart
    alone."""
    tool, command, text = symbol.partition(": ")
    return tool, f"{tool}: {text.split(' ', 1)[0]}" if command else tool


def _pair(signature: Signature) -> tuple[str, str]:
    return signature.tool, signature.outcome


def _considered(groups: list[Group | None], local: Mapping[Symbol, int]) -> dict[Symbol, None]:
    """Of long contexts first: they are what is likely here."""
    found: dict[Symbol, None] = dict.fromkeys(local)
    for group in reversed(groups):
        if group and len(found) < CONSIDERED:
            most = FREQUENT if group is groups[0] else KINDS
            top = (
                group if len(group) <= most else sorted(group, key=group.__getitem__, reverse=True)[: most + 1]
            )
            for label in top:
                if label != TOTAL:
                    found[_symbol(label)] = None
    return found


def _symbol(label: object) -> Symbol:
    """As it was before it was stored."""
    return label if isinstance(label, Symbol) else Symbol._make(label)  # type: ignore[arg-type]


def _blend(chances: dict[Symbol, float], group: Group) -> dict[Symbol, float]:
    total = group.get(TOTAL, 0.0)
    kinds = len(group) - 1
    if not any(chances.values()):
        if kinds < 1:
            return dict.fromkeys(chances, 1 / max(1, len(chances)))
        whole = total + UNSEEN * kinds + 1
        return {symbol: (group.get(symbol, 0.0) + UNSEEN) / whole for symbol in chances}
    if kinds < 1:
        return chances
    own, rest = 1 / (total + NEW * kinds), NEW * kinds / (total + NEW * kinds)
    return {symbol: own * group.get(symbol, 0.0) + rest * chance for symbol, chance in chances.items()}


def _habit(chances: dict[Symbol, float], local: Mapping[Symbol, int]) -> dict[Symbol, float]:
    total = sum(local.values())
    own = total / (total + HABIT * (1 + len(local)))
    return {
        symbol: own * local.get(symbol, 0) / total + (1 - own) * chance for symbol, chance in chances.items()
    }


def name_words(tool: str) -> tuple[str, ...]:
    """find_user_id and findUserId: find, user (ids are in every text)."""
    return _name_words(tool[:NAME])


@lru_cache(maxsize=4096)
def _name_words(tool: str) -> tuple[str, ...]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", tool).lower()
    return tuple(word for word in re.findall(r"[a-z]+", spaced) if len(word) > 2)
