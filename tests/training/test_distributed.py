"""Two processes train as one does on the same global batch."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SETTINGS = """
epochs = 8
train_size = 64
valid_size = 64
batch_size = 8
learning_rate = 2e-3
precision = "fp32"
ema_decay = 0.5
valid_share = 0.25
mix_probability = 0.0
dropout = 0.0
drop_path = 0.0
thaw_share = 0.5
prototypes = false
"""


@pytest.fixture(scope="module")
def histories(
    drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, list[dict[str, float]]]:
    """The history of the same training in one and in two processes."""
    folder = tmp_path_factory.mktemp("distributed")
    (folder / "settings.toml").write_text(SETTINGS)
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    histories = {}
    for processes in (1, 2):
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu",
                  "--num_processes", str(processes), "--num_machines", "1",
                  "--mixed_precision", "no",
                  "--dynamo_backend", "no", "--main_process_port", "0"]  # fmt: skip
        fit = ["-m", "training", "fit", "--data", str(drawn_dataset), "--backbone", tiny_backbone,
               "--settings", str(folder / "settings.toml"), "--no-wandb",
               "--out", str(folder / f"bundle-{processes}"),
               "--run", str(folder / f"run-{processes}")]  # fmt: skip
        done = subprocess.run(
            [*launch, *fit], cwd=PROJECT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        with (folder / f"run-{processes}" / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        histories[processes] = [
            {name: float(row[name]) for name in ("epoch", "train_loss", "valid_loss", "accuracy")}
            for row in rows
        ]
        assert (folder / f"bundle-{processes}" / "model.onnx").is_file()
    return histories


def test_every_epoch_is_recorded_once(histories: dict[int, list[dict[str, float]]]) -> None:
    for rows in histories.values():
        assert [row["epoch"] for row in rows] == list(range(8))


def test_the_figures_are_those_of_one_process_within_noise(
    histories: dict[int, list[dict[str, float]]],
) -> None:
    one, two = histories[1][-1], histories[2][-1]
    assert one["valid_loss"] < histories[1][0]["valid_loss"], "learns at all"
    assert two["accuracy"] == pytest.approx(one["accuracy"], abs=0.15)
    assert two["valid_loss"] == pytest.approx(one["valid_loss"], rel=0.2)
