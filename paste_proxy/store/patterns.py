"""Learnt patterns in an SQLite file, so that a restart keeps them.

One row per group of the ledger, its labels and numbers as JSON, readable with any SQLite tool. Shapes and
counts; and, in the sections that `ledger.PRIVATE` names, words and constants that came in several sessions.

Blocking; to be called off the loop. A save is one transaction: after a crash the file holds all of it or
nothing.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.predict.ledger import Changes, Ledger, SavedGroup

APPLICATION_ID = 0x50535450
"""Marks the file as ours ("PSTP"), so that no other program's database is written to."""
SCHEMA_VERSION = 2
"""Of the first, which held something else, nothing is kept: it is learnt anew."""
log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 5.0
"""Waiting for another process that reads the file: a reader holds it for milliseconds."""


class PatternStore:
    """Opens or makes the file. Raises `ConfigError` where it can't be used; `path` is in the message and in
    `param`.

    `path` "" or ":memory:" keeps nothing: `load` gives an empty ledger, `save` does nothing.
    One process at a time may write; any thread may call, one after another.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        if path not in ("", ":memory:"):
            with self._reported():
                self._connection = self._open()

    def load(self) -> Ledger:
        """A ledger with what is stored. Raises `ConfigError` for rows that are not ours."""
        ledger = Ledger()
        if self._connection is not None:
            with self._reported():
                rows = self._connection.execute("SELECT labels FROM groups ORDER BY rowid").fetchall()
                ledger.load([_decode(row[0]) for row in rows])
        return ledger

    def save(self, changes: Changes) -> None:
        """Write what changed since the last time (`Ledger.take_changes`). Raises `ConfigError`."""
        if self._connection is None:
            return
        gone = [(_name(key),) for key in changes.dropped]
        rows = list(_rows(changes.saved))
        with self._reported(), self._connection as transaction:
            transaction.executemany("DELETE FROM groups WHERE name = ?", gone)
            transaction.executemany("INSERT OR REPLACE INTO groups (name, labels) VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if not (folder := Path(self._path).parent).is_dir():
            raise FileNotFoundError(f"{folder} is no folder: make it")
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
            if version == SCHEMA_VERSION:
                return
            log.warning(
                "store %s is of an older paste-proxy: what it holds can't be used and goes, and is learnt anew",
                self._path,
            )
            connection.execute("DROP TABLE contexts")
        elif connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise self._error("is another program's database")
        connection.execute("CREATE TABLE groups (name TEXT PRIMARY KEY, labels TEXT NOT NULL)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """SQLite's errors, and rows that can't be read, as `ConfigError` with the file's path."""
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, OSError, TypeError) as error:
            raise self._error(f"can't be used: {error}") from error

    def _error(self, what: str) -> ConfigError:
        advice = "name another file in store.path, or move this one away to start afresh"
        return ConfigError(f"store {self._path} {what}; {advice}", param=self._path)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return int(value)


def _decode(text: str) -> SavedGroup:
    return msgspec.json.decode(text, type=SavedGroup)


def _rows(groups: Iterable[SavedGroup]) -> Iterator[tuple[str, str]]:
    """A group that JSON can't hold is left out, so that it does not keep all others from being saved."""
    for saved in groups:
        try:
            yield _name((saved.section, saved.key)), msgspec.json.encode(saved).decode()
        except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            log.warning(
                "patterns of section %r are not kept, since they can't be written: %s", saved.section, error
            )


def _name(key: object) -> str:
    return msgspec.json.encode(key).decode()
