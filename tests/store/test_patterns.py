import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.predict.ledger import WITNESSES, Changes, Ledger, SavedGroup
from paste_proxy.predict.model import TENANT, Call, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.privacy import savable
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.tables import Tables
from paste_proxy.store import patterns
from paste_proxy.store.patterns import APPLICATION_ID, FORMER_COMMON, SCHEMA_VERSION, PatternStore

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


def own(tables: Tables) -> Ledger:
    return tables.of("acme")


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
    tables = store.load()
    predictor = learnt(own(tables))
    store.save_all(tables)
    store.close()

    again = PatternStore(path)
    history = History(calls=[finished_call("find_user", {"query": "x"}, '[{"name": "Eve"}]')])
    before = predictor.predict(history, ["get_user"], 3)
    after = PatternPredictor(own(again.load())).predict(history, ["get_user"], 3)
    assert [(c.tool, c.arguments) for c in after] == [("get_user", {"name": "Eve"})]
    assert [(c.tool, c.arguments) for c in before] == [(c.tool, c.arguments) for c in after]
    again.close()


def test_no_value_of_a_session_is_in_the_file(tmp_path: Path) -> None:
    store = PatternStore(str(tmp_path / "patterns.db"))
    tables = store.load()
    learnt(own(tables), sessions=1)
    store.save_all(tables)
    learnt(own(tables))
    store.save_all(tables)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"find_user" in kept
    assert b"get_user" in kept
    for secret in SECRETS:
        assert secret.encode() not in kept, secret
    store.close()


def test_a_new_file_is_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "patterns.sqlite"
    PatternStore(str(file)).close()
    assert {oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()} == {"0o600"}


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
    learnt(own(tables := store.load()))
    store.save_all(tables)
    store.close()
    assert _groups(path)


def test_what_the_schema_without_tenants_learnt_is_the_one_tenant_s(tmp_path: Path) -> None:
    path, ledger = tmp_path / "patterns.db", Ledger()
    learnt(ledger)
    kept = ledger.take_changes(savable).saved
    rows = [(json.dumps([one.section, one.key]), msgspec.json.encode(one).decode()) for one in kept]
    _make(
        path,
        "CREATE TABLE groups (name TEXT PRIMARY KEY, labels TEXT NOT NULL)",
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 2",
    )
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO groups VALUES (?, ?)", rows)
    connection.close()
    store = PatternStore(str(path))
    tables = store.load()
    assert list(tables.tenants) == [TENANT]
    assert {key[0] for key, _ in tables.common.groups()} == set(FORMER_COMMON) & {
        key[0] for key, _ in ledger.groups()
    }
    found = {**dict(tables.common.groups()), **dict(tables.of(TENANT).groups())}
    assert found.keys() == {(one.section, one.key) for one in kept}
    history = History(calls=[finished_call("find_user", {"query": "x"}, '[{"name": "Eve"}]')])
    former = Ledger()
    former.load(kept)
    expected = PatternPredictor(former).predict(history, ["get_user"], 3)
    history.memory = None
    assert PatternPredictor(tables.of(TENANT)).predict(history, ["get_user"], 3) == expected
    store.close()
    assert PatternStore(str(path)).load().tenants == tables.tenants


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    _make(
        path,
        "CREATE TABLE groups (name TEXT PRIMARY KEY, labels TEXT NOT NULL)",
        """INSERT INTO groups VALUES ('["next",1]', '["next",1,[]]'), ('no json', '')""",
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 2",
    )
    with pytest.raises(ConfigError, match=r"patterns\.db can't be used"):
        PatternStore(str(path))
    assert _groups(path) == ['["next",1]', "no json"]


def test_tenants_are_apart_in_the_file_and_one_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "patterns.db"
    store = PatternStore(str(path))
    tables = store.load()
    for tenant in ("acme", "beta"):
        for number in range(WITNESSES):
            tables.of(tenant).witness("constants", (), f"{tenant}-constant", str(number))
        tables.of(tenant).count("calibration", 1, True)
    store.save_all(tables)
    again = store.load()
    assert list(again.tenants) == ["acme", "beta"]
    assert again.of("beta").find("constants", ()) == {"beta-constant": WITNESSES}
    assert again.of("new").find("constants", ()) is None
    assert again.of("new").find("calibration", 1) is not None
    assert again.forget("acme")
    store.save_all(again)
    assert set(store.load().tenants) == {"beta"}
    assert b"acme-constant" not in b"".join(str(row).encode() for row in sqlite3.connect(path).iterdump())
    store.close()


def _groups(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM groups ORDER BY name").fetchall()
    connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_without_a_file_nothing_is_kept(path: str) -> None:
    store = PatternStore(path)
    tables = store.load()
    learnt(own(tables))
    store.save_all(tables)
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
    _make(path, f"INSERT INTO groups VALUES ('acme', 'x', '{row}')")
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
    tables = store.load()
    learnt(own(tables))
    store.save_all(tables)
    before = _groups(path)
    _make(path, "CREATE TRIGGER full BEFORE INSERT ON groups BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    learnt(own(tables))
    changes = tables.take_changes(10**9)
    with pytest.raises(ConfigError, match="disk full"):
        store.save(changes)
    assert _groups(path) == before
    _make(path, "DROP TRIGGER full")
    tables.put_back(changes)
    again = tables.take_changes(10**9)
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
    assert [key for key, _ in store.load().common.groups()] == [("masks", "b")]
    assert "patterns of section 'steps' are not kept" in caplog.text
    store.close()


def test_of_two_that_write_one_file_the_second_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "p.sqlite")
    first = PatternStore(path)
    assert not first.in_use
    second, copy = PatternStore(path), PatternStore(path, copy=True)
    assert second.in_use
    second.close()
    copy.close()
    first.close()
    again = PatternStore(path)
    assert not again.in_use
    again.close()


def test_a_copy_of_an_older_schema_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite"
    _make(
        path,
        "CREATE TABLE groups (name TEXT PRIMARY KEY, labels TEXT NOT NULL)",
        """INSERT INTO groups VALUES ('["ends",[]]', '["ends",[],[["",1.0]]]')""",
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 2",
    )
    before = path.read_bytes()
    copy = PatternStore(str(path), copy=True)
    assert copy.load().of(TENANT).find("ends", ()) is not None
    copy.close()
    assert path.read_bytes() == before


def test_a_file_that_others_use_or_that_has_no_room_is_not_one_to_be_named_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts the proxy may start it again."""
    monkeypatch.setattr(patterns, "_BUSY_TIMEOUT_S", 0.0)
    path = str(tmp_path / "patterns.db")
    store = PatternStore(path)
    tables = store.load()
    learnt(own(tables))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match=r"can't be used now: database is locked; end what uses it"):
        PatternStore(path)
    with pytest.raises(UnavailableError, match="database is locked"):
        store.save_all(tables)
    other.close()
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    learnt(own(tables), sessions=40)
    with pytest.raises(UnavailableError, match=r"is full; .* make room"):
        store.save_all(tables)
    store.close()
