"""Read-only queries on one SQLite file. Shows how a tool that takes a program is made fit to run ahead.

A query must neither change anything nor give another result a moment later. Four barriers: the file is opened
read-only, `query_only` is set, an authorizer admits reads only, and what depends on the time or on chance is
refused: `random()`, `CURRENT_TIMESTAMP`, `date('now')` and the like. The agent passes times as parameters.
"""

import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec

from paste_proxy.tools import ConfigError, Effect, Tool, ToolError, tool

SCOPE = frozenset({"sqlite"})

SECONDS = 20.0
"""Longest run of one query; a model waits, and the database is somebody's."""
STEPS = 10_000
"""Virtual machine steps between looks at the clock: below a millisecond."""
VALUE_BYTES = 1_000_000
"""Largest single text or blob, also of intermediate ones."""
RESULT_BYTES = 4 * 1024 * 1024
"""Rows are added until they have about this size: a million tokens."""
RACY_NS = 50_000_000
"""A file changed so recently may change again within one tick of its file system's clock (4 to 10 ms)."""

VOLATILE = frozenset({"random", "randomblob", "current_date", "current_time", "current_timestamp"})
NOW = frozenset({"now", "subsec", "subsecond"})
"""What SQLite's date functions take for the present (sqlite.org/lang_datefunc.html, section 2)."""
DATE_FUNCTIONS = {"date": 0, "time": 0, "datetime": 0, "julianday": 0, "unixepoch": 0, "strftime": 1}
"""With the number of arguments before the time value."""
SCHEMA_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}
)

Value = str | int | float | None


class Options(msgspec.Struct, frozen=True):
    """The options of this plugin in the configuration."""

    path: Path


class Table(msgspec.Struct):
    """A table or view; `sql` is the statement that made it."""

    name: str
    kind: str
    sql: str


class Rows(msgspec.Struct):
    """A query's result; blobs appear as `x'...'`. `complete` is false where rows were left out."""

    columns: list[str]
    rows: list[list[Value]]
    complete: bool


def plugin(options: Options) -> list[Tool[..., Any]]:
    """The two tools over `options.path`."""
    path = options.path.resolve()
    if not path.is_file():
        raise ConfigError(f"options.path: no such file: {path}", param="path")

    def state(**_: object) -> list[str]:
        return fingerprint(path)

    @tool(effect=Effect.READ, reads=SCOPE, fingerprint=state, timeout=SECONDS + 10)
    def sqlite_tables() -> list[Table]:
        """List the tables and views of the database with the SQL that made them."""
        return tables(path)

    @tool(effect=Effect.READ, reads=SCOPE, fingerprint=state, timeout=SECONDS + 10)
    def sqlite_query(
        sql: Annotated[str, msgspec.Meta(max_length=100_000, description="One SELECT statement (SQLite)")],
        parameters: Annotated[tuple[Value, ...], msgspec.Meta(description="Values for the `?` in it")] = (),
        limit: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="Largest number of rows")] = 200,
    ) -> Rows:
        """Query the database, read-only. Functions of chance and of the present time are refused."""
        return query(path, sql, parameters, limit)

    return [sqlite_tables, sqlite_query]


def tables(path: Path) -> list[Table]:
    sql = "SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND sql > '' ORDER BY name"
    with connected(path) as connection:
        return [Table(name, kind, text) for name, kind, text in connection.execute(sql)]


def query(path: Path, sql: str, parameters: tuple[Value, ...], limit: int) -> Rows:
    with connected(path) as connection, closing(connection.execute(sql, parameters)) as cursor:
        rows: list[list[Value]] = []
        size = 0
        for row in cursor:
            if len(rows) == limit or size > RESULT_BYTES:
                return Rows(_columns(cursor), rows, complete=False)
            rows.append([_shown(value) for value in row])
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
        return Rows(_columns(cursor), rows, complete=True)


def _columns(cursor: sqlite3.Cursor) -> list[str]:
    return [column[0] for column in cursor.description or ()]


def _shown(value: Value | bytes) -> Value:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else value


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can only read, for one query. Raises `ToolError` with SQLite's own message."""
    refusals: list[str] = []
    address = f"file:{urllib.parse.quote(str(path))}?mode=ro"
    deadline = time.monotonic() + SECONDS
    try:
        with (
            closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection,
            _calendar() as dates,
        ):
            connection.execute("PRAGMA query_only = 1")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
            for name in DATE_FUNCTIONS:
                connection.create_function(name, -1, _dated(name, dates, refusals), deterministic=True)
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
            connection.set_authorizer(_authorize)
            yield connection
    except (sqlite3.Error, sqlite3.Warning) as error:
        if time.monotonic() > deadline:
            raise ToolError(f"the query ran longer than {SECONDS:g} s") from error
        raise ToolError(refusals[0] if refusals else str(error)) from error


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = second is not None and second.lower() not in VOLATILE | {"load_extension"}
    elif action == sqlite3.SQLITE_PRAGMA:
        allowed = first in SCHEMA_PRAGMAS
    else:
        # What json_each() and its like announce when they are opened; the file is read-only all the same.
        allowed = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextmanager
def _calendar() -> Iterator[sqlite3.Connection]:
    """A database with SQLite's own date functions, which the guarded ones ask."""
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection


def _dated(name: str, calendar: sqlite3.Connection, refusals: list[str]) -> Callable[..., Value]:
    """The date function `name`, except for the present. SQLite keeps an exception's text to itself."""
    at = DATE_FUNCTIONS[name]

    def dated(*arguments: Value | bytes) -> Value:
        if len(arguments) <= at or _is_now(arguments[at]):
            refusals.append(f"{name}() of the present is refused; state the time, or pass it as a parameter")
            raise ValueError(refusals[0])
        marks = ", ".join("?" * len(arguments))
        result: Value = calendar.execute(f"SELECT {name}({marks})", arguments).fetchone()[0]
        return result

    return dated


def _is_now(value: Value | bytes) -> bool:
    """As SQLite reads it: a blob is text, text ends at a NUL, case does not matter."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.partition("\0")[0].lower() in NOW


def fingerprint(path: Path) -> list[str]:
    """The state of the database's files: SQLite writes to the database, or first to its write-ahead log."""
    return [_stat(path), _stat(path.with_name(path.name + "-wal"))]


def _stat(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        return ""
    if status.st_size == 0:
        return ""  # a reader of a database in WAL mode makes an empty log itself
    if time.time_ns() - status.st_mtime_ns < RACY_NS:
        raise ToolError(f"{path}: changed a moment ago")
    # Not the time of the last change of status: SQLite sets the owner of the log, run as root, even to read.
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
