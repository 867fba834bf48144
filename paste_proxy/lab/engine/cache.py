"""The engine's KV memory: a radix tree of message prefixes, evicted leaf by leaf, the longest unused first.

As SGLang 0.5.23 keeps it (`mem_cache/radix_cache.py`), with whole messages in place of tokens: a prompt shares
what equal prompts before it left behind, what running requests use is locked, and the rest may be evicted. What
sessions are named with is evicted after all else, and by how many refer to it (`session_ref_tracker.py`).
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
    refs: int = 0
    """Sessions that refer to it."""

    @property
    def value(self) -> tuple[int, int]:
        """The lowest goes first."""
        return self.refs, self.used


class RadixCache:
    """Sizes are in tokens. What is held for a request is locked until it is let go."""

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
        self._tagged: dict[str, list[_Node]] = {}
        """By session, from its last reply to the root."""
        self._leaves: list[tuple[tuple[int, int], int, _Node]] = []
        """A heap of leaves that may be evicted; entries that are not true any more are passed over."""
        self._clock = 0
        self._serial = 0

    @property
    def room(self) -> int:
        """What a request can get at most, by evicting all that nobody uses."""
        return self.capacity - self.locked - self.private

    def depth(self, prompt: Sequence[Message]) -> int:
        """How many leading messages are there; looks without touching."""
        nodes = self._nodes
        low, high = 0, len(prompt)
        while low < high:  # prefixes of what is there are there too
            middle = (low + high + 1) // 2
            if prompt[middle - 1].key in nodes:
                low = middle
            else:
                high = middle - 1
        return low

    def cached(self, prompt: Sequence[Message]) -> int:
        """Tokens of `prompt` that are there."""
        return sum(message.tokens for message in prompt[: self.depth(prompt)])

    def locked_part(self, prompt: Sequence[Message]) -> int:
        """Tokens of `prompt` that running requests use: holding them costs no room."""
        tokens = 0
        for message in prompt:
            node = self._nodes.get(message.key)
            if node is None or not node.locks:
                break
            tokens += message.tokens
        return tokens

    def hold(self, prompt: Sequence[Message]) -> int:
        """Lock all of `prompt`, making room for what is missing. Returns the tokens that were there."""
        if not self._shares:
            tokens = sum(message.tokens for message in prompt)
            self.make_room(tokens)
            self.held += tokens
            self.locked += tokens
            return 0
        self._clock += 1
        depth = self.depth(prompt)
        node: _Node | None = None
        for message in prompt[:depth]:
            node = self._nodes[message.key]
            self._lock(node)
        self.make_room(sum(message.tokens for message in prompt[depth:]))
        for message in prompt[depth:]:
            node = self._add(message, node)
            self._lock(node)
        return sum(message.tokens for message in prompt[:depth])

    def let_go(self, prompt: Sequence[Message], reply: Message | None = None, session: str = "") -> None:
        """The request that holds `prompt`, all of it, is over. `reply` stays behind its prompt, and both are
        what `session` refers to from now on."""
        if not self._shares:
            tokens = sum(message.tokens for message in prompt)
            self.held -= tokens
            self.locked -= tokens
            return
        self._clock += 1
        last = self._nodes[prompt[-1].key]
        if reply is not None:
            for message in prompt:
                self._nodes[message.key].used = self._clock
            self.make_room(0 if reply.key in self._nodes else reply.tokens)
            last = self._nodes.get(reply.key) or self._add(reply, last)
            last.used = self._clock
        for message in prompt:
            node = self._nodes[message.key]
            node.locks -= 1
            if not node.locks:
                self.locked -= node.tokens
        if session:
            self._tag(session, last)
        self._offer(last)

    def release(self, session: str) -> None:
        """It refers to nothing any more."""
        self._untag(self._tagged.pop(session, ()))

    def _tag(self, session: str, last: _Node) -> None:
        path, node = [], last
        while True:
            node.refs += 1
            path.append(node)
            if node.parent is None:
                break
            node = node.parent
        self._untag(self._tagged.get(session, ()))
        self._tagged[session] = path

    def _untag(self, path: Sequence[_Node]) -> None:
        for node in path:
            node.refs -= 1
            self._offer(node)

    def touch(self, prompt: Sequence[Message]) -> int:
        """What is there of `prompt` counts as used now. Returns how many messages that are."""
        self._clock += 1
        depth = self.depth(prompt)
        for message in prompt[:depth]:
            self._nodes[message.key].used = self._clock
        if depth:
            self._offer(self._nodes[prompt[depth - 1].key])
        return depth

    def make_room(self, tokens: int) -> bool:
        """Evict until `tokens` more fit; false if they can't, however much is evicted."""
        while self.held + self.private + tokens > self.capacity:
            node = self._oldest()
            if node is None:
                return False
            self._remove(node)
            self.evicted += node.tokens
        return True

    def drop_unread(self, prompt: Sequence[Message], read: int) -> None:
        """Of a prompt that its request holds no more, what was never computed: all behind `read` tokens."""
        end = sum(message.tokens for message in prompt)
        for message in reversed(prompt):
            node = self._nodes.get(message.key)
            if end <= read or node is None or node.locks or node.children:
                return
            self._remove(node)
            end -= message.tokens

    def _remove(self, node: _Node) -> None:
        del self._nodes[node.key]
        self.held -= node.tokens
        if node.parent is not None:
            node.parent.children -= 1
            self._offer(node.parent)

    def _add(self, message: Message, parent: _Node | None) -> _Node:
        node = self._nodes[message.key] = _Node(message.key, parent, message.tokens)
        if parent is not None:
            parent.children += 1
        self.held += node.tokens
        return node

    def _lock(self, node: _Node) -> None:
        if not node.locks:
            self.locked += node.tokens
        node.locks += 1
        node.used = self._clock

    def _offer(self, node: _Node) -> None:
        """It may be evicted, if nobody uses it and nothing hangs on it."""
        if not node.locks and not node.children:
            self._serial += 1
            heapq.heappush(self._leaves, (node.value, self._serial, node))

    def _oldest(self) -> _Node | None:
        while self._leaves:
            value, _, node = heapq.heappop(self._leaves)
            there = self._nodes.get(node.key) is node
            if there and not node.locks and not node.children and node.value == value:
                return node
        return None
