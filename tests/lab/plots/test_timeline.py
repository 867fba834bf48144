"""One task in two cells."""

import re

from paste_proxy.lab.plots.timeline import AHEAD_LANES, timeline, typical
from paste_proxy.lab.virtual.agent import CallSpan, TaskTrack, TurnSpan
from paste_proxy.lab.virtual.shell import RunSpan
from tests.lab.virtual.test_rows import run, track


def titles(task: TaskTrack) -> list[str]:
    text = timeline([run("A", task)], 0, 900.0).render()
    return re.findall(r"<title>(.*?)</title>", text)


def test_the_typical_task_is_near_the_middle_in_both_respects() -> None:
    native = run("A", *(track(seconds) for seconds in (10.0, 20.0, 21.0, 40.0)))
    ahead = run("B", *(track(seconds) for seconds in (8.0, 6.0, 17.0, 32.0)))
    assert typical(native, ahead) == 2


def test_it_shows_turns_waiting_and_calls() -> None:
    turns = [TurnSpan(1.0, 1.0, 3.0, 3.5, 5.0), TurnSpan(9.0, 9.0, 9.0, 9.5, 11.0)]
    call = CallSpan("look", '{"k":1}', 5.0, 9.0, "executed", 4.0, 0.0)
    assert [title.replace("&quot;", '"') for title in titles(TaskTrack("t", 1.0, 11.0, turns, [call]))] == [
        "waits 2.0 s for a place",
        "the model writes for 2.0 s",
        "the model writes for 2.0 s",
        'look {"k":1}: executed, waited 4.0 s',
    ]


def test_runs_ahead_are_told_by_whether_they_served_their_call() -> None:
    turn = TurnSpan(0.0, 0.0, 0.0, 0.5, 5.0)
    joined = CallSpan("look", "1", 5.0, 6.0, "joined", 4.0, 3.0)
    sealed = CallSpan("look", "2", 5.0, 9.0, "joined", 4.0, 0.0)
    own = CallSpan("look", "3", 5.0, 9.0, "executed", 4.0, 0.0)
    runs = [
        RunSpan("look", "1", ahead=True, start=2.0, end=6.0),
        RunSpan("look", "2", ahead=True, start=5.0, end=9.0),  # with its call: hides nothing
        RunSpan("look", "3", ahead=False, start=5.0, end=9.0),
        RunSpan("look", "4", ahead=True, start=2.0),  # still runs when the task is over
    ]
    task = TaskTrack("t", 0.0, 9.0, [turn], [joined, sealed, own], runs)
    assert titles(task)[-2:] == ["look 1: 4.0 s, served its call", "look 4: 7.0 s, for nothing"]
    assert len(titles(task)) == 1 + 3 + 2


def test_what_finds_no_lane_is_counted() -> None:
    runs = [RunSpan("look", str(n), ahead=True, start=1.0, end=2.0) for n in range(AHEAD_LANES + 3)]
    text = timeline([run("B", TaskTrack("t", 0.0, 3.0, [], [], runs))], 0, 366.0).render()
    assert ">B 3 more<" in text
    assert text.count("for nothing") == AHEAD_LANES
