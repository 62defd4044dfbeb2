"""Two processes train as one does on the same global batch."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROJECT = Path(__file__).parents[2]
SETTINGS = """
epochs = 8
train_size = 64
valid_size = 64
batch_size = 8
learning_rate = 3e-4
precision = "fp32"
ema_decay = 0.5
valid_share = 0.25
mix_probability = 0.0
dropout = 0.0
drop_path = 0.0
thaw_share = 0.5
prototypes = false
"""


# A network without any randomness, trained on all pictures at once: nothing is left to differ.
EXACT = """
import sys, torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.optimizer import SGD
from training.distributed import Distributed, is_main, processes
torch.manual_seed(0)
pairs = [(torch.randn(3), torch.tensor(number % 2)) for number in range(8)]
network = torch.nn.Linear(3, 2)
share, whole = (DataLoader(pairs, bs=size, shuffle=True) for size in (8 // processes(), 8))
learner = Learner(
    DataLoaders(share, whole, device=torch.device("cpu")), network, torch.nn.CrossEntropyLoss(),
    opt_func=SGD, cbs=[Distributed()] if processes() > 1 else [], train_bn=False,
)
learner.fit(5, 0.5)
if is_main():
    losses = [row[1] for row in learner.recorder.values]
    torch.save({"weight": learner.model.weight.data, "losses": losses}, sys.argv[1])
"""


def launch(processes: int, *command: str, cache: Path) -> str:
    """Run a command in so many processes, without a GPU; returns what they say."""
    # alone, `--num_processes 2` would start one: accelerate leaves several on processors to MPI
    kind = "--multi_gpu" if processes > 1 else "--cpu"
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", kind,
         "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no",
         "--dynamo_backend", "no", "--main_process_port", "0", *command],
        cwd=PROJECT, capture_output=True, text=True,
        env=os.environ | {
            "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(cache), "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(PROJECT),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def histories(
    drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, list[dict[str, float]]]:
    """The history of the same training in one and in two processes."""
    folder = tmp_path_factory.mktemp("distributed")
    (folder / "settings.toml").write_text(SETTINGS)
    histories = {}
    for processes in (1, 2):
        run, bundle = folder / f"run-{processes}", folder / f"bundle-{processes}"
        said = launch(
            processes, "-m", "training", "fit", "--data", str(drawn_dataset),
            "--backbone", tiny_backbone, "--settings", str(folder / "settings.toml"),
            "--no-wandb", "--out", str(bundle), "--run", str(run), cache=folder / "cache",
        )  # fmt: skip
        assert said.count("pictures to train on") == 1, said
        assert said.count("in 2 processes") == processes - 1, said
        with (run / "history.csv").open() as file:
            histories[processes] = [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
        assert (bundle / "model.onnx").is_file()
    return histories


def test_two_processes_learn_what_one_learns_from_the_same_global_batch(tmp_path: Path) -> None:
    (tmp_path / "exact.py").write_text(EXACT)
    found = {}
    for processes in (1, 2):
        out = tmp_path / f"{processes}.pth"
        launch(processes, str(tmp_path / "exact.py"), str(out), cache=tmp_path)
        found[processes] = torch.load(out)
    one, two = found[1], found[2]
    assert one["losses"][-1] < 0.9 * one["losses"][0], "learns at all"
    torch.testing.assert_close(two["weight"], one["weight"])
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)


def test_every_epoch_is_recorded_once(histories: dict[int, list[dict[str, float]]]) -> None:
    for rows in histories.values():
        assert [row["epoch"] for row in rows] == list(range(8))


def test_figures_are_of_every_validation_picture_once(
    histories: dict[int, list[dict[str, float]]],
) -> None:
    for rows in histories.values():
        for row in rows:  # there are nine: one process of two looks at one of them again
            assert row["accuracy"] * 9 == pytest.approx(round(row["accuracy"] * 9), abs=1e-5)


def test_the_loss_is_that_of_one_process_within_noise(
    histories: dict[int, list[dict[str, float]]],
) -> None:
    one, two = histories[1][-1], histories[2][-1]
    assert two["valid_loss"] == pytest.approx(one["valid_loss"], rel=0.2)
