"""What tests of several packages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import write_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid bundle to look at, not to change; `tests.tiny.write_bundle` writes one to spoil."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
