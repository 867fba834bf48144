import sqlite3
from pathlib import Path

import pytest

from paste_proxy.errors import ConfigError
from paste_proxy.predict.ledger import Changes, Ledger, SavedGroup
from paste_proxy.predict.model import Call, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.privacy import savable
from paste_proxy.predict.signatures import finished_call
from paste_proxy.store.patterns import APPLICATION_ID, SCHEMA_VERSION, PatternStore

SECRETS = ["Ann", "ann@example.org", "4421", "sk-hidden", "https://private.example/x", "src/private.py", "Bob"]
OFFERED = frozenset(("find_user", "query", "get_user", "name", "get_order", "id", "mail", "to", "open", "url"))


def learnt(ledger: Ledger, sessions: int = 4) -> PatternPredictor:
    """Sessions full of values that must stay in memory: in arguments, outputs, keys and names."""
    predictor = PatternPredictor(ledger)
    for number in range(sessions):
        history = History(calls=[], session=str(number), offered=OFFERED)
        for tool, arguments, text in _calls(number):
            predictor.learn(history, [Call(tool, arguments)])
            history.calls.append(finished_call(tool, arguments, text))
        predictor.learn(history, [])
    return predictor


def _calls(number: int) -> list[tuple[str, dict[str, object], str]]:
    person = "Ann" if number == 0 else f"Bob{number}"
    users = f'[{{"name": "{person}", "mail": "ann@example.org", "key": "sk-hidden{number}"}}]'
    page = '{"Ann": {"mail": "ann@example.org", "orders": [{"id": "o4421"}]}}'
    text = "see https://private.example/x or src/private.py"
    return [
        ("find_user", {"query": f"Ann {number}"}, users),
        ("get_user", {"name": person}, page if number == 0 else '{"orders": [{"id": 7}]}'),
        ("get_order", {"id": "o4421" if number == 0 else 7}, text),
        ("mail", {"to": "ann@example.org", "Ann's key": f"sk-hidden{number}"}, text),
        ("open", {"url": "https://private.example/x"}, "Error: Ann is away"),
        ("Ann, please", {"path": "src/private.py"}, "done"),
    ]


def test_a_restart_keeps_what_was_learnt(tmp_path: Path) -> None:
    path = str(tmp_path / "patterns.db")
    store = PatternStore(path)
    ledger = store.load()
    predictor = learnt(ledger)
    store.save(ledger.take_changes(savable))
    store.close()

    again = PatternStore(path)
    history = History(calls=[finished_call("find_user", {"query": "x"}, '[{"name": "Eve"}]')])
    before = predictor.predict(history, ["get_user"], 3)
    after = PatternPredictor(again.load()).predict(history, ["get_user"], 3)
    assert [(c.tool, c.arguments) for c in after] == [("get_user", {"name": "Eve"})]
    assert [(c.tool, c.arguments) for c in before] == [(c.tool, c.arguments) for c in after]
    again.close()


def test_no_value_of_a_session_is_in_the_file(tmp_path: Path) -> None:
    store = PatternStore(str(tmp_path / "patterns.db"))
    ledger = store.load()
    learnt(ledger, sessions=1)
    store.save(ledger.take_changes(savable))
    learnt(ledger)
    store.save(ledger.take_changes(savable))
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"find_user" in kept
    assert b"get_user" in kept
    for secret in SECRETS:
        assert secret.encode() not in kept, secret
    store.close()


def test_saving_is_incremental(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    store = PatternStore(str(path))
    ledger = Ledger(limit=6)
    ledger.count("next", 1, "a")
    store.save(ledger.take_changes(savable))
    ledger.count("next", 2, "a")
    changes = ledger.take_changes(savable)
    assert [one.key for one in changes.saved] == [2]
    store.save(changes)
    assert _groups(path) == ['["next",1]', '["next",2]']
    for number in range(2):
        ledger.count("next", 3 + number, "a")
    store.save(ledger.take_changes(savable))
    assert '["next",1]' not in _groups(path)
    assert len(_groups(path)) == 3
    store.close()


def test_what_an_earlier_schema_learnt_is_learnt_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "patterns.db"
    _make(
        path,
        "CREATE TABLE contexts (context TEXT PRIMARY KEY, counts TEXT NOT NULL)",
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 1",
    )
    store = PatternStore(str(path))
    assert f"store {path} is of an older paste-proxy" in caplog.text
    assert len(store.load()) == 0
    learnt(ledger := store.load())
    store.save(ledger.take_changes(savable))
    store.close()
    assert _groups(path)


def _groups(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM groups ORDER BY name").fetchall()
    connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_without_a_file_nothing_is_kept(path: str) -> None:
    store = PatternStore(path)
    ledger = store.load()
    learnt(ledger)
    store.save(ledger.take_changes(savable))
    assert len(store.load()) == 0
    store.close()
    store.close()


def _make(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    path.write_bytes(b"not a database, but long enough to be read as one. " * 100)
    with pytest.raises(ConfigError, match=r"patterns\.db can't be used: file is not a database") as caught:
        PatternStore(str(path))
    assert caught.value.param == str(path)
    assert path.read_bytes().startswith(b"not a database")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    _make(path, "CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="another program's"):
        PatternStore(str(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    PatternStore(str(path)).close()
    _make(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match="newer paste-proxy"):
        PatternStore(str(path))


@pytest.mark.parametrize(
    "row",
    ["no json", "{}", '["next", [], [["a", "many"]]]', '["next", [], [[1]]]', "[1]", '["next", {"a": 1}, []]'],
)
def test_rows_that_are_not_ours_are_reported(tmp_path: Path, row: str) -> None:
    path = tmp_path / "patterns.db"
    PatternStore(str(path)).close()
    _make(path, f"INSERT INTO groups VALUES ('x', '{row}')")
    store = PatternStore(str(path))
    with pytest.raises(ConfigError, match=r"patterns\.db"):
        store.load()
    store.close()


def test_a_missing_table_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    _make(path, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA_VERSION}")
    store = PatternStore(str(path))
    with pytest.raises(ConfigError, match="no such table"):
        store.load()
    store.close()


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere is no folder"):
        PatternStore(str(tmp_path / "nowhere" / "patterns.db"))


def test_a_failed_save_keeps_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    store = PatternStore(str(path))
    ledger = store.load()
    learnt(ledger)
    store.save(ledger.take_changes(savable))
    before = _groups(path)
    _make(path, "CREATE TRIGGER full BEFORE INSERT ON groups BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    learnt(ledger)
    changes = ledger.take_changes(savable)
    with pytest.raises(ConfigError, match="disk full"):
        store.save(changes)
    assert _groups(path) == before
    _make(path, "DROP TRIGGER full")
    ledger.put_back(changes)
    again = ledger.take_changes(savable)
    assert again == changes
    store.save(again)
    assert set(_groups(path)) >= set(before)
    store.close()


@pytest.mark.parametrize("label", ["\ud800", 10**5000], ids=["half a pair", "huge"])
def test_what_json_can_not_hold_keeps_nothing_else_from_being_saved(
    label: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = PatternStore(str(tmp_path / "p.sqlite"))
    odd, good = SavedGroup("steps", "a", [(label, 1.0)]), SavedGroup("masks", "b", [("url", 2.0)])
    store.save(Changes(saved=(odd, good)))
    assert [key for key, _ in store.load().groups()] == [("masks", "b")]
    assert "patterns of section 'steps' are not kept" in caplog.text
    store.close()
