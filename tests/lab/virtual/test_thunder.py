"""Pausing and resuming of programs, as another proxy does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.lab.virtual.experiment import Plan, run_cell
from paste_proxy.lab.virtual.thunder import BUFFER_TOKENS, LONGEST_WAIT_S, TICK_S, Pausing
from paste_proxy.lab.virtual.time import VirtualTime
from tests.lab.virtual.small import ENGINE, SmallWorkload


class Desk:
    def __init__(self, kv_tokens: int, shared: int = 0) -> None:
        self.time = VirtualTime()
        self.pausing = Pausing(kv_tokens, self.time)
        self.went: list[tuple[float, str]] = []
        self._shared = shared

    def ask(self, task: str, tokens: int) -> None:
        self.pausing.ask(task, tokens, self._shared, lambda: self.went.append((self.time.now, task)))

    def until(self, moment: float) -> None:
        self.time.at(moment, lambda: None)
        self.time.run(lambda: self.time.now >= moment)


def test_what_fits_begins_at_once_and_counts_its_buffer() -> None:
    desk = Desk(2 * (400 + BUFFER_TOKENS))
    for task in "abc":
        desk.ask(task, 400)
    assert desk.went == [(0.0, "a"), (0.0, "b")]
    desk.pausing.replied("a", 400)
    desk.pausing.over("a")
    desk.until(60.0)
    assert desk.went[2:] == [(TICK_S, "c")]


def test_what_all_have_in_common_counts_once() -> None:
    desk = Desk(2 * (400 + BUFFER_TOKENS), shared=250)
    for task in "abcd":
        desk.ask(task, 400)
    assert [task for _, task in desk.went] == ["a", "b", "c"]


def test_a_new_one_waits_behind_those_that_wait_even_if_it_fits() -> None:
    desk = Desk(1000)
    desk.ask("large", 800)
    desk.ask("larger", 850)
    desk.ask("small", 50)
    assert [task for _, task in desk.went] == ["large"]


def test_the_smallest_whose_tool_runs_is_paused_first_then_the_smallest_at_its_turn_s_end() -> None:
    desk = Desk(3000)
    for task, tokens in (("a", 300), ("b", 400), ("c", 500), ("d", 600)):
        desk.ask(task, tokens)
    desk.pausing.replied("a", 350)
    desk.pausing.replied("b", 1500)
    desk.until(TICK_S)  # 350 + 1500 + 500 + 600 + 4 x 100: too much without a
    desk.ask("a", 360)
    assert [task for _, task in desk.went] == ["a", "b", "c", "d"]
    desk.ask("b", 2400)
    desk.until(2 * TICK_S)  # nobody's tool runs: c and d have to go when their turns end
    desk.pausing.replied("c", 510)
    desk.ask("c", 520)
    assert [task for _, task in desk.went] == ["a", "b", "c", "d", "b"]
    assert desk.pausing.paused == 2


def test_resumed_are_first_those_with_a_request_then_new_ones_each_the_smallest() -> None:
    desk = Desk(1000)
    desk.ask("old", 700)
    desk.pausing.replied("old", 950)  # more than there is: paused with the next tick
    desk.until(TICK_S)
    for task, tokens in (("new", 300), ("newer", 200), ("old", 500)):
        desk.ask(task, tokens)
    desk.until(2 * TICK_S)
    assert desk.went == [(0.0, "old"), (10.0, "old"), (10.0, "newer")]


def test_none_waits_longer_than_the_cap() -> None:
    desk = Desk(1000)
    desk.ask("a", 800)
    desk.ask("b", 2000)
    desk.until(LONGEST_WAIT_S + 1)
    assert desk.went == [(0.0, "a"), (LONGEST_WAIT_S, "b")]


@given(
    steps=st.lists(st.tuples(st.integers(0, 7), st.integers(50, 900), st.floats(0, 7)), max_size=60),
    kv_tokens=st.integers(500, 3000),
)
def test_every_request_goes_on_once_and_within_the_cap(
    steps: list[tuple[int, int, float]], kv_tokens: int
) -> None:
    desk, asked, moment = Desk(kv_tokens), dict[str, list[float]](), 0.0
    for number, tokens, pause in steps:
        task = str(number)
        turns, ended = asked.setdefault(task, []), sum(name == task for _, name in desk.went)
        if len(turns) == ended:
            turns.append(desk.time.now)
            desk.ask(task, tokens)
        moment += pause
        desk.until(moment)
        if any(name == task for _, name in desk.went[-1:]) and tokens % 2:
            desk.pausing.replied(task, tokens)
    desk.until(moment + LONGEST_WAIT_S + TICK_S)
    for task, turns in asked.items():
        went = [moment for moment, name in desk.went if name == task]
        assert len(went) == len(turns)
        assert all(0 <= end - begin <= LONGEST_WAIT_S for begin, end in zip(turns, went, strict=True))


def test_with_memory_for_all_it_changes_nothing() -> None:
    plan = Plan(ENGINE, 8)
    native, paused = run_cell(SmallWorkload(), plan, "A", 4), run_cell(SmallWorkload(), plan, "T", 4)
    assert paused.policy == "thunder"
    assert [track.seconds for track in paused.tracks.values()] == pytest.approx(
        [track.seconds for track in native.tracks.values()]
    )
