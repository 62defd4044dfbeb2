"""Recognising a photo: ours against fastai's `load_learner(...).predict` with the same network.

    weights=../shared/weights
    python -m benchmarks.recognition --data ../shared/deities --backbone \
        $weights/mobilenet_edgetpu_100.mlperf_in1k+$weights/mobilenetv2_100.onnxzoo_webnn_nohead

The same layers, labels and side in pixels on both sides; theirs have random weights, which take the
same time, and a fastai user's layers, one after the other as timm makes them.

Both sides run in turn, in the same run, on the same photos; printed are the medians of each and the
median of the ratios of neighbouring turns, which other work on the machine moves least. The heat
map, which `predict` has not, is timed alone.
With `--data`, its pictures, enlarged to 12 megapixels, show how often reading a JPEG at reduced
scale changes the first guess.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import run_command
from ideitify.heatmap import heat_map, heat_overlay
from ideitify.recognizer import Recognizer, fit_square

PROJECT = Path(__file__).resolve().parent.parent
BUNDLE = PROJECT / "models" / "default"
SCREEN_MEGAPIXELS = 1280 * 960 / 1e6  # as large as a heat map is ever drawn
FOLDER_PARTS = 10  # both sides in turn over each part, so that a busy minute hits both
FASTAI_SCRIPT = """
import sys
from fastai.learner import load_learner
learner = load_learner(sys.argv[1])
with learner.no_bar(), learner.no_logging():
    label, _, probabilities = learner.predict(sys.argv[2])
print(label, probabilities.topk(5))
"""

LAUNCHER = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


Call = Callable[[], Any]


def photo(megapixels: float, seed: int) -> Image.Image:
    """A 4:3 picture with the fine grain of a camera, so that its JPEG is as large as a photo's."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(
        np.clip(pixels + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)
    )


def save_photos(folder: Path, megapixels: float, count: int) -> list[Path]:
    """Write JPEGs as a phone does (quality 90)."""
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for seed, path in enumerate(paths):
        photo(megapixels, seed).save(path, quality=90)
    return paths


def save_learner(folder: Path, backbone_name: str, labels: list[str], side: int) -> Path:
    """Export a fastai learner of the same network and labels, with the original's transforms."""
    import pandas as pd
    from fastai.losses import CrossEntropyLossFlat
    from fastai.vision.all import (
        ImageDataLoaders,
        Learner,
        Normalize,
        Resize,
        aug_transforms,
    )

    from training.backbone import find_backbone
    from training.network import Network

    backbone = find_backbone(backbone_name)
    picture = folder / "picture.png"
    Image.new("RGB", (64, 64)).save(picture)
    frame = pd.DataFrame({"name": [str(picture)] * 2 * len(labels), "label": labels * 2})
    loaders = ImageDataLoaders.from_df(
        frame, path="/", bs=4, num_workers=0,
        item_tfms=Resize(side * 8 // 7, method="squish"),  # 256 for 224
        batch_tfms=[
            *aug_transforms(size=side, min_scale=0.75),
            Normalize.from_stats(backbone.mean, backbone.std),
        ],
    )  # fmt: skip
    network = Network(backbone, len(labels), dropout=0, pretrained=False)
    learner = Learner(loaders, network, loss_func=CrossEntropyLossFlat(), path=folder)
    learner.export("model.pkl")
    return folder / "model.pkl"


def in_turn(turns: Iterable[tuple[Call, Call]]) -> tuple[float, float, float]:
    """Median seconds of ours and theirs, and median ratio, after a first turn to warm up."""
    seconds = np.array([(_seconds(ours), _seconds(theirs)) for ours, theirs in turns][1:])
    ours, theirs = np.median(seconds, axis=0).tolist()
    return ours, theirs, float(np.median(seconds[:, 1] / seconds[:, 0]))


def drawing(recognizer: Recognizer, megapixels: float, rounds: int) -> float:
    """Median seconds from an answer to its heat map over the photo, after a first to warm up."""
    image = photo(megapixels, seed=0)
    answer, resize = recognizer.recognize(image), recognizer.manifest.input.resize
    seconds = [
        _seconds(lambda: heat_overlay(image, heat_map(answer), resize)) for _ in range(rounds + 1)
    ]
    return float(np.median(seconds[1:]))


def _seconds(call: Call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def process(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a whole process."""
    # started by a small process: a child's peak includes its parent's size from before the exec
    launch = [sys.executable, "-c", LAUNCHER, *command]
    done = subprocess.run(launch, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    seconds, kilobytes = done.stdout.split()
    return float(seconds), float(kilobytes) / 1024


def processes(ours: list[str], theirs: list[str], rounds: int) -> tuple[tuple[float, float], ...]:
    """Median seconds and median peak memory of both commands, run in turn after a warm-up."""
    runs = np.array([(process(ours), process(theirs)) for _ in range(rounds + 1)][1:])
    (ours_seconds, ours_memory), (seconds, memory) = np.median(runs, axis=0).tolist()
    return (ours_seconds, seconds), (ours_memory, memory)


def agreement(recognizer: Recognizer, data: Path, count: int) -> tuple[int, int]:
    """How many pictures, as 12-megapixel JPEGs, get the same first guess when decoded in full."""
    from training.data import choose_pictures

    pictures = choose_pictures(data)
    chosen = np.random.default_rng(0).choice(
        len(pictures), min(count, len(pictures)), replace=False
    )
    same = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.jpg")
        for index in track(chosen, "comparing with a full decode"):
            with Image.open(pictures[index].path) as image:
                small = image.convert("RGB")
            scale = (12e6 / (small.width * small.height)) ** 0.5
            size = (round(small.width * scale), round(small.height * scale))
            small.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
            with Image.open(path) as image:
                full = image.convert("RGB")
            side = recognizer.manifest.input.size
            whole = recognizer.recognize(fit_square(full, side, recognizer.manifest.input.resize))
            same += _guess(recognizer.recognize(path)) == _guess(whole)
    return same, len(chosen)


def _guess(answer: Any) -> str:
    best = answer.candidates[0]
    return "none" if answer.none_probability > best.probability else best.deity


def main(
    backbone: Annotated[str, typer.Option(help="the bundle's, as `training fit` takes it")],
    data: Annotated[Path | None, typer.Option(help="dataset folder for the agreement")] = None,
    rounds: Annotated[int, typer.Option(help="counted runs of each")] = 7,
    folder_photos: Annotated[int, typer.Option(help="photos in the folder")] = 500,
    compared: Annotated[int, typer.Option(help="pictures compared with a full decode")] = 400,
) -> None:
    """Print a table of medians and ratios."""
    recognizer = Recognizer.load(BUNDLE)
    table = Table("what", "ours", "fastai", "ratio", "aim", title=f"{os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = recognizer.manifest
        pickle = save_learner(folder, backbone, manifest.labels, manifest.input.size)
        from fastai.learner import load_learner

        learner = load_learner(pickle)
        learner.remove_cbs(learner.progress) if hasattr(learner, "progress") else None

        for megapixels, aim in ((12, "≥ 8"), (1, "≥ 5")):
            content = save_photos(folder / f"{megapixels}mp", megapixels, 1)[0].read_bytes()
            turn = partial(recognizer.recognize, content), partial(learner.predict, content)
            ours, theirs, ratio = in_turn([turn] * (rounds + 1))
            table.add_row(f"{megapixels}-megapixel JPEG, bytes to answer", f"{ours * 1e3:.1f} ms",
                          f"{theirs * 1e3:.1f} ms", f"{ratio:.1f}", aim)  # fmt: skip
        seconds = drawing(recognizer, SCREEN_MEGAPIXELS, rounds)
        table.add_row("heat map over a phone's screen", f"{seconds * 1e3:.1f} ms", "", "",
                      "≤ 30 ms")  # fmt: skip
        one = str(folder / "1mp" / "0.jpg")
        (seconds, other_seconds), (memory, other_memory) = processes(
            [sys.executable, "-m", "ideitify", "identify", one, "--json"],
            [sys.executable, "-c", FASTAI_SCRIPT, str(pickle), one], max(3, rounds // 2),
        )  # fmt: skip
        table.add_row("process start to first answer", f"{seconds:.2f} s", f"{other_seconds:.2f} s",
                      f"{other_seconds / seconds:.1f}", "≥ 6")  # fmt: skip
        table.add_row("peak memory of that process", f"{memory:.0f} MiB", f"{other_memory:.0f} MiB",
                      f"1/{other_memory / memory:.1f}", "≤ 1/3")  # fmt: skip
        paths = save_photos(folder / "many", 1, folder_photos)
        parts = np.array_split(np.array(paths), FOLDER_PARTS)
        turns = [
            (lambda p=part: list(recognizer.recognize_many(p)),
             lambda p=part: [learner.predict(path.read_bytes()) for path in p])
            for part in parts
        ]  # fmt: skip
        ours, theirs, ratio = in_turn(track([turns[0], *turns], "folder"))
        table.add_row(f"folder of {len(paths)} photos of 1 megapixel",
                      f"{ours * FOLDER_PARTS:.1f} s", f"{theirs * FOLDER_PARTS:.1f} s",
                      f"{ratio:.1f}", "≥ 10")  # fmt: skip
    if data:
        same, count = agreement(recognizer, data, compared)
        share = f"{same / count:.2%}"
        table.add_row("same first guess as a full decode", f"{same}/{count}", "", share, "≥ 99.5 %")
    Console(width=110).print(table)


if __name__ == "__main__":
    run_command(main)
