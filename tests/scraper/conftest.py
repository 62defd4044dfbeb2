"""What tests of the scraper share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import programs, server
from tests.scraper.museum import Museum
from tests.scraper.visitor import Visitor, visiting


@pytest.fixture
def museum() -> Iterator[Museum]:
    """A museum of 20 pictures of its own for each test."""
    with Museum(pictures=20) as museum:
        yield museum


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """Whoever visits museums, in a hurry, and may go to private addresses."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with visiting(folder) as visitor:
        yield visitor


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server; see `tests.postgres.new_database`."""
    folder = programs()
    assert folder is not None  # the tests that are marked `needs_postgres` are skipped
    with server(folder) as address:
        yield address
