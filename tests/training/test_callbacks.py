"""The figures that fastai shows for an epoch, each by the definition that a bundle has, too."""

import numpy as np
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from torch import nn

from training.callbacks import named_metrics
from training.metrics import macro_f1

LOGITS = 5 * torch.eye(3)[[0, 0, 1, 2]]  # guesses
TARGETS = [0, 0, 1, 1]  # nothing is of the third label, which is guessed once


def test_macro_f1_of_an_epoch_is_the_mean_over_the_labels_that_are_there() -> None:
    pairs = list(zip(LOGITS, TARGETS, strict=True))
    loaders = DataLoaders(DataLoader(pairs, bs=4), DataLoader(pairs, bs=3), device="cpu")
    same = nn.Linear(3, 3, bias=False)
    nn.init.eye_(same.weight)
    learner = Learner(loaders, same, nn.CrossEntropyLoss(), metrics=named_metrics())
    shown = dict(zip(learner.recorder.metrics.attrgot("name"), learner.validate()[1:], strict=True))
    assert shown["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert shown["macro_f1"] == macro_f1(LOGITS.numpy(), np.array(TARGETS))
