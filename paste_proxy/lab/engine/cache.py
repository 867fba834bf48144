"""The engine's KV memory: a radix tree of message prefixes, evicted leaf by leaf, the longest unused first.

As SGLang 0.5.23 keeps it (`mem_cache/radix_cache.py`), with whole messages in place of tokens: a prompt shares
what equal prompts before it left behind, what running requests use is locked, and the rest may be evicted.
"""

import heapq
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

Key: TypeAlias = str | bytes
"""Stands for a whole prefix: equal for equal messages from the first one on."""


class Message(msgspec.Struct, frozen=True):
    """One message of a prompt: the prefix that it ends, and its own tokens."""

    key: Key
    tokens: int


class _Node(msgspec.Struct, eq=False):
    key: Key
    parent: "_Node | None"
    tokens: int
    children: int = 0
    locks: int = 0
    used: int = 0
    """When it was last used, in uses of the cache."""


class RadixCache:
    """Sizes are in tokens. `Lease`s lock what they hold."""

    def __init__(self, capacity: int, *, shares: bool = True) -> None:
        """`shares`: a prefix cache; without one nothing outlives its request."""
        self.capacity = capacity
        self.held = 0
        """Of all nodes, locked or not."""
        self.locked = 0
        self.private = 0
        """What running requests hold beside the tree: their output so far."""
        self.evicted = 0
        """Ever."""
        self._shares = shares
        self._nodes: dict[Key, _Node] = {}
        self._leaves: list[tuple[int, int, _Node]] = []
        """A heap of leaves that may be evicted; entries that are not true any more are passed over."""
        self._clock = 0
        self._serial = 0

    @property
    def room(self) -> int:
        """What a request can get at most, by evicting all that nobody uses."""
        return self.capacity - self.locked - self.private

    def cached(self, prompt: Sequence[Message]) -> int:
        """Tokens of `prompt` that are there; looks without touching."""
        return sum(message.tokens for message in prompt[: self._depth(prompt)])

    def lock(self, prompt: Sequence[Message]) -> int:
        """Lock the part of `prompt` that is there; returns its tokens."""
        depth = self._depth(prompt)
        self._clock += 1
        for message in prompt[:depth]:
            self._lock(self._nodes[message.key])
        return sum(message.tokens for message in prompt[:depth])

    def extend(self, prompt: Sequence[Message]) -> None:
        """Add what is missing of a prompt whose other messages are locked, and lock it. Makes room."""
        depth = self._depth(prompt)
        missing = sum(message.tokens for message in prompt[depth:])
        self.make_room(missing)
        parent = self._nodes[prompt[depth - 1].key] if depth else None
        self._clock += 1
        for message in prompt[depth:]:
            node = _Node(message.key, parent, message.tokens)
            if parent is not None:
                parent.children += 1
            self._nodes[message.key] = node
            self.held += node.tokens
            self._lock(node)
            parent = node

    def unlock(self, prompt: Sequence[Message]) -> None:
        """The request that locked `prompt`, all of it, is over."""
        self._clock += 1
        for message in prompt:
            node = self._nodes[message.key]
            node.locks -= 1
            if not node.locks:
                self.locked -= node.tokens
        if self._shares:
            self._offer(self._nodes[prompt[-1].key])
        else:
            self._drop(prompt)

    def make_room(self, tokens: int) -> bool:
        """Evict until `tokens` more fit; false if they can't, however much is evicted."""
        while self.held + self.private + tokens > self.capacity:
            node = self._oldest()
            if node is None:
                return False
            self._remove(node)
            self.evicted += node.tokens
            if node.parent is not None:
                self._offer(node.parent)
        return True

    def _depth(self, prompt: Sequence[Message]) -> int:
        """How many leading messages are there: prefixes of what is there are there too."""
        nodes = self._nodes
        low, high = 0, len(prompt)
        while low < high:
            middle = (low + high + 1) // 2
            if prompt[middle - 1].key in nodes:
                low = middle
            else:
                high = middle - 1
        return low

    def _lock(self, node: _Node) -> None:
        if not node.locks:
            self.locked += node.tokens
        node.locks += 1
        node.used = self._clock

    def _offer(self, node: _Node) -> None:
        """It may be evicted, if nobody uses it and nothing hangs on it."""
        if not node.locks and not node.children:
            self._serial += 1
            heapq.heappush(self._leaves, (node.used, self._serial, node))

    def _oldest(self) -> _Node | None:
        while self._leaves:
            used, _, node = heapq.heappop(self._leaves)
            there = self._nodes.get(node.key) is node
            if there and not node.locks and not node.children and node.used == used:
                return node
        return None

    def _remove(self, node: _Node) -> None:
        del self._nodes[node.key]
        self.held -= node.tokens
        if node.parent is not None:
            node.parent.children -= 1

    def _drop(self, prompt: Sequence[Message]) -> None:
        for message in reversed(prompt):
            node = self._nodes[message.key]
            if not node.locks and not node.children:
                self._remove(node)
