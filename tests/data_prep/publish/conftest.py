"""What tests of publishing share: the real clients, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub_server import Hub, running_hub
from tests.kaggle_server import Kaggle, running_kaggle

PROJECT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python with nothing of this process's credentials and proxies."""
    ours = ("KAGGLE_", "HF_", "HUGGING", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    inherited = {k: v for k, v in os.environ.items() if not k.upper().startswith(ours)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub_environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """What makes the Hub's clients come to the local one, over plain HTTP instead of Xet."""
    return {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_valid",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


@pytest.fixture
def publish_hub(hub_environment: dict[str, str]) -> Run:
    """Run `python -m data_prep publish hub FOLDER someone/deities …`."""

    def publish(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
        command = ["-m", "data_prep", "publish", "hub", str(folder), "someone/deities"]
        return run([*command, "--title", "Deities", *options], {**hub_environment, **environment})

    return publish


@pytest.fixture
def kaggle() -> Iterator[Kaggle]:
    with running_kaggle() as kaggle:
        yield kaggle


@pytest.fixture
def publish_kaggle(kaggle: Kaggle, tmp_path: Path) -> Run:
    """Run `python -m data_prep publish kaggle FOLDER someone/deities …`."""
    home = tmp_path / "home"
    home.mkdir()

    def publish(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
        command = ["-m", "data_prep", "publish", "kaggle", str(folder), "someone/deities"]
        ours = {**kaggle.environment(home), **environment}
        return run([*command, "--title", "Deities", *options], ours)

    return publish


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a refusal, which must be one, and no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]
