"""Virtual time."""

from paste_proxy.lab.virtual.time import VirtualTime


def never() -> bool:
    return False


def test_what_is_due_next_happens_next_and_equal_moments_keep_their_order() -> None:
    time, seen = VirtualTime(), list[tuple[float, str]]()

    def see(name: str) -> None:
        seen.append((time.now, name))

    def see_twice() -> None:
        see("a")
        time.after(0.0, lambda: see("b2"))

    time.at(2.0, lambda: see("c"))
    time.at(1.0, see_twice)
    time.at(1.0, lambda: see("b1"))
    time.run(never)
    assert seen == [(1.0, "a"), (1.0, "b1"), (1.0, "b2"), (2.0, "c")]


def test_a_cancelled_timer_does_nothing_and_moves_no_clock() -> None:
    time, seen = VirtualTime(), list[str]()
    timer = time.at(5.0, lambda: seen.append("cancelled"))
    timer.cancel()
    time.at(1.0, lambda: seen.append("kept"))
    time.run(never)
    assert seen == ["kept"]
    assert time.now == 1.0


def test_what_is_over_is_now() -> None:
    time, seen = VirtualTime(), list[float]()

    def too_late() -> None:
        time.at(1.0, lambda: seen.append(time.now))

    time.at(3.0, too_late)
    time.run(never)
    assert seen == [3.0]


def test_it_stops_when_it_should_and_goes_on_from_there() -> None:
    time, seen = VirtualTime(), list[int]()
    for number in range(4):
        time.at(float(number), lambda number=number: seen.append(number))  # type: ignore[misc]
    time.run(lambda: len(seen) == 2)
    assert (seen, time.now) == ([0, 1], 1.0)
    time.run(never)
    assert seen == [0, 1, 2, 3]
