"""`paste-proxy mine`: the store that it writes is what the proxy would have learnt, and what it suggests."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from paste_proxy.lab.mine_command import mine
from paste_proxy.store.patterns import PatternStore
from tests.lab.prediction.small import result, says, user
from tests.lab.virtual.service import recorded, session, written

WHY = ["to see what is there", "because the user asked", "to be quite sure of it"]


def said(*arguments: object) -> Result:
    return CliRunner().invoke(mine, list(map(str, arguments)))


@pytest.mark.parametrize("sessions", [2, 8])
def test_what_was_learnt_is_in_the_store(tmp_path: Path, sessions: int) -> None:
    """Of two sessions not all of it: what a field is called may be a value, for all that is known."""
    path, store = (
        written(tmp_path, [session(number) for number in range(sessions)]),
        tmp_path / "patterns.sqlite",
    )
    found = said(path, "-o", store)
    assert found.exit_code == 0, found.output
    called = f"get_order {3 * sessions}, get_user {sessions}, cancel_order {sessions}"
    assert f"service: {sessions} sessions, {7 * sessions} turns, {5 * sessions} calls: {called}" in found.stdout
    kept = PatternStore(str(store))
    table = kept.load()
    kept.close()
    assert len(table) > 0
    assert f"wrote {store}: {len(table)} patterns" in found.stdout


def test_nothing_that_was_learnt_is_overwritten(tmp_path: Path) -> None:
    path, store = written(tmp_path, [session(1)]), tmp_path / "patterns.sqlite"
    store.write_text("mine")
    assert "is there already" in str(said(path, "-o", store).exception)
    assert store.read_text() == "mine"


@pytest.mark.parametrize("folder", ["nowhere", "service.jsonl"])
def test_a_store_that_can_have_no_place_is_told_before_anything_is_read(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "service.jsonl"
    path.write_text("no session")
    store = tmp_path / folder / "patterns.sqlite"
    complaint = f"{store} can't be written: {store.parent} is no folder: make it, or name another file with -o"
    assert str(said(path, "-o", store).exception) == complaint


@pytest.mark.parametrize("line", ["{", '{"turns": []}'])
def test_from_a_bad_line_nothing_is_written(tmp_path: Path, line: str) -> None:
    path, store = written(tmp_path, [session(1)]), tmp_path / "patterns.sqlite"
    path.write_text(path.read_text() + line + "\n")
    assert "service.jsonl: line 2 is no session" in str(said(path, "-o", store).exception)
    assert not store.exists()


def test_arguments_without_influence_are_suggested_as_configuration(tmp_path: Path) -> None:
    turns = [user("Go.")]
    for why, note in zip(WHY, ["one two three", "four five six", "seven eight nine"], strict=True):
        turns += [
            says("", ("look: at", {"reason": why}), ("open", {"why": note})),
            result(0, "a"),
            result(1, note),
        ]
    turns += [says("", ("see", {"explanation": WHY[0]})), result(0, "b")]
    found = said(written(tmp_path, [recorded("s", turns)]), "-o", tmp_path / "p.sqlite")
    suggested = found.stdout[found.stdout.index("# These") :]
    assert yaml.safe_load(suggested) == {"speculation": {"inert": {"look: at": ["reason"]}}}
    assert "  # 2 of 2" in suggested
    assert "see.explanation (0 of 0)" in suggested


def test_where_there_is_nothing_to_suggest_nothing_is_said(tmp_path: Path) -> None:
    found = said(written(tmp_path, [session(1)]), "-o", tmp_path / "p.sqlite")
    assert found.stdout.splitlines()[-1].startswith("wrote ")
