"""Training speed: ours against the seed recipe as written, same pictures, backbone and machine.

    python -m benchmarks.training --data ../shared/deities \
        --backbone ../shared/weights/mobilenet_edgetpu_100.mlperf_in1k

Both sides train in turn for a few batches of all layers, on crops of the seed recipe's size, each
by its own loader, augmentation and optimiser; the medians of their pictures per second and the
ratio are printed, with peak memory.
With `--race`, both train to the end, each on its own crops, and the time until each first reached
the validation accuracy that the slower learner reached at best is printed too (hours on two cores).
That clock starts once for each side, before its data are loaded: our decoding, into an empty cache,
and our fit of the head count, and so does the seed recipe's frozen epoch.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import typer
from fastai.callback.core import Callback, CancelFitException
from rich.console import Console
from rich.table import Table

from benchmarks import run_command
from training.settings import FitSettings
from training.train import CACHE_FOLDER, fit, load_training_data

WARM_UP = 2  # batches until kernels are chosen and caches are warm
SIDES = ("ours", "seed recipe")
CROP = 224  # pixels; what the seed recipe trains on, so that both compute the same


class Stopwatch(Callback):
    """Times training batches from one end to the next, loading included, and the epochs' ends.

    The ends are told from when the watch was made, however often a side fits.
    """

    order = 1000

    def __init__(self, batches: int | None = None) -> None:
        self.batches, self.ends, self.epochs = batches, [], []
        self.started = time.perf_counter()

    def before_epoch(self) -> None:
        self.ends.clear()

    def after_batch(self) -> None:
        if self.training:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())
            if self.batches and len(self.ends) > self.batches + WARM_UP:
                raise CancelFitException

    def after_epoch(self) -> None:
        accuracy = float(self.recorder.values[-1][2])
        self.epochs.append((time.perf_counter() - self.started, accuracy))

    def pictures_per_second(self, batch_size: int) -> float:
        """Median over the batches after the warm-up."""
        ends = self.ends[WARM_UP:]
        return batch_size / statistics.median(b - a for a, b in pairwise(ends))


def ours(data: Path, backbone: str, watch: Stopwatch) -> float:
    """Train as `training fit` does; pictures per second."""
    settings = FitSettings(train_size=CROP, thaw_share=1.0) if watch.batches else FitSettings()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        cache = CACHE_FOLDER if watch.batches else Path(folder) / "cache"
        try:
            fit(data, backbone, run, settings, cache=cache, callbacks=[watch])
        except IndexError:  # a fit that was stopped has no epoch to report
            if not watch.batches:
                raise
    return watch.pictures_per_second(settings.batch_size)


def seed_recipe(data: Path, backbone: str, watch: Stopwatch) -> float:
    """Train as the original did: PIL decodes every epoch, half precision where there is a GPU."""
    from benchmarks.seed_recipe import seed_learner

    learner = seed_learner(load_training_data(data, FitSettings(), CACHE_FOLDER), backbone, seed=0)
    if torch.cuda.is_available():
        learner.to_fp16()
    if watch.batches:
        learner.unfreeze()
        learner.fit_one_cycle(1, 1e-3, cbs=[watch])
    else:
        learner.fine_tune(12, 1.5e-2, cbs=[watch])
    return watch.pictures_per_second(learner.dls.bs)


def seconds_until(epochs: list[tuple[float, float]], accuracy: float) -> float:
    """When a side first reached an accuracy; infinite if it never did."""
    return next((seconds for seconds, reached in epochs if reached >= accuracy), float("inf"))


def peak_memory() -> str:
    """Of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB of the GPU"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"


def measure(side: str, data: Path, backbone: str, batches: int | None) -> tuple[Stopwatch, float]:
    """Train one side in this process; the clock starts here."""
    watch = Stopwatch(batches)
    return watch, {"ours": ours, "seed recipe": seed_recipe}[side](data, backbone, watch)


def in_process(side: str, data: Path, backbone: str, batches: int) -> tuple[float, str]:
    """Rate and peak memory of a side, in a process of its own so that neither helps the other."""
    command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--data", str(data),
               "--backbone", backbone, "--batches", str(batches)]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rate, memory = done.stdout.strip().splitlines()[-1].split("\t")
    return float(rate), memory


def main(
    data: Annotated[Path, typer.Option(help="dataset folder")],
    backbone: Annotated[str, typer.Option(help="as `training fit` takes it")],
    batches: Annotated[int, typer.Option(help="timed batches a round")] = 12,
    rounds: Annotated[int, typer.Option(help="of both sides in turn")] = 3,
    race: Annotated[bool, typer.Option(help="train both to the end as well")] = False,
    side: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Print pictures per second of both sides, and who is first at the same accuracy."""
    if side:
        _, rate = measure(side, data, backbone, batches)
        print(f"\n{rate}\t{peak_memory()}")  # after what progress bars left
        return
    measured: dict[str, list[tuple[float, str]]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in SIDES:
            measured[name].append(in_process(name, data, backbone, batches))
    rates = {name: statistics.median(rate for rate, _ in runs) for name, runs in measured.items()}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else (
        f"{os.cpu_count()} processors, {torch.get_num_threads()} threads"
    )  # fmt: skip
    table = Table("what", *SIDES, "ratio", title=device)
    table.add_row(f"pictures per second, {CROP} px, median",
                  *(f"{rates[name]:.1f}" for name in SIDES),
                  f"{rates['ours'] / rates['seed recipe']:.1f}")  # fmt: skip
    table.add_row("peak memory", *(measured[name][-1][1] for name in SIDES), "")
    if race:
        epochs = {name: measure(name, data, backbone, None)[0].epochs for name in SIDES}
        goal = min(max(reached for _, reached in side) for side in epochs.values())
        seconds = [seconds_until(epochs[name], goal) for name in SIDES]
        table.add_row(f"seconds to {goal:.1%} of the validation pictures",
                      *(f"{s:.0f}" for s in seconds), f"{seconds[1] / seconds[0]:.1f}")  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    run_command(main)
