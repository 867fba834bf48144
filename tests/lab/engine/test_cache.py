"""The radix cache: what is shared, what is locked, what goes first; and against a naive model."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.lab.engine.cache import Message, RadixCache


def prompt(path: str, tokens: int = 10) -> tuple[Message, ...]:
    """One message per letter, of so many tokens each; equal beginnings are equal prefixes."""
    return tuple(Message(path[:end], tokens) for end in range(1, len(path) + 1))


def used(cache: RadixCache, path: str, reply: str = "") -> None:
    cache.hold(prompt(path))
    cache.let_go(prompt(path), Message(path + reply, 10) if reply else None)


def test_what_a_request_leaves_is_found_by_the_next_one() -> None:
    cache = RadixCache(1000)
    used(cache, "ab", "c")
    assert cache.cached(prompt("abc")) == 30
    assert cache.hold(prompt("abcd")) == 30
    assert (cache.held, cache.locked) == (40, 40)


def test_other_prompts_share_the_beginning_only() -> None:
    cache = RadixCache(1000)
    used(cache, "abc")
    assert cache.hold(prompt("abx")) == 20
    assert cache.held == 40
    assert cache.locked_part(prompt("abc")) == 20


def test_the_longest_unused_leaf_goes_first() -> None:
    cache = RadixCache(60)
    used(cache, "ab")
    used(cache, "xy")
    used(cache, "pq")
    cache.hold(prompt("m"))
    assert [cache.cached(prompt(path)) for path in ("ab", "xy", "pq")] == [10, 20, 20]
    cache.hold(prompt("n"))
    assert cache.cached(prompt("ab")) == 0
    assert cache.evicted == 20


def test_what_is_looked_for_is_not_the_longest_unused_any_more() -> None:
    cache = RadixCache(40)
    used(cache, "ab")
    used(cache, "xy")
    cache.touch(prompt("abz"))
    cache.hold(prompt("m"))
    assert [cache.cached(prompt(path)) for path in ("ab", "xy")] == [20, 10]


def test_a_whole_session_is_used_when_its_reply_comes_back() -> None:
    """Else its older messages would go before those of a session that waits longer."""
    cache = RadixCache(60)
    cache.hold(prompt("ab"))
    used(cache, "xy")
    cache.let_go(prompt("ab"), Message("abc", 10))
    cache.hold(prompt("mno"))
    assert [cache.cached(prompt(path)) for path in ("abc", "xy")] == [30, 0]


def test_what_is_locked_stays_whatever_comes() -> None:
    cache = RadixCache(30)
    cache.hold(prompt("ab"))
    assert not cache.make_room(20)
    assert cache.make_room(10)
    cache.hold(prompt("xyz"))  # does not fit, and is held all the same: an engine has to go on
    assert cache.cached(prompt("ab")) == 20
    assert cache.room == 30 - 50


def test_two_equal_requests_hold_one_prompt_and_leave_one_reply() -> None:
    cache = RadixCache(1000)
    cache.hold(prompt("ab"))
    cache.hold(prompt("ab"))
    cache.let_go(prompt("ab"), Message("abc", 10))
    assert (cache.held, cache.locked) == (30, 20)
    cache.let_go(prompt("ab"), Message("abc", 10))
    assert (cache.held, cache.locked) == (30, 0)
    assert cache.make_room(1000)
    assert cache.held == 0


def test_without_sharing_nothing_outlives_its_request() -> None:
    cache = RadixCache(1000, shares=False)
    cache.hold(prompt("ab"))
    assert cache.hold(prompt("ab")) == 0
    assert (cache.held, cache.locked) == (40, 40)
    cache.let_go(prompt("ab"), Message("abc", 10))
    cache.let_go(prompt("ab"))
    assert (cache.held, cache.locked, cache.cached(prompt("ab"))) == (0, 0, 0)


def tagged(cache: RadixCache, path: str, session: str) -> None:
    """A turn of the session: its prompt is there, and the last letter is the reply."""
    cache.hold(prompt(path[:-1]))
    cache.let_go(prompt(path[:-1]), Message(path, 10), session)


def test_what_sessions_refer_to_goes_last_and_what_several_do_last_of_all() -> None:
    cache = RadixCache(70)
    tagged(cache, "ab", "one")
    tagged(cache, "ac", "two")
    used(cache, "xyzw")
    cache.make_room(40)
    assert [cache.cached(prompt(path)) for path in ("ab", "ac", "xyzw")] == [20, 20, 0]
    cache.make_room(60)
    assert [cache.cached(prompt(path)) for path in ("ab", "ac")] == [10, 10]


def test_what_a_session_is_over_with_goes_first_though_it_is_the_newest() -> None:
    cache = RadixCache(60)
    tagged(cache, "ab", "old")
    tagged(cache, "xyz", "new")
    cache.release("new")
    cache.release("unknown")
    cache.make_room(30)
    assert [cache.cached(prompt(path)) for path in ("ab", "xyz")] == [20, 10]


def test_a_session_refers_to_its_newest_turn() -> None:
    cache = RadixCache(60)
    tagged(cache, "ab", "one")
    tagged(cache, "xy", "two")
    tagged(cache, "abcd", "one")
    cache.release("one")
    assert cache.make_room(40)
    assert [cache.cached(prompt(path)) for path in ("abcd", "xy")] == [0, 20]


# -- against the naive model ------------------------------------------------------------------------------


class Piece(msgspec.Struct):
    used: int
    locks: int = 0


class Naive:
    """The same, looking at everything each time. Every message has `SIZE` tokens."""

    SIZE = 10

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.private = 0
        self.pieces: dict[str, Piece] = {}
        self.clock = 0

    def hold(self, path: str) -> int:
        self.clock += 1
        prefixes = [path[:end] for end in range(1, len(path) + 1)]
        there = [prefix for prefix in prefixes if prefix in self.pieces]
        for prefix in there:
            self.pieces[prefix].locks += 1
            self.pieces[prefix].used = self.clock
        self.make_room(self.SIZE * (len(prefixes) - len(there)))
        for prefix in prefixes[len(there) :]:
            self.pieces[prefix] = Piece(self.clock, locks=1)
        return self.SIZE * len(there)

    def let_go(self, path: str, reply: str) -> None:
        self.clock += 1
        prefixes = [path[:end] for end in range(1, len(path) + 1)]
        if reply:
            for prefix in prefixes:
                self.pieces[prefix].used = self.clock
            self.make_room(0 if path + reply in self.pieces else self.SIZE)
            self.pieces.setdefault(path + reply, Piece(self.clock))
            self.pieces[path + reply].used = self.clock
        for prefix in prefixes:
            self.pieces[prefix].locks -= 1

    def touch(self, path: str) -> None:
        self.clock += 1
        for end in range(1, len(path) + 1):
            if path[:end] in self.pieces:
                self.pieces[path[:end]].used = self.clock

    def make_room(self, tokens: int) -> None:
        while self.held + self.private + tokens > self.capacity and (leaf := self.oldest_leaf()):
            del self.pieces[leaf]

    def oldest_leaf(self) -> str:
        parents = {path[:-1] for path in self.pieces}
        leaves = [path for path, piece in self.pieces.items() if path not in parents and not piece.locks]
        return min(leaves, key=lambda path: self.pieces[path].used, default="")

    @property
    def held(self) -> int:
        return self.SIZE * len(self.pieces)

    @property
    def locked(self) -> int:
        return self.SIZE * sum(piece.locks > 0 for piece in self.pieces.values())


paths = st.text("ab", min_size=1, max_size=5)
steps = st.one_of(
    st.tuples(st.just("hold"), paths),
    st.tuples(st.just("let go"), st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("touch"), paths),
    st.tuples(st.just("write"), st.integers(0, 60)),
)


@given(capacity=st.integers(20, 150), script=st.lists(steps, max_size=40), at=st.integers(0, 7))
def test_it_holds_what_a_naive_one_holds(capacity: int, script: list[tuple[str, int | str]], at: int) -> None:
    cache, naive, held = RadixCache(capacity), Naive(capacity), list[str]()
    for step, value in script:
        match step, value:
            case "hold", str(path):
                assert cache.hold(prompt(path)) == naive.hold(path)
                held.append(path)
            case "let go", str(reply) if held:
                path = held.pop(at % len(held))
                cache.let_go(prompt(path), Message(path + reply, 10) if reply else None)
                naive.let_go(path, reply)
            case "touch", str(path):
                cache.touch(prompt(path))
                naive.touch(path)
            case "write", int(tokens):
                cache.private = naive.private = tokens
                cache.make_room(0)
                naive.make_room(0)
        assert (cache.held, cache.locked) == (naive.held, naive.locked)
        assert cache.room == capacity - naive.locked - naive.private
        if step in ("hold", "write"):
            assert cache.held + cache.private <= capacity or cache.held == cache.locked
        for path in {*held, *(str(value) for _, value in script)}:
            assert cache.depth(prompt(path)) == sum(path[:n] in naive.pieces for n in range(1, len(path) + 1))
