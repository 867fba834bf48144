"""The timeline's lanes, character by character."""

from paste_proxy.lab.records import LlmSpan, ServiceSpan, TaskRecord, ToolSpan
from paste_proxy.lab.timeline import LABEL, timeline


def task(cell: str, start: float, waited: float) -> TaskRecord:
    """A turn of 4 s, a search of 2 s, a turn of 2 s, an open that is waited for, a turn of 2 s."""
    turns, calls, now = [], [], start
    for spent, call in ((4.0, ("docs_search", "q", 2.0)), (2.0, ("docs_open", "a", waited)), (2.0, None)):
        turns.append(LlmSpan(now, now, now + spent))
        now += spent
        if call:
            tool, subject, seconds = call
            calls.append(ToolSpan(tool, subject, now, now + seconds, "joined", seconds, 0.0))
            now += seconds
    return TaskRecord(cell, 7, start, now, tuple(turns), tuple(calls), (), frozenset({"a", "b"}))


A, B = task("A", 100.0, 10.0), task("B", 200.0, 5.0)
RUNS = (
    ServiceSpan("docs_search", "q", 204.0, 206.0, finished=True),  # as asked for: not ahead
    ServiceSpan("docs_open", "a", 206.0, 213.0, finished=True),
    ServiceSpan("docs_open", "b", 206.0, 210.0, finished=True),
    ServiceSpan("docs_open", "other task", 206.0, 210.0, finished=True),
    ServiceSpan("docs_open", "b", 300.0, 310.0, finished=True),  # after the task
)


def lanes() -> list[str]:
    return [line[LABEL:] for line in timeline((A, B), RUNS, LABEL + 40)]


def test_lanes_of_both_cells_on_one_scale() -> None:
    ruler, model_a, tools_a, model_b, tools_b, first, second, _ = lanes()
    assert ruler == "0 s" + " " * 31 + "20.0 s"
    assert model_a == "########    ####" + " " * 20 + "####"
    assert tools_a == "        ssss    " + "o" * 20
    assert model_b == "########    ####" + " " * 10 + "####"
    assert tools_b == "        ssss    " + "o" * 10
    assert {first, second} == {" " * 12 + "-" * 8, " " * 12 + "=" * 14}


def test_no_line_is_wider_than_asked() -> None:
    for width in (40, 80, 200):
        assert all(len(line) <= width for line in timeline((A, B), RUNS, width))


def test_labels_name_cells_and_lanes() -> None:
    labels = [line[:LABEL].strip() for line in timeline((A, B), RUNS, 80)]
    assert labels[:7] == ["task 7", "A model", "tools", "B model", "tools", "ahead", "ahead"]
