"""The tables say nothing that the machine could not follow."""

import itertools
from collections.abc import Iterator

import pytest

from paste_proxy.grammar.formats import find, find_reasoning, names, reasoning_names
from paste_proxy.grammar.formats.lexer import TERMINAL_LIMIT
from paste_proxy.grammar.formats.model import Marks, ReasoningFormat, State, To, What

MARKS = {name: how for name in names() if isinstance(how := find(name).reads, Marks)}
STATES = [
    pytest.param(marks, state, id=f"{name}-{state}") for name, marks in MARKS.items() for state in marks.states
]
KEPT = {What.HEAD, What.CALLS}
"""What may be doubtful."""


def ways(state: State) -> Iterator[tuple[str, To]]:
    for terminal, to in state.on.items():
        yield from ((terminal, one) for one in ((to,) if isinstance(to, To) else to))


def after(state: State) -> set[str]:
    """Where it leads."""
    return {to.state for _, to in ways(state)} | {state.then, state.broken, state.otherwise} - {""}


def reached(marks: Marks) -> set[str]:
    seen: set[str] = set()
    waiting = {marks.start}
    while waiting:
        seen |= waiting
        waiting = set().union(*(after(marks.states[name]) for name in waiting)) - seen
    return seen


@pytest.mark.parametrize("name", MARKS)
def test_every_state_exists_and_is_reached(name: str) -> None:
    assert reached(MARKS[name]) == set(MARKS[name].states)


@pytest.mark.parametrize(("marks", "name"), STATES)
def test_no_terminal_begins_another(marks: Marks, name: str) -> None:
    for one, other in itertools.permutations(marks.states[name].on, 2):
        assert not other.startswith(one)
    assert all(len(terminal) < TERMINAL_LIMIT for terminal in marks.states[name].on)


@pytest.mark.parametrize(("marks", "name"), STATES)
def test_states_have_what_they_need(marks: Marks, name: str) -> None:
    state = marks.states[name]
    assert bool(state.then) == (state.what in (What.ARGUMENTS, What.CALLS))
    assert (state.calls is not None) == (state.what is What.CALLS)
    assert not (state.pad or state.untyped_text) or state.what is What.VALUE
    if state.doubtful:
        assert state.what in KEPT
        assert state.otherwise
    elif state.what in (What.ARGUMENTS, What.CALLS, What.HEAD, What.VALUE):
        assert state.broken
    if () in state.on.values():
        assert state.broken or state.doubtful
    if state.otherwise:
        assert state.doubtful or state.what is What.IGNORED
    if state.what in (What.HEAD, What.VALUE):
        assert state.on


@pytest.mark.parametrize(("marks", "name"), STATES)
def test_what_terminals_say(marks: Marks, name: str) -> None:
    """Only heads have names in them; a call that is over was begun; a terminal that is kept is read again."""
    for terminal, to in ways(marks.states[name]):
        if to.pattern is not None:
            assert marks.states[name].what is What.HEAD
            assert set(to.pattern.groupindex) <= {"name", "id", "key", "text"}
        if to.kept:
            there = marks.states[to.state]
            assert there.what in (What.CALLS, What.ARGUMENTS) or any(
                one.startswith(terminal) for one in there.on
            )
        if marks.states[to.state].what is What.VALUE:
            assert to.pattern is None or "key" in to.pattern.groupindex


@pytest.mark.parametrize(("marks", "name"), STATES)
def test_a_way_without_condition_is_the_last(marks: Marks, name: str) -> None:
    for to in marks.states[name].on.values():
        if isinstance(to, tuple):
            assert all(one.pattern is not None for one in to[:-1])


@pytest.mark.parametrize("name", reasoning_names())
def test_marks_of_reasoning_do_not_begin_each_other(name: str) -> None:
    known = find_reasoning(name)
    if known.marks is not None:
        assert known.marks in MARKS.values()
        assert known == ReasoningFormat(name, marks=known.marks)
        return
    assert known.opening
    for one, other in itertools.permutations((known.closing, *known.interrupted_by), 2):
        assert not other.startswith(one)
