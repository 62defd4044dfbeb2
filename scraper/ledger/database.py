"""The ledger's database: SQLite or PostgreSQL, and transactions that hold."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Select,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

BUSY_SECONDS = 60  # to wait for another process that writes
BATCH = 400  # values per statement, well below every database's limit of parameters


class LedgerError(RuntimeError):
    """The ledger cannot be used; the message says why and what to do."""


class Database:
    """Where a ledger lies; its transactions raise `LedgerError` when it cannot be used."""

    def __init__(self, place: Path | str) -> None:
        """`place`: a SQLite file, or a URL such as postgresql+psycopg://host/name."""
        self._engine = _engine(place)
        self._where = _shown(self._engine.url)
        self._writer = self._engine.execution_options(writes=True)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; one at a time in SQLite."""
        try:
            with _no_interrupt(), self._writer.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise LedgerError(f"{self._where} cannot be written: {error.orig}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of things."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise LedgerError(f"{self._where} cannot be read: {error.orig}") from error

    def insert(self, table: Any) -> Any:
        """The database's own INSERT, which knows ON CONFLICT."""
        return {"sqlite": sqlite, "postgresql": postgresql}[self._engine.dialect.name].insert(table)


def _engine(place: Path | str) -> Engine:
    where = str(place)
    try:
        # a file's name is taken as it is, whatever ? and % say in a URL
        url = make_url(where) if "://" in where else URL.create("sqlite", database=where)
        where = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_pre_ping=True)
        if url.get_backend_name() != "sqlite":
            raise LedgerError(f"{where}: a ledger is a SQLite file or a postgresql+psycopg:// URL")
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    except ArgumentError as error:
        raise LedgerError(f"{where!r} is not the address of a database") from error
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise LedgerError(f"{where} needs a driver: pip install 'psycopg[binary]'") from error
    _use_transactions(engine)
    return engine


def _shown(url: URL) -> str:
    """A file's name as it is, any other place without its password."""
    is_file = url.get_backend_name() == "sqlite"
    return url.database or "" if is_file else url.render_as_string(hide_password=True)


def _use_transactions(engine: Engine) -> None:
    """Begin SQLite's transactions ourselves: Python's sqlite3 would begin them too late.

    Writers ask for the lock at their beginning; one that read first could not get it any more.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Let Ctrl-C wait for the end of a transaction.

    It would otherwise be raised anywhere, even where the database is locked and nobody unlocks it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    interrupts: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *interrupt: interrupts.append(interrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            before(*interrupts[0])


def chunks(values: Sequence[Any]) -> Iterator[Any]:
    """Parts that one statement can take."""
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def in_chunks(
    connection: Connection, query: Select[Any], column: ColumnElement[Any], values: Iterable[str]
) -> Iterator[Any]:
    """The first column of the rows whose `column` is one of many values."""
    for chunk in chunks(sorted(values)):
        yield from connection.execute(query.where(column.in_(chunk))).scalars()
