"""What was learnt, out of a store and into another one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from paste_proxy.cli import commands
from paste_proxy.errors import ConfigError
from paste_proxy.predict.model import Call, History
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.store.patterns import PatternStore

HISTORY = [finished_call("find", {"query": "x"}, '[{"name": "new"}]')]


def store(path: Path) -> Path:
    """Of an agent that finds, opens what it found, and runs a command."""
    opened = PatternStore(str(path))
    tables = opened.load()
    predictor = TenantPredictor(tables)
    for number in range(12):
        history = History(calls=[], session=str(number))
        for tool, arguments, text in (
            ("find", {"query": f"q{number}"}, f'[{{"name": "r{number}"}}]'),
            ("open", {"name": f"r{number}", "mode": "hidden"}, "a page"),
            ("shell", {"command": "frobnicate --all now"}, "done"),
        ):
            predictor.learn(history, [Call(tool, arguments)])
            history.calls.append(finished_call(tool, arguments, text))
        predictor.learn(history, [])
    opened.save_all(tables)
    opened.close()
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["patterns", *map(str, arguments)])


def test_what_is_exported_can_be_imported_and_predicts(tmp_path: Path) -> None:
    exported, taken = tmp_path / "patterns.json", tmp_path / "other.db"
    result = run("export", "--store", store(tmp_path / "one.db"), "-o", exported)
    assert result.exit_code == 0, result.output
    assert json.loads(exported.read_bytes())["paste_proxy_patterns"] == 1
    result = run("import", exported, "--store", taken)
    assert result.exit_code == 0, result.output
    predictor = TenantPredictor(PatternStore(str(taken)).load())
    names = [one.tool for one in predictor.predict(History(calls=HISTORY), ["open", "find"], 1)]
    assert names in ([], ["open"]), "its constant stays with whoever learnt it"
    assert predictor.begin(History(calls=HISTORY), ["open"]).candidates(3) is not None


def test_constants_and_words_stay_at_home(tmp_path: Path) -> None:
    exported = tmp_path / "patterns.json"
    assert b"frobnicate" in store(tmp_path / "one.db").read_bytes() + b"".join(
        file.read_bytes() for file in tmp_path.glob("one.db*")
    )
    run("export", "--store", tmp_path / "one.db", "-o", exported)
    text = exported.read_bytes()
    assert b"open" in text
    for word in (b"frobnicate", b"hidden"):
        assert word not in text


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        '{"paste_proxy_patterns": 2, "groups": []}',
        "[1]",
        '{"paste_proxy_patterns": 1, "groups": [["next", {"a": 1}, []]]}',
        '{"paste_proxy_patterns": 1, "groups": [["next", [], [[{"a": 1}, 1]]]]}',
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "patterns.json"
    file.write_text(text)
    result = run("import", file, "--store", tmp_path / "new.db")
    assert isinstance(result.exception, ConfigError)
    assert str(file) in str(result.exception)
    assert not (tmp_path / "new.db").exists()


def test_stores_that_are_there_or_not(tmp_path: Path) -> None:
    there = store(tmp_path / "one.db")
    assert "not there" in str(run("export", "--store", tmp_path / "none.db", "-o", tmp_path / "x").exception)
    run("export", "--store", there, "-o", tmp_path / "patterns.json")
    nowhere = tmp_path / "nowhere" / "patterns.json"
    refused = run("export", "--store", there, "-o", nowhere).exception
    assert isinstance(refused, ConfigError)
    assert f"{nowhere} can't be written" in str(refused)
    assert "there already" in str(run("import", tmp_path / "patterns.json", "--store", there).exception)


def test_what_one_tenant_taught_can_be_forgotten(tmp_path: Path) -> None:
    there = store(tmp_path / "one.db")
    refused = run("forget", "--store", there, "--tenant", "acme").exception
    assert isinstance(refused, ConfigError)
    assert "nothing of a tenant 'acme'; known: default" in str(refused)
    result = run("forget", "--store", there, "--tenant", "default")
    assert result.output == f"{there}: nothing of default is left\n"
    assert b"frobnicate" not in there.read_bytes()
    assert "not there" in str(run("forget", "--store", tmp_path / "x", "--tenant", "a").exception)


def test_a_file_that_is_no_export_is_named(tmp_path: Path) -> None:
    exported = tmp_path / "patterns.json"
    for content in (b"", b'{"paste_proxy_patterns": 1, "groups": [["\xed\xa0\x80", [], []]]}'):
        exported.write_bytes(content)
        error = run("import", exported, "--store", tmp_path / "new.db").exception
        assert isinstance(error, ConfigError)
        assert f"{exported} is no export of patterns" in error.message


def test_an_import_holds_no_words_whatever_its_file_says(tmp_path: Path) -> None:
    exported = tmp_path / "patterns.json"
    groups = [["words", ["shell", "command"], [["frobnicate", 9.0]]], ["constants", [], [["hidden", 5.0]]]]
    exported.write_text(json.dumps({"paste_proxy_patterns": 1, "groups": groups}))
    run("import", exported, "--store", tmp_path / "new.db")
    tables = PatternStore(str(tmp_path / "new.db")).load()
    assert len(tables) == 0


def test_an_export_only_reads_the_store_which_may_be_in_use(tmp_path: Path) -> None:
    there = store(tmp_path / "one.db")
    before = there.read_bytes()
    used = PatternStore(str(there))
    assert run("export", "--store", there, "-o", tmp_path / "patterns.json").exit_code == 0
    refused = run("forget", "--store", there, "--tenant", "default").exception
    assert "is a running proxy's" in str(refused)
    used.close()
    assert there.read_bytes() == before


def test_an_export_leaves_nothing_beside_the_store(tmp_path: Path) -> None:
    there = store(tmp_path / "one.db")
    before = sorted(file.name for file in tmp_path.iterdir())
    assert run("export", "--store", there, "-o", tmp_path / "patterns.json").exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*before, "patterns.json"])
