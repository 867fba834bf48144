"""Learnt patterns in an SQLite file, so that a restart keeps them.

One row per group of a tenant's ledger, its labels and numbers as JSON, readable with any SQLite tool. Shapes
and counts; and words and constants that came in several sessions of the tenant. What is everybody's has no
tenant, and nothing that an export would not show.

Blocking; to be called off the loop. A save is one transaction: after a crash the file holds all of it or
nothing.
"""

import fcntl
import logging
import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.predict.ledger import SHARED, Changes, SavedGroup
from paste_proxy.predict.model import TENANT
from paste_proxy.predict.tables import COMMON, Tables

APPLICATION_ID = 0x50535450
"""Marks the file as ours ("PSTP"), so that no other program's database is written to."""
SCHEMA_VERSION = 3
"""Of the first, which held something else, nothing is kept: it is learnt anew. The second knew no tenants:
all that it held was of the one that there was."""
FORMER_COMMON = (SHARED, "shared squares", "calibration", "goes on")
"""Sections that the second schema kept among the others, and all tenants share."""
log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 5.0
"""Waiting for another process that reads the file: a reader holds it for milliseconds."""

_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
"""SQLite's codes of what another moment may mend, with the same file."""
_CODE = 0xFF
"""The part of a code that says that; the rest says more of it."""


class PatternStore:
    """Opens or makes the file. All of it raises `ConfigError` where the file can't be used, `UnavailableError`
    where it can't be used now; `path` is in the message and in `param`.

    `path` "" or ":memory:" keeps nothing: `load` gives empty tables, `save` does nothing.
    `copy`: what is in the file is read, and nothing is written to it. One process at a time may write; any
    thread may call, one after another.
    """

    def __init__(self, path: str, *, copy: bool = False) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        if path not in ("", ":memory:"):
            with self._reported():
                self._connection = self._copied() if copy else self._open()
                self._lock = None if copy else self._locked()

    @property
    def in_use(self) -> bool:
        """Another process has opened the file to write it."""
        return self._connection is not None and self._lock is None

    def load(self) -> Tables:
        """Tables with what is stored, the tenant seen last as such. Raises `ConfigError` for rows that are not
        ours."""
        tables = Tables()
        if self._connection is not None:
            with self._reported():
                rows = self._connection.execute("SELECT tenant, labels FROM groups ORDER BY rowid").fetchall()
                groups: dict[str, list[SavedGroup]] = {COMMON: []}
                for tenant, labels in rows:
                    groups.setdefault(tenant, []).append(_decode(labels))
                tables.load(COMMON, groups[COMMON])
                latest = dict.fromkeys(tenant for tenant, _ in reversed(rows) if tenant != COMMON)
                for tenant in reversed(latest):
                    tables.load(tenant, groups[tenant])
        return tables

    def save(self, changes: Changes) -> None:
        """Write what changed since the last time (`Tables.take_changes`)."""
        if self._connection is None:
            return
        tenant = changes.tenant
        dropped = [(tenant, _name(key)) for key in changes.dropped]
        rows = [(tenant, *row) for row in _rows(changes.saved)]
        with self._reported(), self._connection as transaction:
            if changes.gone:
                transaction.execute("DELETE FROM groups WHERE tenant = ?", (tenant,))
            transaction.executemany("DELETE FROM groups WHERE tenant = ? AND name = ?", dropped)
            transaction.executemany(
                "INSERT OR REPLACE INTO groups (tenant, name, labels) VALUES (?, ?, ?)", rows
            )

    def save_all(self, tables: Tables) -> int:
        """Write what no store has yet; how many numbers."""
        wrote = 0
        while tables.unsaved:
            changes = tables.take_changes(sys.maxsize)
            self.save(changes)
            wrote += sum(len(group.labels) for group in changes.saved)
        return wrote

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> int | None:
        """Held while the store is open. Not the file itself: SQLite's own locks would go when it is closed."""
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _copied(self) -> sqlite3.Connection:
        """In memory, and of the schema of today."""
        copied = sqlite3.connect(":memory:", check_same_thread=False)
        # Whoever has the file open keeps such a log beside it. To read without one, SQLite would begin one.
        how = "mode=ro" if Path(f"{self._path}-wal").exists() else "immutable=1"
        file = sqlite3.connect(
            f"{Path(self._path).absolute().as_uri()}?{how}", uri=True, timeout=_BUSY_TIMEOUT_S
        )
        try:
            file.backup(copied)
            with copied:
                self._prepare(copied)
        except BaseException:
            copied.close()
            raise
        finally:
            file.close()
        return copied

    def _open(self) -> sqlite3.Connection:
        if not (folder := Path(self._path).parent).is_dir():
            raise FileNotFoundError(f"{folder} is no folder: make it")
        if not Path(self._path).exists():
            Path(self._path).touch(0o600)  # SQLite's own files beside it take their mode from it
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                self._prepare(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in free pages
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
            if version == 1:
                advice = "what it holds can't be used and goes, and is learnt anew"
                log.warning("store %s is of an older paste-proxy: %s", self._path, advice)
                connection.execute("DROP TABLE contexts")
            else:
                connection.execute("ALTER TABLE groups RENAME TO former")
        elif connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise self._error("is another program's database")
        connection.execute(
            "CREATE TABLE groups (tenant TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL,"
            " PRIMARY KEY (tenant, name))"
        )
        if version == 2:
            rows = connection.execute("SELECT name, labels FROM former ORDER BY rowid").fetchall()
            moved = [(_former_tenant(name), name, labels) for name, labels in rows]
            connection.executemany("INSERT INTO groups (tenant, name, labels) VALUES (?, ?, ?)", moved)
            connection.execute("DROP TABLE former")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """SQLite's errors, and rows that can't be read, as ours with the file's path."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0)  # none: text that can not be decoded
            if code & _CODE not in _PASSING:
                raise self._error(f"can't be used: {error}") from error
            advice = "end what uses it, or make room for it"
            raise UnavailableError(
                f"store {self._path} can't be used now: {error}; {advice}", param=self._path
            ) from error
        except (sqlite3.Error, msgspec.MsgspecError, OSError, TypeError) as error:
            raise self._error(f"can't be used: {error}") from error

    def _error(self, what: str) -> ConfigError:
        advice = "name another file in store.path, or move this one away to start afresh"
        return ConfigError(f"store {self._path} {what}; {advice}", param=self._path)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return int(value)


def _former_tenant(name: str) -> str:
    section = msgspec.json.decode(name, type=list[Any])[0]
    return COMMON if section in FORMER_COMMON else TENANT


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
