"""The seed recipe against ours: same pictures, split, backbone and machine.

    python -m benchmarks.seed_recipe --data ../shared/deities \
        --backbone ../shared/weights/mobilenet_edgetpu_100.mlperf_in1k --seeds 0

Trains a logistic-regression probe on frozen embeddings, the seed recipe and ours, and prints all of
them with the ratio of errors. With `--bundle models/default` what ships is judged instead of a
training of ours, on files opened as the app opens them. A finished training is kept in `--out` and
not run again, so an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from fastai.callback.mixup import MixUp
from fastai.vision.all import (
    ImageDataLoaders,
    LabelSmoothingCrossEntropy,
    Learner,
    Resize,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from benchmarks import run_command
from ideitify.bundle import read_manifest
from ideitify.dataset import NONE_CATEGORY, DatasetError, fingerprint
from ideitify.recognizer import softmax
from training.backbone import find_backbone
from training.data import PictureDataset, valid_transform
from training.distill import Teacher
from training.finished import load_teacher
from training.metrics import bootstrap, none_auroc, top_k_accuracy, top_k_hits
from training.network import Network
from training.predictions import predict_pictures
from training.settings import FitSettings
from training.sides import choose_side
from training.train import CACHE_FOLDER, TrainingData, body_features, fit, load_training_data

Probabilities = dict[str, np.ndarray]  # name of the way -> (valid, labels)


def train_probe(data: TrainingData, backbone_name: str) -> Probabilities:
    """Logistic regression on the frozen backbone's embeddings at 224 pixels."""
    backbone = find_backbone(backbone_name)
    network = Network(backbone, len(data.labels), dropout=0)
    look = valid_transform(224, backbone.mean, backbone.std)
    train, valid = np.flatnonzero(~data.split.is_valid), np.flatnonzero(data.split.is_valid)
    features = [
        body_features(network, PictureDataset(data.pixels, side, data.targets, look))
        for side in (train, valid)
    ]
    probe = LogisticRegression(C=0.1, max_iter=300)
    probe.fit(features[0] / features[0].std(), data.targets[train])
    return {"probe": probe.predict_proba(features[1] / features[0].std())}


def seed_learner(data: TrainingData, backbone_name: str, seed: int) -> Learner:
    """The learner of the original's notebook."""
    backbone = find_backbone(backbone_name)
    set_seed(seed, reproducible=True)
    frame = pd.DataFrame(
        {
            "name": [str(picture.path.resolve()) for picture in data.pictures],
            "label": [picture.category for picture in data.pictures],
            "is_valid": data.split.is_valid,
        }
    )
    loaders = ImageDataLoaders.from_df(
        frame, path="/", valid_col="is_valid", seed=seed, bs=64, num_workers=1,
        item_tfms=Resize(256, method="squish"), batch_tfms=aug_transforms(size=224, min_scale=0.75),
    )  # fmt: skip
    assert list(loaders.vocab) == data.labels
    return vision_learner(
        loaders, backbone.architecture, loss_func=LabelSmoothingCrossEntropy(), metrics=accuracy,
        cbs=[MixUp(1.0)], **backbone.keywords,
    )  # fmt: skip


def train_seed_recipe(data: TrainingData, backbone_name: str, seed: int) -> Probabilities:
    """As the original trained it, with and without test-time augmentation."""
    learner = seed_learner(data, backbone_name, seed)
    learner.fine_tune(12, 1.5e-2)
    plain, augmented = learner.get_preds()[0], learner.tta()[0]
    return {"seed recipe": plain.numpy(), "seed recipe, augmented": augmented.numpy()}


def train_ours(
    folder: Path, backbone_name: str, run: Path, settings: FitSettings, teacher: Teacher | None
) -> Probabilities:
    """`training fit` with the settings of the project, resumed where it was interrupted.

    A run of other settings or of another teacher is refused by `fit`; remove its folder then.
    """
    fitted = fit(folder, backbone_name, run, settings, resume=True, teacher=teacher)
    return {"ours": softmax(fitted.logits)}


def ask_bundle(bundle: Path, folder: Path, data: TrainingData) -> np.ndarray:
    """What a bundle answers to the validation pictures, (valid, labels), the data's labels first.

    Raises:
        BundleError: see `Recognizer`.
        DatasetError: the bundle was made with another split, so some of them are not new to it.
    """
    manifest = read_manifest(bundle)
    pictures = [data.pictures[i] for i in np.flatnonzero(data.split.is_valid)]
    unseen = {picture.path for picture in choose_side(folder, manifest, "valid").pictures}
    if unseen != {picture.path for picture in pictures}:
        raise DatasetError(f"{bundle} was made with another split; leave out --bundle")
    probabilities = predict_pictures(bundle, pictures).probabilities
    others = [label for label in manifest.labels if label not in set(data.labels)]
    order = [manifest.labels.index(label) for label in [*data.labels, *others]]
    return probabilities[:, order]


def kept(path: Path, train: Callable[[], Probabilities]) -> Probabilities:
    """The result of a training, run unless `path` has it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **train())  # type: ignore[arg-type]
        partial.rename(path)
    with np.load(path) as saved:
        return dict(saved)


def figures(probabilities: np.ndarray, data: TrainingData) -> dict[str, float]:
    """What is compared, on the validation pictures."""
    valid = np.flatnonzero(data.split.is_valid)
    targets, none = data.targets[valid], data.labels.index(NONE_CATEGORY)
    unseen = data.split.is_unseen_group[valid]
    result = {}
    for name, chosen in (("all", np.ones(len(valid), bool)), ("unseen sources", unseen)):
        for k in (1, 3, 5):
            result[f"{name}: top-{k}"] = top_k_accuracy(probabilities[chosen], targets[chosen], k)
        is_none = targets[chosen] == none
        result[f"{name}: none AUROC"] = none_auroc(probabilities[chosen, none], is_none)
    deities = targets != none
    for k in (1, 3, 5):
        result[f"deities: top-{k}"] = top_k_accuracy(probabilities[deities], targets[deities], k)
    return result


def print_table(results: dict[str, list[np.ndarray]], data: TrainingData) -> None:
    """Mean and, over several seeds, standard deviation of every figure for every way."""
    valid = np.flatnonzero(data.split.is_valid)
    groups = [data.pictures[i].group for i in valid]
    table = Table("figure", *results, title=f"{len(valid)} validation pictures")
    measured = {way: [figures(p, data) for p in seeds] for way, seeds in results.items()}
    for figure in measured["probe"][0]:
        cells = []
        for seeds in measured.values():
            values = [100 * seed[figure] for seed in seeds]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}")
        table.add_row(figure, *cells)
    console = Console(width=120)
    console.print(table)
    hits = {
        (way, k): np.mean([top_k_hits(p, data.targets[valid], k) for p in seeds], axis=0)
        for way, seeds in results.items()
        for k in (1, 5)
    }  # (valid,), the share of seeds that are right on each picture
    for k, aim in ((1, 25), (5, 30)):
        ours = hits["ours", k]
        name = max(("seed recipe", "seed recipe, augmented"), key=lambda way: hits[way, k].mean())
        fewer = bootstrap(_fewer_errors(ours, hits[name, k]), groups)
        console.print(
            f"top-{k} errors: ours {1 - ours.mean():.3f}, {name} {1 - hits[name, k].mean():.3f}: "
            f"{fewer.value:.0%} fewer (95 % interval over sources {fewer.low:.0%} to "
            f"{fewer.high:.0%}; aim: {aim} %)"
        )


def _fewer_errors(ours: np.ndarray, theirs: np.ndarray) -> Callable[[np.ndarray], float]:
    """The share of their errors that ours does not make, on chosen pictures; hits in 0..1."""
    return lambda chosen: float(1 - (1 - ours[chosen]).sum() / (1 - theirs[chosen]).sum())


def main(
    data: Annotated[Path, typer.Option(help="dataset folder")],
    backbone: Annotated[str, typer.Option(help="as `training fit` takes it")],
    seeds: Annotated[list[int], typer.Option(help="give several times for a spread")] = [0],  # noqa: B006
    runs: Annotated[int, typer.Option(help="of ours, whose weights are averaged; see fit")] = 1,
    bundle: Annotated[Path | None, typer.Option(help="finished one, judged as ours")] = None,
    out: Annotated[Path, typer.Option(help="finished trainings")] = Path("runs/seed_recipe"),
    teacher: Annotated[Path | None, typer.Option(help="run that ours learns from; see fit")] = None,
    teacher_backbone: Annotated[str | None, typer.Option(help="as given to that run")] = None,
) -> None:
    """Train every way with every seed and print them side by side."""
    loaded = load_training_data(data, FitSettings(), CACHE_FOLDER)
    asked = [ask_bundle(bundle, data, loaded)] if bundle else []
    learned = load_teacher(teacher, teacher_backbone) if teacher else None
    # what other pictures or another backbone gave is not mixed in
    out = out / f"{find_backbone(backbone).name}-{fingerprint(loaded.real)[:12]}"
    results: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        ways = kept(out / "probe.npz", lambda: train_probe(loaded, backbone))
        ways |= kept(out / f"seed_recipe_{seed}.npz",
                     lambda s=seed: train_seed_recipe(loaded, backbone, s))  # fmt: skip
        if not bundle:
            ours = FitSettings(seed=seed, runs=runs)
            ways |= train_ours(data, backbone, out / f"ours_{seed}_{runs}", ours, learned)
        for way, probabilities in ways.items():
            results.setdefault(way, []).append(probabilities)
    if asked:
        results["ours"] = asked
    print_table(results, loaded)


if __name__ == "__main__":
    run_command(main)
