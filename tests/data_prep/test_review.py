"""`python -m data_prep review`: the page alone, for the person at this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from data_prep.__main__ import app
from ideitify.dataset import write_rows
from ideitify.decisions import Decision, append_decisions
from tests.browser import PATIENCE, PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path, [{"file_name": "1.jpg", "category": "ganesha", "status": "review"}])
    return tmp_path


def test_it_serves_until_it_is_interrupted_and_says_what_to_do_next(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "data_prep", "review", str(folder), "--no-browser"]
    with subprocess.Popen(
        [*command, "--port", str(port)], cwd=PROJECT, stdout=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if "IDEITIFY" not in name},
    ) as process:  # fmt: skip
        health = f"http://127.0.0.1:{port}/_stcore/health"
        _wait_until(lambda: httpx.get(health, trust_env=False).is_success, process)
        append_decisions(folder, [Decision("", "Asha", "1.jpg", "keep", "ganesha")])
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert f"1 decisions made; python -m data_prep prepare {folder} applies them" in said
    with pytest.raises(httpx.TransportError):
        httpx.get(health, trust_env=False)


def _wait_until(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the page did not start")


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_others_are_let_in_only_with_a_password(folder: Path, address: str) -> None:
    result = CliRunner().invoke(app, ["review", str(folder), "--address", address])
    assert result.exit_code == 2
    assert "IDEITIFY_REVIEW_PASSWORD" in result.output


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["review", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not a dataset folder" in " ".join(result.output.split())
