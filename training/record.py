"""Every figure of a run, in files that need no service to be read.

`metrics.json` has one row for every epoch and the final figures; `history.csv` has the same rows as
a table. Both are written whole and put in place at once, so a killed run leaves none half written.
"""

from __future__ import annotations

import csv
import io
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastcore.foundation import L

from ideitify.files import write_whole
from ideitify.recognizer import softmax
from training.calibrate import fit_temperature
from training.distributed import is_main, processes
from training.metrics import macro_f1, negative_log_likelihood, top_k_accuracy

if TYPE_CHECKING:
    from training.train import Fitted

RECORD_NAME = "metrics.json"
HISTORY_NAME = "history.csv"
Row = dict[str, float]


class EpochRecord(Callback):
    """Record the figures of every epoch in the run folder.

    In a resumed run, fastai goes through the epochs that are done without training; their figures
    are then given to fastai's recorder again, so that what decides on figures (early stopping,
    pruning) decides as it did.

    Attributes:
        epochs: one row for every epoch so far: fastai's losses and metrics, each under its own
            name; learning rates of the head and of the deepest layers after the epoch's last
            batch; `pictures_per_second` in training; `seconds` with validation; the most memory
            held so far by the process, `peak_memory_mib`, and on a GPU, `peak_gpu_memory_mib`.
        is_diverged: whether a figure was not finite, at which the run was ended.
    """

    order = 55  # after fastai's Recorder, before the callbacks that decide on its figures

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def before_fit(self) -> None:
        self.is_diverged = False
        self.epochs = read_record(self.folder).get("epochs", [])

    def before_epoch(self) -> None:
        self.seen, self.started = 0, time.perf_counter()

    def after_batch(self) -> None:
        if self.training:
            self.seen += len(self.xb[0])

    def after_train(self) -> None:
        self.trained_for = time.perf_counter() - self.started
        self.rates = [group["lr"] for group in self.opt.hypers]

    def after_epoch(self) -> None:
        names = self.recorder.metric_names[1:-1]  # without epoch and time
        if self.seen == 0:
            done = [row for row in self.epochs if row["epoch"] == self.epoch]
            self.recorder.values[-1] = L(row[name] for row in done for name in names)
            return
        row = {
            "epoch": self.epoch,
            **dict(zip(names, map(float, self.recorder.values[-1]), strict=True)),
        }
        row["learning_rate_head"], row["learning_rate_body"] = self.rates[-1], self.rates[0]
        row["pictures_per_second"] = round(self.seen / self.trained_for, 2)
        row["seconds"] = round(time.perf_counter() - self.started, 2)
        row |= peak_memory()
        if not all(map(math.isfinite, row.values())):
            self.is_diverged = True
            raise CancelFitException  # before this epoch replaces a checkpoint that is sound
        row["pictures_per_second"] *= processes()
        self.epochs = [row for row in self.epochs if row["epoch"] < self.epoch] + [row]
        if not is_main():
            return
        add_to_record(self.folder, epochs=self.epochs)
        write_whole(self.folder / HISTORY_NAME, _as_csv(self.epochs))


def read_record(folder: Path) -> dict[str, Any]:
    """What `metrics.json` of a run holds: `epochs`, `final`, `bundle`, `teacher`; else {}."""
    path = folder / RECORD_NAME
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged: {error}; copy the run anew, or train again without --resume"
        ) from error


def add_to_record(folder: Path, **sections: object) -> None:
    """Set sections of `metrics.json`, atomically; the others stay."""
    write_json(folder / RECORD_NAME, read_record(folder) | sections)


def final_figures(fitted: Fitted) -> dict[str, float]:
    """Figures of the finished network on its `pictures` validation pictures.

    `valid_loss` is the loss of training, label smoothing and all; `negative_log_likelihood` is
    with the best temperature, as in every epoch.
    """
    logits, targets = fitted.logits, fitted.data.targets[fitted.valid]
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits),
        torch.from_numpy(targets),
        label_smoothing=fitted.settings.label_smoothing,
    )
    probabilities = softmax(logits)
    return {
        "pictures": len(targets),
        "accuracy": top_k_accuracy(probabilities, targets, 1),
        "top_3_accuracy": top_k_accuracy(probabilities, targets, 3),
        "top_5_accuracy": top_k_accuracy(probabilities, targets, 5),
        "macro_f1": macro_f1(probabilities, targets),
        "valid_loss": float(loss),
        "negative_log_likelihood": tempered_loss(logits, targets),
    }


def tempered_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log-likelihood after temperature scaling, in nats.

    It judges rank and relative confidence, whatever label smoothing and mixed pictures did to the
    scale of the logits. The temperature is fitted on the same pictures: one number.
    """
    return negative_log_likelihood(softmax(logits / fit_temperature(logits, targets)), targets)


def peak_memory() -> Row:
    """Most memory held so far, in MiB: by the process, and by tensors on the GPU where one is."""
    unit = 1 if sys.platform == "darwin" else 2**10
    figures = {"peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        figures["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated()
    return {name: round(size / 2**20, 1) for name, size in figures.items()}


def in_words(epochs: Sequence[Row]) -> str:
    """How fast a training was (its median epoch) and the memory it took, of its rows."""
    rate = statistics.median(row["pictures_per_second"] for row in epochs)
    most = epochs[-1]
    text = f"{rate:.1f} pictures a second, peak memory {most['peak_memory_mib']:.0f} MiB"
    on_gpu = most.get("peak_gpu_memory_mib")
    return text if on_gpu is None else f"{text}, of tensors on the GPU {on_gpu:.0f} MiB"


def write_json(path: Path, content: object) -> None:
    """Write JSON beside `path` and put it there whole."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def _as_csv(rows: Sequence[Mapping[str, float]]) -> str:
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)  # another machine has other ones
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
