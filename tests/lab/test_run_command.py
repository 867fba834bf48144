"""`paste-proxy lab run`: what it takes, and what it prints."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from paste_proxy.lab.run_command import lab, table
from paste_proxy.lab.virtual.rows import rows_of
from tests.lab.virtual.test_rows import NATIVE, run, track

KEYS = {
    "cell",
    "policy",
    "load",
    "tasks",
    "mean_task_s",
    "p95_task_s",
    "p99_task_s",
    "ci95",
    "throughput_per_h",
    "exposed_tool_s",
    "queue_s",
    "hits",
    "decided",
    "unused_per_used",
    "wasted_worker_s",
    "ttft_chat_p99_s",
    "slower_share",
}
"""Others may be there beside these."""


def said(*options: str) -> Result:
    return CliRunner().invoke(lab, ["run", "--tasks", "2", "--load", "1", *options])


def test_the_rows_as_json_have_all_that_was_promised() -> None:
    result = said("--json", "--cells", "A,B,Oinf", "--load", "1,2")
    assert result.exit_code == 0
    rows = json.loads(result.output)["rows"]
    assert [(row["cell"], row["load"]) for row in rows] == [
        ("A", 1),
        ("B", 1),
        ("O∞", 1),
        ("A", 2),
        ("B", 2),
        ("O∞", 2),
    ]
    assert all(row.keys() >= KEYS for row in rows)
    assert rows[0]["mean_task_s"] > rows[1]["mean_task_s"] > rows[2]["mean_task_s"]


def test_for_people_it_prints_columns() -> None:
    result = said("--cells", "A")
    head, row = result.output.splitlines()
    assert head.split()[:3] == ["cell", "policy", "load"]
    assert row.split()[:3] == ["A", "fcfs", "1"]
    assert len(head) == len(row)


def test_what_no_row_has_is_no_column() -> None:
    head = table(rows_of([run("B", track(10.0))], 0))[0]
    assert "/ A" not in head
    assert "/ A" in table(rows_of([NATIVE], 0))[0]


def test_the_report_is_a_page_in_the_folder_that_one_names(tmp_path: Path) -> None:
    result = said("--cells", "A,B", "--report", str(tmp_path / "new"), "--timeline", "1")
    assert result.exit_code == 0
    page = (tmp_path / "new" / "index.html").read_text(encoding="utf-8")
    assert "research-1: " in page
    assert "2 tasks per cell and load, seed 0" in page
    assert "--load 1 --arrivals closed --cells A,B --policy fcfs --tasks 2" in page


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--cells", "A,Q"), "there is no cell 'Q'"),
        (("--load", "0"), "no list of numbers"),
        (("--load", "1,x"), "no list of numbers"),
        (("--engine", "nothing"), "known engines"),
        (("--workload", "nothing"), "there is no workload"),
        (("--timeline", "2"), "there are 2 tasks, from 0 on"),
    ],
)
def test_what_can_t_be_run_is_said_so(options: tuple[str, str], complaint: str) -> None:
    result = said(*options)
    assert result.exit_code != 0
    assert complaint in result.output + str(result.exception)
