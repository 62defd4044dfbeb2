"""Every epoch is recorded once, whatever happened in between, and decisions see it again."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException

from training.record import (
    HISTORY_NAME,
    RECORD_NAME,
    add_to_record,
    in_words,
    read_record,
    tempered_loss,
)
from training.settings import FitSettings
from training.train import fit

TINY = FitSettings(
    epochs=3, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25
)
FIGURES = [
    "train_loss", "valid_loss", "accuracy", "top_3_accuracy", "top_5_accuracy", "macro_f1",
    "negative_log_likelihood", "learning_rate_head", "learning_rate_body", "pictures_per_second",
    "seconds", "peak_memory_mib",
]  # fmt: skip


class StopAfter(Callback):
    """Ends a run early, after the epoch's checkpoint, and remembers what it was shown."""

    order = 120

    def __init__(self, epoch: int) -> None:
        self.last, self.shown = epoch, []

    def after_epoch(self) -> None:
        self.shown.append([float(value) for value in self.recorder.values[-1]])
        if self.epoch == self.last:
            raise CancelFitException


@pytest.fixture(scope="module")
def halves(drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory):
    """A run that was stopped after its second epoch and resumed."""
    run = tmp_path_factory.mktemp("record") / "run"
    first, second = StopAfter(1), StopAfter(99)
    for watch in (first, second):
        fitted = fit(
            drawn_dataset, tiny_backbone, run, TINY, cache=run.parent,
            resume=watch is second, callbacks=[watch],
        )  # fmt: skip
    return run, fitted, first.shown, second.shown


def test_both_files_have_every_figure_of_every_epoch_once(halves) -> None:
    run = halves[0]
    rows = list(csv.DictReader((run / HISTORY_NAME).open()))
    epochs = json.loads((run / RECORD_NAME).read_text())["epochs"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [row["epoch"] for row in epochs] == [0, 1, 2]
    for row, known in zip(rows, epochs, strict=True):
        assert list(row) == ["epoch", *FIGURES]
        assert all(np.isfinite(float(row[name])) for name in FIGURES)
        assert {name: float(value) for name, value in row.items()} == known


def test_a_resumed_run_shows_the_figures_of_the_epochs_done_again(halves) -> None:
    _, _, first, second = halves
    assert len(first) == 2
    assert len(second) == 3
    assert second[:2] == first


def test_the_body_learns_more_slowly_than_the_head(halves) -> None:
    for row in read_record(halves[0])["epochs"]:
        share = row["learning_rate_body"] / row["learning_rate_head"]
        assert share == pytest.approx(TINY.body_share)


def test_the_final_figures_are_those_of_the_last_epoch(halves) -> None:
    run, fitted, *_ = halves
    record = read_record(run)
    assert record["final"]["pictures"] == len(fitted.valid)
    for name in ("accuracy", "top_3_accuracy", "valid_loss", "negative_log_likelihood"):
        assert record["final"][name] == pytest.approx(record["epochs"][-1][name], abs=1e-4)


def test_a_new_run_in_the_same_folder_forgets_the_old_one(
    halves, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    add_to_record(tmp_path, epochs=[{"epoch": 7}], bundle={"from": "an older run"})
    settings = TINY.model_copy(update={"epochs": 1})
    fit(drawn_dataset, tiny_backbone, tmp_path, settings, cache=halves[0].parent)
    record = read_record(tmp_path)
    assert [row["epoch"] for row in record["epochs"]] == [0]
    assert "bundle" not in record


def test_sections_are_added_beside_each_other(tmp_path: Path) -> None:
    add_to_record(tmp_path, epochs=[1])
    add_to_record(tmp_path, final={"accuracy": 0.5})
    assert read_record(tmp_path) == {"epochs": [1], "final": {"accuracy": 0.5}}
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_NAME]


def test_the_tempered_loss_does_not_depend_on_the_scale_of_the_logits() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(4, size=200)
    logits = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[targets]
    assert tempered_loss(3 * logits, targets) == pytest.approx(
        tempered_loss(logits, targets), abs=1e-3
    )
    assert tempered_loss(logits, targets) < np.log(4)


def test_a_run_that_moves_to_a_machine_without_a_gpu_keeps_its_table(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    run, first = tmp_path / "run", StopAfter(0)
    fit(drawn_dataset, tiny_backbone, run, TINY, cache=tmp_path, callbacks=[first])
    (epoch,) = read_record(run)["epochs"]
    add_to_record(run, epochs=[epoch | {"peak_gpu_memory_mib": 8000.0}])
    fit(drawn_dataset, tiny_backbone, run, TINY, cache=tmp_path, resume=True)
    rows = list(csv.DictReader((run / HISTORY_NAME).open()))
    assert [row["peak_gpu_memory_mib"] for row in rows] == ["8000.0", "", ""]


def test_rate_and_memory_are_said_in_words() -> None:
    rows = [{"pictures_per_second": rate, "peak_memory_mib": 900.2} for rate in (3.0, 30.04, 31.0)]
    assert in_words(rows) == "30.0 pictures a second, peak memory 900 MiB"
    with_gpu = [row | {"peak_gpu_memory_mib": 512.0} for row in rows]
    assert in_words(with_gpu).endswith("peak memory 900 MiB, of tensors on the GPU 512 MiB")
