"""Where the time goes, and what was for nothing."""

import re

import msgspec

from paste_proxy.lab.plots.bars import SECONDS, UNUSED, parts, waste, where_time_goes
from paste_proxy.lab.virtual.rows import Row, rows_of
from tests.lab.virtual.test_rows import NATIVE, run, track


def row(**changes: object) -> Row:
    [made] = rows_of([NATIVE], 0)
    return msgspec.structs.replace(made, **changes)


def test_the_parts_add_up_to_the_task_s_time() -> None:
    assert [(what, seconds) for _, what, seconds in parts(row())] == [
        ("model", 10.5),
        ("waiting", 1.0),
        ("tools", 2.0),
    ]
    idle = parts(row(mean_task_s=20.0))
    assert idle[-1][1:] == ("agent and users", 6.5)


def test_a_bar_shows_its_seconds_where_they_fit() -> None:
    text = where_time_goes(
        [row(model_s=100.0, queue_s=0.1, exposed_tool_s=2.0, mean_task_s=102.1)], 366.0
    ).render()
    assert re.findall(r">([\d.]+)</text>", text)[-2:] == ["100", "102.1"]
    assert "A: waiting 0.1 s" in text


def test_waste_is_per_used_run_and_per_call_of_the_model() -> None:
    hits = {"reused": 3, "joined": 1, "executed": 4, "decided": 2}
    runs = [
        run("B", track(10.0), hits=hits, unused={"speculative": 6}, wasted_worker_s=25.0),
        run("X", track(10.0), hits={"executed": 5}, unused={"speculative": 6}, wasted_worker_s=0.0),
    ]
    rows = rows_of(runs, 0)
    assert re.findall(r'class="value"[^>]*>(.*?)<', waste(rows, UNUSED, 366.0).render()) == [
        "1.50",
        "none was used",
    ]
    assert re.findall(r'class="value"[^>]*>(.*?)<', waste(rows, SECONDS, 366.0).render()) == ["2.50", "0.00"]
