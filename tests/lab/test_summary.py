"""The figures of the demo, from made-up records."""

import pytest

from paste_proxy.lab.records import LlmSpan, TaskRecord, ToolSpan
from paste_proxy.lab.summary import Ahead, Outcome, is_slower, paired, quantile, summarize

HITS = {"reused": 3, "joined": 1, "promoted": 0, "executed": 4, "decided": 0}
AHEAD = Ahead(hits=HITS, started=9, used=4, unused=5, wasted_s=2.5)


def record(cell: str, task: int, seconds: float, waited: float = 1.0, said: str = "x") -> TaskRecord:
    call = ToolSpan("docs_open", "a", 1.0, 1.0 + waited, "executed", waited, 0.0)
    turns = (LlmSpan(0.0, 0.1, 1.0), LlmSpan(1.0 + waited, 1.1 + waited, seconds))
    return TaskRecord(cell, task, 0.0, seconds, turns, (call,), ("m", said), frozenset())


def outcome(*, b_seconds: float = 8.0, b_said: str = "x") -> Outcome:
    a = [record("A", task, 10.0) for task in range(3)]
    b = [record("B", 0, b_seconds, 0.5, b_said), *(record("B", task, 8.0, 0.5) for task in (1, 2))]
    return summarize([*b, *a], AHEAD)


def test_the_json_has_the_promised_shape() -> None:
    assert outcome().as_json() == {
        "cells": {
            "A": {"mean_task_s": 10.0, "p95_task_s": 10.0, "exposed_tool_s": 1.0, "tasks": 3},
            "B": {"mean_task_s": 8.0, "p95_task_s": 8.0, "exposed_tool_s": 0.5, "tasks": 3},
        },
        "ratio": 0.8,
        "lossless": True,
        "hits": HITS,
        "unused_per_used": 1.25,
        "tasks_slower": 0,
    }


def test_one_differing_transcript_is_a_loss() -> None:
    changed = outcome(b_said="y")
    assert not changed.lossless
    assert changed.differing == (0,)


def test_a_slower_task_is_named() -> None:
    assert outcome(b_seconds=10.4).slower == (0,)
    assert outcome(b_seconds=10.4).as_json()["tasks_slower"] == 1


@pytest.mark.parametrize(
    ("before", "after", "slower"),
    [(1.0, 1.09, False), (1.0, 1.11, True), (10.0, 10.29, False), (10.0, 10.31, True), (10.0, 9.0, False)],
)
def test_what_counts_as_slower(before: float, after: float, *, slower: bool) -> None:
    assert is_slower(before, after) is slower


def test_the_interval_holds_the_ratio() -> None:
    records = [record("A", task, 10.0 + task) for task in range(8)]
    records += [record("B", task, 7.0 + task * 1.1) for task in range(8)]
    summary = summarize(records, AHEAD)
    low, high = summary.interval
    assert low < summary.ratio < high
    assert high - low < 0.2


def test_without_a_used_call_there_is_no_rate() -> None:
    nothing = Ahead(hits=dict.fromkeys(HITS, 0), started=0, used=0, unused=0, wasted_s=0.0)
    assert summarize([record("A", 0, 1.0), record("B", 0, 1.0)], nothing).unused_per_used is None


def test_a_missing_task_is_no_result() -> None:
    with pytest.raises(ValueError, match="did not run the same tasks"):
        paired([record("A", 0, 1.0), record("B", 1, 1.0)])


def test_quantiles_are_linear_between_values() -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert quantile([1.0, 2.0], 1.0) == 2.0
