"""The tasks of a real run in virtual time: what they are made of."""

from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.mirror import CountedSizes, Mirror
from paste_proxy.lab.records import TokenCount
from paste_proxy.lab.workload import Workload

COUNTS = (
    TokenCount(1, 0, 100, 10),
    TokenCount(1, 1, 150, 20, cached=105),
    TokenCount(2, 0, 120, 30, cached=70),
    TokenCount(2, 1, 210, 40, cached=145),
)


def test_sizes_are_those_that_the_engine_counted(workload: Workload) -> None:
    sizes = CountedSizes(workload, 0.05, COUNTS)
    assert (sizes.turn(1, 1, final=False), sizes.turn(2, 1, final=True)) == (20, 40)
    assert sizes.result("docs_search", {"query": "anything"}) == 50  # the mean of 40 and 60


def test_first_prompts_begin_with_what_the_engine_had_in_memory_of_others(workload: Workload) -> None:
    sizes = CountedSizes(workload, 0.05, COUNTS)
    assert sizes.system() == 70
    assert (sizes.user(1), sizes.user(2)) == (30, 50)


def test_where_the_engine_does_not_say_it_is_as_drawn(workload: Workload) -> None:
    silent = [TokenCount(count.task, count.step, count.prompt, count.output) for count in COUNTS]
    assert CountedSizes(workload, 0.05, silent).system() == 125


def test_what_a_turn_takes_beside_the_engine_makes_tasks_longer(workload: Workload) -> None:
    mirror = Mirror(workload, load_engine("research"), COUNTS)
    before = [track.seconds for track in mirror.tracks((1, 2), 2)]
    mirror.take_over(0.5, 0.0)
    turns = [len(track.turns) for track in mirror.tracks((1, 2), 2)]
    after = [track.seconds for track in mirror.tracks((1, 2), 2)]
    assert all(late > early + 0.45 * count for late, early, count in zip(after, before, turns, strict=True))
