"""What happens around a batch or an epoch of `training.train`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner, Metric
from fastai.metrics import AccumMetric, accuracy, top_k_accuracy
from fastai.torch_core import rank_distrib, set_seed, to_device
from timm.utils import ModelEmaV3
from torchvision.transforms import v2

from training.distributed import bare, is_main, processes
from training.metrics import macro_f1
from training.record import tempered_loss
from training.run_folder import save_checkpoint


class Thaw(Callback):
    """Keep the deepest layers as they are until the last epochs."""

    def __init__(self, epochs: int, share: float) -> None:
        self.first_thawed = epochs - math.ceil(epochs * share)

    def before_epoch(self) -> None:
        self.learn.opt.freeze_to(0 if self.epoch >= self.first_thawed else 1)


class EpochSeed(Callback):
    """Seed every epoch by its number, so that a resumed run draws what an unbroken one would."""

    order = -100

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_epoch(self) -> None:
        set_seed((self.seed * 1000 + self.epoch) * processes() + rank_distrib())


class MixPictures(Callback):
    """MixUp or CutMix on a share of the training batches, by torchvision."""

    def __init__(self, probability: float, alpha: float, label_count: int) -> None:
        self.probability = probability
        self.mix = v2.RandomChoice(
            [
                v2.MixUp(alpha=alpha, num_classes=label_count),
                v2.CutMix(num_classes=label_count),
            ]
        )

    def before_batch(self) -> None:
        if self.training and torch.rand(()) < self.probability:
            photos, targets = self.mix(torch.as_tensor(self.x), torch.as_tensor(self.y))
            self.learn.xb, self.learn.yb = (photos,), (targets,)


class WeightAverage(Callback):
    """Exponential moving average of the weights; validation sees the average."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def before_fit(self) -> None:
        if not hasattr(self.learn, "average"):
            self.learn.average = ModelEmaV3(self.learn.model, decay=self.decay, use_warmup=True)

    def after_batch(self) -> None:
        if self.training:
            step = self.epoch * len(self.dls.train) + self.iter + 1  # also in a resumed run
            self.learn.average.update(bare(self.learn.model), step=step)

    def before_validate(self) -> None:
        self.learn.unaveraged, self.learn.model = self.learn.model, self.learn.average.module

    def after_validate(self) -> None:
        self.learn.model = self.learn.unaveraged


class Checkpoint(Callback):
    """After every epoch, all that is needed to go on, written atomically."""

    order = 100

    def __init__(self, run: Path) -> None:
        self.run_folder = run  # `self.run` is fastai's
        self.trained = False

    def after_train(self) -> None:
        self.trained = True

    def after_epoch(self) -> None:
        if not (self.trained and is_main()):  # not trained: an epoch that a resumed run skips
            return
        optimizer = self.learn.opt.state_dict()
        state = {
            "epoch": self.epoch + 1,
            "model": bare(self.learn.model).state_dict(),
            "average": self.learn.average.module.state_dict(),
            # plain types instead of fastcore's and numpy's: loading needs no pickled code
            "optimizer": {
                "state": list(optimizer["state"]),
                "hypers": [
                    {name: float(value) for name, value in group.items()}
                    for group in optimizer["hypers"]
                ],
            },
        }
        save_checkpoint(self.run_folder, state)


def restore(learner: Learner, state: Mapping[str, Any], decay: float) -> int:
    """Put a checkpoint's state into a learner about to be fitted; returns the next epoch."""
    learner.model.load_state_dict(state["model"])
    learner.model.to(learner.dls.device)  # fastai would move it later, and nothing but it
    learner.average = ModelEmaV3(learner.model, decay=decay, use_warmup=True)
    learner.average.module.load_state_dict(state["average"])
    restore_optimizer(learner, state["optimizer"])
    return state["epoch"]


def restore_optimizer(learner: Learner, state: Mapping[str, Any]) -> None:
    """Give a learner an optimiser with this state, where its network computes."""
    learner.create_opt()
    learner.opt.load_state_dict(to_device(state, learner.dls.device))


def top_3_accuracy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Share of targets among the three largest logits."""
    return top_k_accuracy(logits, targets, k=min(3, logits.shape[-1]))


def top_5_accuracy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Share of targets among the five largest logits."""
    return top_k_accuracy(logits, targets, k=min(5, logits.shape[-1]))


def named_metrics() -> list[Metric]:
    """Validation metrics, each under a name of its own (fastai names a `partial` by its function,
    so that two of them would share a column).

    All are of every picture once: several processes look at some twice, where the pictures are no
    multiple of them, and fastai's mean over batches would count those twice. fastai's `F1Score` is
    not used: it counts every label that is guessed, and a bundle's figure those that are there.
    """
    ranks = [AccumMetric(f, flatten=False) for f in (accuracy, top_3_accuracy, top_5_accuracy)]
    f1 = AccumMetric(macro_f1, flatten=False, to_np=True)
    loss = AccumMetric(tempered_loss, flatten=False, to_np=True, name="negative_log_likelihood")
    return [*ranks, f1, loss]
