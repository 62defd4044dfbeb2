"""A PostgreSQL server of the tests' own, from Debian's package `postgresql`."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

USER = "postgres"
_numbers = count()


def programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl` of the newest version here; Debian hides them."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda p: int(p.parts[-2]), default=None)


needs_postgres = pytest.mark.skipif(
    programs() is None, reason="NO POSTGRESQL, its ledger is untested: apt-get install postgresql"
)


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Run a server in a temporary folder; yields the part of its URLs before a database's name."""
    # PostgreSQL refuses to run as root, and its user could not reach pytest's folders.
    account = pwd.getpwnam(USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.chown(folder, account.pw_uid, account.pw_gid)

    def do(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(
            command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd=folder,
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        do("initdb", "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        do("pg_ctl", "start", "-w", "-t", "120", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}"
        finally:
            do("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def new_database(server: str) -> str:
    """Make an empty database; returns its URL."""
    name = f"test_{next(_numbers)}"
    address = server.replace("+psycopg", "")
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    return f"{server}/{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
