"""What tests of several packages share."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A worker for each processor is enough: with threads as well, they wait for each other. Numba, for
# UMAP, would even give torch its own number of threads. To be said before anything loads them.
os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

from tests.tiny import write_bundle

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell's background job ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker run all tests for which a module makes something once."""
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
            fixtures = item._fixtureinfo.name2fixturedefs.values()
            if any(definitions[-1].scope == "module" for definitions in fixtures):
                item.add_marker(pytest.mark.xdist_group(item.module.__name__))


@pytest.fixture(autouse=True)
def csv_limit() -> Iterator[None]:
    """Some libraries raise the field size limit of `csv` for the whole process."""
    limit = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(limit)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid bundle to look at, not to change; `tests.tiny.write_bundle` writes one to spoil."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def flawed_decoder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes started from now on have a decoder of GIF that ends them, as a flaw in C would."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "sitecustomize.py").write_text(
        "import os, signal\n"
        "from PIL import GifImagePlugin\n"
        "def end(image):\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "GifImagePlugin.GifImageFile._open = end\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
