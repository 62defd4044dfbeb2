"""A server answers with one bundle, and follows the branch it comes from, with the real client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ideitify.hub import may_change
from tests.hub_server import Commit, running_hub
from tests.tiny import write_bundle

PROJECT = Path(__file__).parents[2]


def run_script(script: str, *arguments: str, **environment: str) -> list[str]:
    """Run Python in a process of its own, for the recogniser is the one thing a process keeps."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_recognizer_is_loaded_once_for_all_threads(tiny_bundle: Path) -> None:
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from ideitify.serving import default_recognizer

sys.setswitchinterval(1e-6)  # so that first calls that can meet do
barrier = Barrier(8)

def ask():
    barrier.wait()
    return default_recognizer()

with ThreadPoolExecutor(8) as pool:
    futures = [pool.submit(ask) for _ in range(8)]
print(len({id(future.result()) for future in futures}), futures[0].result().manifest.name)
"""
    assert run_script(script, IDEITIFY_BUNDLE=str(tiny_bundle)) == ["1 tiny"]


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("hf://someone/tiny", True),
        ("hf://someone/tiny@main", True),
        ("hf://someone/tiny@v1.0", True),
        (f"hf://someone/tiny@{'a1' * 20}", False),
        ("models/default", False),
    ],
)
def test_only_a_branch_or_tag_on_the_hub_is_followed(source: str, changes: bool) -> None:
    assert may_change(source) is changes


WATCH = """
import json, time
from ideitify.serving import default_recognizer, refused_update
seen, end = None, time.monotonic() + 180
while time.monotonic() < end:
    now = [default_recognizer().manifest.name, refused_update() or ""]
    if now != seen:
        print(json.dumps(now), flush=True)
    seen = now
    time.sleep(0.02)
"""


def test_a_newer_bundle_takes_over_and_one_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_hub() as hub, log.open("w") as errors:

        def publish(name: str, spoil: Callable[[Path], object] = lambda folder: None) -> None:
            folder = write_bundle(tmp_path / name, name=name)
            spoil(folder)
            hub.add("someone/tiny", folder)
            hub.commits.setdefault("someone/tiny", []).append(Commit(name, ""))

        publish("first")
        app = subprocess.Popen(
            [sys.executable, "-c", WATCH],
            cwd=PROJECT,
            env={
                **os.environ, "IDEITIFY_BUNDLE": "hf://someone/tiny@main",
                "IDEITIFY_REFRESH_MINUTES": "0.001", "HF_HOME": str(tmp_path / "cache"),
                "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1",
            },
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert app.stdout is not None
        states = (json.loads(line) for line in app.stdout)

        def answers_with(name: str, refusal: str = "") -> bool:
            """Wait for it, or for the end of the process, which comes if it never happens."""
            return any(
                state[0] == name and (refusal in state[1] if refusal else not state[1])
                for state in states
            )

        try:
            assert answers_with("first")
            publish("second")
            assert answers_with("second")
            publish("damaged", lambda folder: (folder / "model.onnx").write_bytes(b"other"))
            assert answers_with("second", "damaged or was changed")
            unknown = ["ganesha", "krishna", "none", "nobody-known"]
            publish("unknown", lambda folder: write_bundle(folder, labels=unknown, name="unknown"))
            assert answers_with("second", "'nobody-known' has no knowledge entry")
            publish("future", lambda folder: write_bundle(folder, format_version=2))
            assert answers_with("second", "format version 2")
            publish("third")
            assert answers_with("third")
        finally:
            app.kill()
            app.wait()
    told = log.read_text()
    assert told.count("refused") == 3, "each reason once, not at every look"
    assert told.count("now answering") == 2
