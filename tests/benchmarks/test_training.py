"""The clock of `benchmarks.training --race`: all of a side counts, not its last fit alone."""

import time

import fastai.callback.schedule  # noqa: F401  (adds Learner.fine_tune)
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy
from torch import nn

from benchmarks.training import Stopwatch


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
