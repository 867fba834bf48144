"""The tables say nothing that the machine could not follow."""

import itertools
from collections.abc import Iterator

import pytest

from paste_proxy.grammar.formats import find, find_reasoning, names, reasoning_names
from paste_proxy.grammar.formats.lexer import TERMINAL_LIMIT
from paste_proxy.grammar.formats.model import Marks, ReasoningFormat, State, To, What

MARKS = {name: how for name in names() if isinstance(how := find(name).reads, Marks)}


def check_table(marks: Marks) -> None:
    assert reached(marks) == set(marks.states)
    for name, state in marks.states.items():
        check_terminals(name, state)
        check_state(name, state)
        for terminal, to in ways(state):
            check_way(name, state, terminal, to, marks.states[to.state])


def reached(marks: Marks) -> set[str]:
    """The states that a text can lead to; a name that none has is there too."""
    seen: set[str] = set()
    waiting = {marks.start}
    while waiting:
        seen |= waiting
        known = [marks.states[name] for name in waiting if name in marks.states]
        waiting = set().union(*map(after, known)) - seen
    return seen


def after(state: State) -> set[str]:
    return {to.state for _, to in ways(state)} | {state.then, state.broken, state.otherwise} - {""}


def ways(state: State) -> Iterator[tuple[str, To]]:
    for terminal, to in state.on.items():
        yield from ((terminal, one) for one in ((to,) if isinstance(to, To) else to))


def check_terminals(name: str, state: State) -> None:
    for one, other in itertools.permutations(state.on, 2):
        assert not other.startswith(one), name
    for terminal, to in state.on.items():
        assert 0 < len(terminal) < TERMINAL_LIMIT, name
        if isinstance(to, tuple):  # A way without a condition is the last.
            assert all(one.pattern is not None for one in to[:-1]), name


def check_state(name: str, state: State) -> None:
    """It has what it needs, and nothing that does not count."""
    assert bool(state.then) == (state.what in (What.ARGUMENTS, What.CALLS)), name
    assert (state.calls is not None) == (state.what is What.CALLS), name
    assert not (state.pad or state.untyped_text) or state.what is What.VALUE, name
    if state.doubtful:
        assert state.what in (What.HEAD, What.CALLS), name
        assert state.otherwise, name
    elif state.what in (What.ARGUMENTS, What.CALLS, What.HEAD, What.VALUE) or () in state.on.values():
        assert state.broken, name
    if state.otherwise:
        assert state.doubtful or state.what is What.IGNORED, name
    if state.what in (What.HEAD, What.VALUE):
        assert state.on, name


def check_way(name: str, state: State, terminal: str, to: To, there: State) -> None:
    """Only heads have names in them; a value has a key; a terminal that is kept is read again."""
    groups = set(to.pattern.groupindex) if to.pattern is not None else set()
    assert groups <= {"name", "id", "key", "text"}, name
    if to.pattern is not None:
        assert state.what is What.HEAD, name
    if to.kept:
        again = (one.startswith(terminal) for one in there.on)
        assert there.what in (What.CALLS, What.ARGUMENTS) or any(again), name


@pytest.mark.parametrize("name", MARKS)
def test_the_machine_can_follow_the_table(name: str) -> None:
    check_table(MARKS[name])


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


@pytest.mark.parametrize(
    "states",
    [
        {"content": State(What.CONTENT, {"<a": To("content"), "<ab": To("content")})},
        {"content": State(What.CONTENT, {"<a": To("no_such")})},
        {"content": State(What.CONTENT), "alone": State(What.CONTENT)},
        {"content": State(What.CONTENT, {"<a": To("name")}), "name": State(What.HEAD, {">": To("content")})},
        {"content": State(What.CONTENT, {"<a": To("content", kept=True)}), "b": State(What.CONTENT)},
    ],
)
def test_tables_that_it_can_not_follow(states: dict[str, State]) -> None:
    with pytest.raises(AssertionError):
        check_table(Marks(states))
