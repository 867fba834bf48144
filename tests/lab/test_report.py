"""The demo's printed result."""

import msgspec

from paste_proxy.lab.report import Setting, example, figures, heading, noise
from paste_proxy.lab.summary import summarize
from tests.lab.test_summary import AHEAD, outcome, record

SETTING = Setting(engine="scripted", time_scale=0.15, token_scale=1.0, tasks=3, at_once=2, learnt_from=9)


def test_the_scale_is_always_said() -> None:
    text = "\n".join(heading(SETTING))
    assert "all times x 0.15" in text
    assert "scripted" in text
    assert "token scale" not in text
    assert "all token counts x 0.05" in "\n".join(heading(msgspec.structs.replace(SETTING, token_scale=0.05)))


def test_all_figures_are_printed() -> None:
    text = "\n".join(figures(outcome()))
    for expected in (
        "task time, mean                10.00 s    8.00 s    0.80",
        "tools waited for, per task      1.00 s    0.50 s    0.50",
        "ratio        0.800",
        "reused 3, joined 1, promoted 0, executed 4, decided 0",
        "5 of 9 calls run ahead: 1.25 per used one; 2.5 s",
        "slower       0 tasks",
        "lossless     yes",
    ):
        assert expected in text


def test_losses_and_slower_tasks_are_named() -> None:
    text = "\n".join(figures(outcome(b_seconds=11.0, b_said="y")))
    assert "slower       1 tasks by more than max(3 %, 100 ms): 0" in text
    assert "lossless     NO: transcripts differ in task 0" in text


def test_noise_is_what_measured_calls_take_beyond_their_drawn_time() -> None:
    records = [record("A", 0, 10.0, waited=1.02), record("A", 1, 10.0, waited=1.04), record("B", 0, 9.0)]
    (line,) = noise(records, [1.0, 1.0], busy=0.4, cores=2)
    assert "takes 30 ms longer than drawn" in line
    assert "2 cores 40% busy" in line
    assert "busy" not in noise(records, [1.0, 1.0], busy=None, cores=2)[0]


def test_the_example_is_the_median_task() -> None:
    records = [record(cell, task, 5.0 + task) for cell in "AB" for task in range(3)]
    assert summarize(records, AHEAD).ratio == 1.0
    assert example(records, (), 80)[0].startswith("task 1")
