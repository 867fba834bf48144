"""The line: turns that leave leave nothing behind."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.lanes import SWEEP_FROM, Line


def test_turns_that_left_do_not_pile_up_behind_one_that_stays() -> None:
    line = Line()
    line.add(Asked("first"), 0.0)
    for number in range(10_000):
        line.add(Asked(f"turn-{number}"), 1.0)
        line.remove(f"turn-{number}")
    assert len(line._heap) <= SWEEP_FROM
    assert line.head() == Asked("first")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.floats(0, 9)), max_size=300))
def test_the_head_is_the_lowest_of_those_that_wait(steps: list[tuple[bool, int, float]]) -> None:
    line, model = Line(), dict[str, tuple[float, int]]()
    for step, (comes, number, key) in enumerate(steps):
        turn = f"{number}"
        if comes and turn not in model:
            line.add(Asked(turn), key)
            model[turn] = (key, step)
        elif not comes and turn in model:
            line.remove(turn)
            del model[turn]
        head = line.head()
        assert (head.id if head is not None else None) == min(model, key=lambda one: model[one], default=None)
