"""`paste-proxy lab run`: what it takes, and what it prints."""

import html
import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.run_command import lab
from paste_proxy.lab.run_texts import table
from paste_proxy.lab.virtual.rows import rows_of
from tests.lab.virtual.service import SESSIONS, session, written
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
    return CliRunner().invoke(lab, ["run", "--tasks", "2", "--load", "1", "--jobs", "1", *options])


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


def test_for_people_capacity_and_tenants_have_lines_of_their_own() -> None:
    lines = said("--cells", "A,E", "--load", "1,2", "--tenants", "heavy:2,light").output.splitlines()
    assert re.fullmatch(r"tasks/h with p95 <= \d+ s, KV x 1: A \d+ or more, E \d+ or more", lines[5])
    assert re.fullmatch(
        r"A, load 1, KV x 1, heavy: \d+ tasks/h, .* of its fair .*; \d+% of the engine; mean .* s", lines[6]
    )
    assert len(lines) == 5 + 1 + 2 * 4


def test_each_memory_is_run_in_turn(tmp_path: Path) -> None:
    options = ("--cells", "A", "--kv", "0.5,2,0.5", "--load", "1,2", "--report", str(tmp_path))
    result = said("--json", *options)
    told = json.loads(result.stdout)
    assert [(row["kv"], row["load"]) for row in told["rows"]] == [(0.5, 1), (0.5, 2), (2.0, 1), (2.0, 2)]
    assert [(one["kv"], one["at_least"]) for one in told["capacity"]] == [(0.5, True), (2.0, True)]
    page = html.unescape((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "Task time against load, KV memory x 2" in page
    assert "--kv 0.5,2</span>" in page
    assert "KV" in said(*options).stdout.splitlines()[0].split()


def test_what_no_row_has_is_no_column() -> None:
    head = table(rows_of([run("B", track(10.0))], 0))[0]
    assert "/ A" not in head
    assert "/ A" in table(rows_of([NATIVE], 0))[0]


def test_the_report_is_a_page_in_the_folder_that_one_names(tmp_path: Path) -> None:
    result = said("--cells", "A,A',Oinf", "--report", str(tmp_path / "new"), "--timeline", "1")
    assert result.exit_code == 0
    page = (tmp_path / "new" / "index.html").read_text(encoding="utf-8")
    assert "research-1: " in page
    assert "2 tasks per cell and load, seed 0" in page
    command = html.unescape(re.sub("</?span>", "", page))
    assert """--kv 1 --load 1 --arrivals closed --cells "A,A',Oinf" --policy joint --tasks 2""" in command


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--cells", "A,Q"), "there is no cell 'Q'"),
        (("--load", "0"), "no list of numbers"),
        (("--load", "1,x"), "no list of numbers"),
        (("--kv", "0,1"), "no list of numbers above 0"),
        (("--tenants", "a:0"), "'a:0' is no tenant with a weight from 1 to 1000"),
        (("--engine", "nothing"), "known engines"),
        (("--workload", "nothing"), "there is no workload"),
        (("--report", "r", "--timeline", "2"), "there are 2 tasks, from 0 on"),
        (("--timeline", "1"), "it is shown by the page only"),
        (("--chat", "nan"), "nan is no number"),
        (("--tool-failures", "nan"), "nan is no number"),
        (("--chat", "inf"), "inf is not in the range"),
        (("--chat", "11"), "more than is ever answered: 1 such engines answer 9.8"),
        (("--traces", "nowhere"), "'nowhere' does not exist"),
        (("--report", "file/below"), "file/below can't be made: Not a directory"),
        (("--workload", "empty.jsonl"), "empty.jsonl is empty"),
        (("--workload", "file"), "a file of traces has a name that ends with .jsonl.gz or .jsonl"),
        (("--workload", "bad.jsonl"), "bad.jsonl: line 2 is no session"),
    ],
)
def test_what_can_t_be_run_is_said_before_it_is_tried(
    options: tuple[str, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("paste_proxy.lab.run_command.carried_out", None)
    for name, text in {"file": "", "empty.jsonl": "", "bad.jsonl": "\n{}\n"}.items():
        Path(name).write_text(text)
    result = said(*options)
    assert result.exit_code != 0
    assert complaint in result.output + str(result.exception)


def test_of_a_file_it_is_said_why_few_tasks_are_measured(tmp_path: Path) -> None:
    file = str(written(tmp_path, [session(number) for number in range(SESSIONS)]))
    options = ("--workload", file, "--cells", "A", "--json")
    result = said(*options, "--tasks", "99")
    [row] = json.loads(result.stdout)["rows"]
    told = f"service: {row['tasks']} tasks are measured, not 99: of recorded ones a fifth is, "
    assert told in result.stderr
    assert "are measured" not in said(*options, "--tasks", "2").stderr


def test_more_engines_answer_more_chat() -> None:
    assert said("--chat", "11", "--engines", "20", "--cells", "A").exit_code == 0


def test_what_is_named_twice_is_run_once() -> None:
    rows = json.loads(said("--json", "--cells", "A,Oinf,A,O∞", "--load", "2,1,2").output)["rows"]
    assert [(row["cell"], row["load"]) for row in rows] == [("A", 2), ("O∞", 2), ("A", 1), ("O∞", 1)]


def test_without_a_native_cell_it_says_why_nothing_is_compared(tmp_path: Path) -> None:
    result = said("--cells", "B", "--json", "--report", str(tmp_path))
    assert "A is not among --cells" in result.stderr
    assert "A is not among --cells" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert json.loads(result.stdout)["rows"][0]["ratio"] is None
    assert "A is not among --cells" not in said("--cells", "A").stderr


def test_every_option_is_explained() -> None:
    for option in lab.commands["run"].params:
        assert isinstance(option, click.Option)
        assert option.help, option.name
    options = {option.name: option for option in lab.commands["run"].params}
    assert all(name in str(vars(options["engine"])["help"]) for name in load_presets())
