"""`paste-proxy lab predict`: what it takes, and what it prints."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from paste_proxy.lab import predict_command
from paste_proxy.lab.prediction.report import _COLUMNS
from paste_proxy.lab.prediction.sessions import fold_of
from paste_proxy.lab.run_command import lab
from tests.lab.virtual.service import SESSIONS, session, written

KEYS = {
    "test_calls",
    "recall_inf",
    "hit1",
    "hit3",
    "hit1_ci95",
    "read_only",
    "calibration_error",
    "before_seal",
    "decision_us",
}
"""Others may be there beside these."""


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    folder.mkdir()
    written(folder, [session(number) for number in range(SESSIONS)], "service.jsonl.gz")
    return folder


def said(*arguments: object) -> Result:
    return CliRunner().invoke(lab, ["predict", "--jobs", "1", *map(str, arguments)])


def test_the_scores_as_json_have_all_that_was_promised(traces: Path) -> None:
    result = said(traces, "--json", "--folds", 2)
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)["sources"]["service"]
    assert scores.keys() >= KEYS
    assert scores["test_calls"] == 5 * SESSIONS
    assert scores["before_seal"].keys() == {"hit1", "turn_left"}
    assert scores["decision_us"].keys() == {"p50", "p99"}
    assert scores["read_only"].keys() >= {"hit1", "hit3"}
    assert 0.2 < scores["hit1"] <= scores["hit3"] <= 1
    assert scores["hit1_ci95"][0] <= scores["hit1"] <= scores["hit1_ci95"][1]
    assert scores["read_only"]["hit1"] > 0
    assert f"service: {5 * SESSIONS} calls" in result.stderr


def test_for_people_it_prints_a_table(traces: Path) -> None:
    written(traces, [session(number) for number in range(6)], "other.jsonl.gz")
    rows = said(traces, "--folds", "2").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["source", "other", "service", "all"]
    assert [row.split()[1] for row in rows[1:]] == ["30", "100", "130"]


def test_other_traces_may_be_judged(traces: Path, tmp_path: Path) -> None:
    other = written(tmp_path, [session(number) for number in range(50, 53)], "held-out.jsonl.gz")
    scores = json.loads(said(traces, "--test", other, "--json").stdout)["sources"]
    assert scores.keys() == {"held-out"}
    assert scores["held-out"]["test_calls"] == 15
    assert scores["held-out"]["hit1"] > 0.2


def test_one_file_of_several_may_be_judged(traces: Path) -> None:
    written(traces, [session(1), session(2)], "other.jsonl.gz")
    scores = json.loads(said(traces, "--only", "other", "--json").stdout)["sources"]
    assert scores.keys() == {"other"}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--only", "nothing"), "has no nothing; it has service"),
        (("--folds", "1"), "1 is not in the range"),
        (("--test", "nowhere"), "'nowhere' does not exist"),
        (("--test", ".", "--folds", "5"), "with --test nothing is parted"),
    ],
)
def test_what_can_t_be_judged_is_said(traces: Path, options: tuple[str, ...], complaint: str) -> None:
    result = said(traces, *options)
    assert result.exit_code != 0
    assert complaint in result.output + str(result.exception)


def test_zeros_of_who_could_learn_nothing_are_not_printed(traces: Path, tmp_path: Path) -> None:
    one = written(tmp_path, [session(1), session(1)], "one.jsonl.gz")
    result = said(one)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{one}: a task is judged by what others have taught" in str(result.exception)
    assert "more are needed, or others to learn from (see --test)" in str(result.exception)
    assert said(traces, "--test", one).exit_code == 0
    written(traces, [session(1)], "short.jsonl.gz")
    assert str(said(traces).exception).endswith("(see --test). --only leaves a file out")


def test_tasks_of_one_fold_ask_for_other_folds(tmp_path: Path) -> None:
    alike = [number for number in range(40) if fold_of(f"task {number}", 2) == 0][:3]
    of_one_fold = [{**session(number), "task": f"task {number}"} for number in alike]
    result = said(written(tmp_path, of_one_fold), "--folds", 2)
    assert "all 3 tasks fall into one of 2 folds; other --folds part them" in str(result.exception)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_line_is_told_with_its_place_from_any_process(tmp_path: Path, jobs: int) -> None:
    path = written(tmp_path, [session(1), session(2)])
    path.write_text(path.read_text() + '{"turns": []}\n')
    result = CliRunner().invoke(lab, ["predict", str(path), "--test", str(path), "--jobs", str(jobs)])
    assert "service.jsonl: line 3 is no session" in str(result.exception)


def test_how_far_a_long_file_is_is_said_beside_the_scores(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_command, "SPARSE_S", 0.0)
    result = said(traces, "--folds", 3, "--json")
    assert [line.partition(",")[0] for line in result.stderr.splitlines()] == [
        "service: 1 of 3 folds",
        "service: 2 of 3 folds",
        f"service: {5 * SESSIONS} calls",
    ]
    json.loads(result.stdout)
    monkeypatch.setattr(predict_command, "SPARSE_S", 1e9)
    assert len(said(traces, "--folds", 3, "--json").stderr.splitlines()) == 1


@pytest.mark.parametrize("way", ["the same", "a link", "a file of it"])
def test_judging_what_was_learnt_from_is_warned_of(traces: Path, tmp_path: Path, way: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(traces)
    other = {"the same": traces, "a link": link, "a file of it": traces / "service.jsonl.gz"}[way]
    result = said(traces, "--test", other, "--json")
    assert "service: judged on what it has learnt from: hits are too many" in result.stderr
    assert result.exit_code == 0


def test_of_other_traces_nothing_is_warned_of(traces: Path, tmp_path: Path) -> None:
    other = written(tmp_path, [session(50)], "service.jsonl.gz")
    assert "learnt from" not in said(traces, "--test", other, "--json").stderr


def test_the_help_explains_the_headings_of_the_table() -> None:
    shown = " ".join(CliRunner().invoke(lab, ["predict", "--help"]).stdout.split())
    for heading in _COLUMNS:
        assert f"{heading}: " in shown or f"{heading}, " in shown, heading


def test_every_option_is_explained() -> None:
    for option in lab.commands["predict"].params:
        if isinstance(option, click.Option):
            assert option.help, option.name
