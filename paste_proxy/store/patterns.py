"""Learnt patterns in an SQLite file, so that a restart keeps them.

One row per context: its counts and patterns as JSON, readable with any SQLite tool. Stored are shapes and
counts alone: names of tools and arguments, JSON paths, numbers; which of them count as names is
`PatternTable`'s to decide.

Blocking; to be called off the loop. A save is one transaction: after a crash the file holds all of it or
nothing.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.predict.patterns import Changes, PatternTable, SavedContext

APPLICATION_ID = 0x50535450
"""Marks the file as ours ("PSTP"), so that no other program's database is written to."""
SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 5.0
"""Waiting for another process that reads the file: a reader holds it for milliseconds."""


class PatternStore:
    """Opens or makes the file. Raises `ConfigError` where it can't be used; `path` is in the message and in
    `param`.

    `path` "" or ":memory:" keeps nothing: `load` gives an empty table, `save` does nothing.
    One process at a time may write; any thread may call, one after another.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        if path not in ("", ":memory:"):
            with self._reported():
                self._connection = self._open()

    def load(self) -> PatternTable:
        """A table with what is stored. Raises `ConfigError` for rows that are not ours."""
        table = PatternTable()
        if self._connection is not None:
            with self._reported():
                rows = self._connection.execute("SELECT counts FROM contexts ORDER BY rowid").fetchall()
                table.load([_decode(row[0]) for row in rows])
        return table

    def save(self, changes: Changes) -> None:
        """Write what changed since the last time (`PatternTable.take_changes`). Raises `ConfigError`."""
        if self._connection is None:
            return
        gone = [(_name(context),) for context in changes.dropped]
        rows = [(_name(saved.context), msgspec.json.encode(saved).decode()) for saved in changes.saved]
        with self._reported(), self._connection as transaction:
            transaction.executemany("DELETE FROM contexts WHERE context = ?", gone)
            transaction.executemany("INSERT OR REPLACE INTO contexts (context, counts) VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                self._prepare(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the schema in an empty file. Raises `ConfigError` where the file is neither empty nor ours."""
        owner, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        if owner == APPLICATION_ID:
            if version > SCHEMA_VERSION:
                raise self._error(f"is of a newer paste-proxy (schema {version}, known: {SCHEMA_VERSION})")
            return
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise self._error("is another program's database")
        connection.execute("CREATE TABLE contexts (context TEXT PRIMARY KEY, counts TEXT NOT NULL)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """SQLite's errors, and rows that can't be read, as `ConfigError` with the file's path."""
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, OSError) as error:
            raise self._error(f"can't be used: {error}") from error

    def _error(self, what: str) -> ConfigError:
        advice = "name another file in store.path, or move this one away to start afresh"
        return ConfigError(f"store {self._path} {what}; {advice}", param=self._path)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return int(value)


def _decode(text: str) -> SavedContext:
    return msgspec.json.decode(text, type=SavedContext)


def _name(context: object) -> str:
    return msgspec.json.encode(context).decode()
