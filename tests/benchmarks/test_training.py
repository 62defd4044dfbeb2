"""The clock of `benchmarks.training --race`: all of a side counts, not its last fit alone."""

import time
from pathlib import Path

import fastai.callback.schedule  # noqa: F401  (adds Learner.fine_tune)
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy
from torch import nn

import benchmarks.training
from benchmarks.training import Stopwatch
from training.settings import FitSettings


def test_the_clock_starts_before_the_data_and_runs_on_through_every_fit() -> None:
    watch = Stopwatch()
    before_the_data = time.perf_counter()
    pairs = [(torch.eye(2)[label], label) for label in (0, 1, 0, 1)]
    loaders = DataLoaders(DataLoader(pairs, bs=2), DataLoader(pairs, bs=2), device="cpu")
    learner = Learner(loaders, nn.Linear(2, 2), nn.CrossEntropyLoss(), metrics=accuracy)
    learner.fine_tune(2, freeze_epochs=1, cbs=[watch])
    seconds = [passed for passed, _ in watch.epochs]
    assert len(seconds) == 3, "the frozen epoch counts"
    assert seconds == sorted(seconds)
    assert watch.started <= before_the_data


def test_our_side_is_timed_for_a_few_batches_of_its_first_epoch(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = FitSettings(train_size=64, valid_size=64, batch_size=4, valid_share=0.25)
    asked: dict[str, float] = {}
    monkeypatch.setattr(
        benchmarks.training, "FitSettings", lambda **changes: asked.update(changes) or small
    )
    monkeypatch.setattr(benchmarks.training, "CACHE_FOLDER", tmp_path)
    watch = Stopwatch(batches=2)
    assert benchmarks.training.ours(drawn_dataset, tiny_backbone, watch) > 0
    assert len(watch.ends) == 5, "two to warm up, and three ends of two batches"
    assert asked["train_size"] == 224, "the seed recipe's crops"
