"""The SQLite plugin: reads only, and never what another moment or chance would change."""

import itertools
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.tools import Effect
from paste_proxy.tools.invoke import encode_result
from paste_proxy.tools.loading import Registry
from paste_proxy.tools.local import LocalExecutor
from tests.plugins.conftest import Load

SCHEMA = """
CREATE TABLE people (name TEXT, born TEXT, photo BLOB);
INSERT INTO people VALUES ('Ada', '1815-12-10', x'00ff'), ('Alan', '1912-06-23', NULL);
CREATE VIEW lottery AS SELECT random() AS number;
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "people #1?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.fixture
def tools(load: Load, database: Path) -> Registry:
    return load("sqlite", path=str(database))


def test_both_are_reads_with_a_fingerprint(tools: Registry) -> None:
    for tool in tools.values():
        assert tool.spec.effect is Effect.READ
        assert tool.spec.reads == {"sqlite"}
        assert tool.spec.has_fingerprint


def test_tables(tools: Registry) -> None:
    tables = tools["sqlite_tables"]()
    assert [(table.name, table.kind) for table in tables] == [("lottery", "view"), ("people", "table")]
    assert tables[1].sql == "CREATE TABLE people (name TEXT, born TEXT, photo BLOB)"


def test_a_query_with_parameters(tools: Registry) -> None:
    rows = tools["sqlite_query"]("SELECT * FROM people WHERE name = ?", ("Ada",))
    assert rows.columns == ["name", "born", "photo"]
    assert rows.rows == [["Ada", "1815-12-10", "x'00ff'"]]
    assert rows.complete
    output = encode_result(tools["sqlite_query"], rows)
    assert msgspec.json.decode(output.body)["rows"] == rows.rows


def test_rows_and_bytes_are_bounded(tools: Registry) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
    few = tools["sqlite_query"](f"{endless} i FROM n", limit=3)
    assert (few.rows, few.complete) == ([[1], [2], [3]], False)
    wide = tools["sqlite_query"](f"{endless} hex(zeroblob(400000)) FROM n", limit=10_000)
    assert (len(wide.rows), wide.complete) == (6, False)


REFUSED = [
    "DELETE FROM people",
    "INSERT INTO people VALUES (1, 2, 3)",
    "UPDATE sqlite_master SET sql = ''",
    "DROP TABLE people",
    "CREATE TEMP TABLE t (x)",
    "ATTACH ':memory:' AS other",
    "VACUUM INTO '/tmp/copy.db'",
    "PRAGMA query_only = 0",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "BEGIN",
    "SELECT load_extension('x')",
    "SELECT 1; DELETE FROM people",
    "SELECT zeroblob(2000000)",
    "not sql",
]

VOLATILE = [
    "SELECT random()",
    "SELECT RANDOM()",
    "SELECT hex(randomblob(4))",
    "SELECT * FROM lottery",
    "SELECT name FROM people ORDER BY random()",
    "SELECT CURRENT_TIMESTAMP",
    "SELECT current_date, 1",
    "SELECT date()",
    "SELECT date('now')",
    "SELECT datetime('NoW', '+1 day')",
    "SELECT strftime('%s')",
    "SELECT strftime('%s', 'n' || 'ow')",
    "SELECT date(x'6e6f77')",
    "SELECT time('now' || char(0) || 'x')",
    "SELECT julianday(lower('NOW'))",
    "SELECT unixepoch('subsec')",
]


@pytest.mark.parametrize("sql", REFUSED + VOLATILE)
def test_what_is_refused_changes_nothing(tools: Registry, database: Path, sql: str) -> None:
    before = database.read_bytes()
    with pytest.raises(ToolError):
        tools["sqlite_query"](sql)
    assert database.read_bytes() == before


def test_the_present_is_refused_with_a_way_out(tools: Registry) -> None:
    with pytest.raises(ToolError, match=r"date\(\) of the present is refused; state the time"):
        tools["sqlite_query"]("SELECT date(?)", ("now",))


ALLOWED = [
    ("SELECT date(born, '+1 day') FROM people LIMIT 1", "1815-12-11"),
    ("SELECT strftime('%Y', born) FROM people LIMIT 1", "1815"),
    ("SELECT unixepoch('1970-01-02')", 86400),
    ("SELECT date(NULL)", None),
    ("SELECT count(*) FROM people WHERE name LIKE 'A%'", 2),
    ("SELECT value FROM json_each('[7]')", 7),
    ("SELECT name FROM pragma_table_info('people') LIMIT 1", "name"),
    ("PRAGMA table_info(people)", 0),
    ("EXPLAIN QUERY PLAN SELECT 1", 1),
    ("VALUES (5)", 5),
]


@pytest.mark.parametrize(("sql", "first"), ALLOWED)
def test_what_is_allowed(tools: Registry, sql: str, first: object) -> None:
    assert tools["sqlite_query"](sql).rows[0][0] == first


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["date", "time", "datetime", "julianday", "unixepoch"]),
    st.text("nowNOW \t\0'", max_size=5) | st.sampled_from(["now", "subsec", "2024-01-01", "12:00", "1e3"]),
    st.sampled_from([(), ("+1 day",), ("subsec",), ("weekday 0",), ("auto",)]),
)
def test_a_date_is_refused_exactly_where_sqlite_takes_the_present(
    tools: Registry, function: str, moment: str, modifiers: tuple[str, ...]
) -> None:
    arguments = (moment, *modifiers)
    sql = f"SELECT {function}({', '.join('?' * len(arguments))})"
    try:
        shown = tools["sqlite_query"](sql, arguments).rows[0][0]
    except ToolError:
        assert moment.partition("\0")[0].lower() in {"now", "subsec", "subsecond"}
        return
    with closing(sqlite3.connect(":memory:")) as plain:
        assert plain.execute(sql, arguments).fetchone()[0] == shown
        if shown is not None:  # a constant is allowed in a generated column, the present is not
            plain.execute("CREATE TABLE t (x, y AS (date(x)))")
            plain.execute("INSERT INTO t (x) VALUES (?)", (moment,))
            plain.execute("SELECT y FROM t").fetchone()


def test_a_runaway_query_ends(tools: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=5.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(ToolError, match="the query ran longer than 20 s"):
        tools["sqlite_query"](endless)


def _fingerprint(tools: Registry) -> bytes | None:
    return LocalExecutor(tools).fingerprint("sqlite_query", {"sql": "SELECT 1"})


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_fingerprint_survives_reads_and_not_writes(tools: Registry, database: Path, mode: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("INSERT INTO people VALUES ('Grace', '1906-12-09', NULL)")
        time.sleep(0.06)
        first = _fingerprint(tools)
        tools["sqlite_query"]("SELECT * FROM people")
        assert first == _fingerprint(tools)
        connection.execute("UPDATE people SET name = 'Hopper' WHERE name = 'Grace'")
        assert first != _fingerprint(tools)
        time.sleep(0.06)
        assert first != _fingerprint(tools)


def test_a_database_just_changed_has_no_usable_fingerprint(
    tools: Registry, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.touch()
    touched = database.stat().st_mtime_ns
    monkeypatch.setattr(time, "time_ns", lambda: touched)
    assert _fingerprint(tools) != _fingerprint(tools)


def test_a_path_that_is_no_file_is_a_configuration_error(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"options\.path: no such file"):
        load("sqlite", path=str(tmp_path))


def test_a_file_that_is_no_database(load: Load, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(ToolError, match="file is not a database"):
        load("sqlite", path=str(tmp_path / "text"))["sqlite_tables"]()
