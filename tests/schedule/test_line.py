"""The line: its order, and that those that leave leave nothing behind."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.line import SWEEP_FROM, WaitingLine


def test_those_that_left_do_not_pile_up_behind_one_that_stays() -> None:
    line = WaitingLine[str]()
    line.add("first", "first", 0.0)
    for number in range(10_000):
        line.add(f"{number}", "", 1.0)
        line.remove(f"{number}")
    assert len(line._sorted) <= SWEEP_FROM
    assert line.head() == "first"


def test_nor_do_those_that_were_taken_before_it() -> None:
    line = WaitingLine[str]()
    line.add("last", "last", 1.0)
    for number in range(10_000):
        line.add(f"{number}", "", 0.0)
        line.take()
    assert len(line._sorted) <= SWEEP_FROM
    assert line.head() == "last"


def test_nor_do_the_former_places_of_one_that_moves() -> None:
    line = WaitingLine[str]()
    line.add("first", "first", 0.0)
    line.add("restless", "restless", 1.0)
    for number in range(10_000):
        line.move("restless", 1.0 + number % 3)
    assert len(line._sorted) <= SWEEP_FROM
    assert [line.take(), line.take(), line.head()] == ["first", "restless", None]


steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "move", "take"]), st.integers(0, 20), st.floats(0, 9)),
    max_size=300,
)


@given(steps)
def test_the_head_is_the_lowest_of_those_that_wait(history: list[tuple[str, int, float]]) -> None:
    line, model = WaitingLine[int](), dict[str, tuple[float, int]]()
    for step, (what, number, key) in enumerate(history):
        name = f"{number}"
        if what == "take" and model:
            head = min(model, key=lambda one: model[one])
            assert line.take() == int(head)
            del model[head]
        elif what == "add" and name not in model:
            line.add(name, number, key)
            model[name] = (key, step)
        elif what == "move" and name in model:
            line.move(name, key)
            model[name] = (key, model[name][1])
        elif what == "remove" and name in model:
            assert line.remove(name) == number
            del model[name]
        lowest = min(model, key=lambda one: model[one], default=None)
        assert line.head() == (int(lowest) if lowest is not None else None)
        assert all(line.find(one) == int(one) for one in model)
        assert line.entries.keys() == model.keys()
