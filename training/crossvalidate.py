"""K-fold cross-validation: every picture is judged once, by a model that was not trained on it.

The folds share no source, except in the classes that whole sources cannot split; those are split by
near-duplicate group, as in `training.split`. Pictures held out for a test are in no fold. With
early stopping, the epoch is chosen on a validation part of the fold's training side, never on its
test side.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import EarlyStoppingCallback, TrackerCallback
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from ideitify.dataset import Picture, fingerprint
from ideitify.files import replacing
from ideitify.recognizer import softmax
from training.backbone import find_backbone
from training.data import PictureDataset, choose_pictures, valid_transform
from training.heatmaps import heat_overlays
from training.network import check_sizes
from training.record import write_json
from training.run_folder import SETTINGS_NAME, changed_facts
from training.settings import FitSettings
from training.split import (
    ACCEPTED_SHARE,
    Split,
    near_duplicate_clusters,
    sides_fingerprint,
    split_pictures,
)
from training.train import CACHE_FOLDER, Fitted, console, fit, predict

PLAN_NAME = "plan.json"
PREDICTIONS_NAME = "test_predictions.csv"
LOGITS_NAME = "test_logits.npy"
BEST_NAME = "best.pth"
LOWER_IS_BETTER = ("negative_log_likelihood", "valid_loss")
MONITORS = (*LOWER_IS_BETTER, "accuracy", "top_3_accuracy", "top_5_accuracy", "macro_f1")


class CrossValidationError(ValueError):
    """Folds cannot be made or gone on with; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What is cross-validated, and how.

    Attributes:
        folds: how many.
        patience: epochs without a better `monitor` before a fold stops, keeping the weights of the
            best epoch; None trains all epochs.
        monitor: one of `MONITORS`.
        heatmaps: test pictures of each fold that are drawn with a heat map.
    """

    folds: int = 5
    patience: int | None = None
    monitor: str = "negative_log_likelihood"
    heatmaps: int = 50


@dataclass(frozen=True)
class Folds:
    """Which fold tests which picture.

    Attributes:
        fold_of: int (n,), from 0.
        is_unseen_group: bool (n,), True where no picture of the source is in another fold.
        split_by_near_duplicates: classes that whole sources could not split.
    """

    fold_of: np.ndarray
    is_unseen_group: np.ndarray
    split_by_near_duplicates: list[str]


def assign_folds(pictures: list[Picture], folds: int, seed: int = 0) -> Folds:
    """Whole sources to folds, so that each has about its share of every class and `kind`.

    A class of which one fold would hold much more than its share is split by near-duplicate group.
    The order of the pictures does not matter.

    Raises:
        CrossValidationError: a class is one near-duplicate group, or a fold would be empty.
    """
    order = np.argsort([str(picture.path) for picture in pictures], kind="stable")
    sorted_folds = _assign_in_order([pictures[i] for i in order], folds, seed)
    place = np.argsort(order)
    return replace(
        sorted_folds,
        fold_of=sorted_folds.fold_of[place],
        is_unseen_group=sorted_folds.is_unseen_group[place],
    )


def _assign_in_order(pictures: list[Picture], folds: int, seed: int) -> Folds:
    categories = np.array([picture.category for picture in pictures])
    sources = np.array([picture.group for picture in pictures])
    strata = [f"{picture.category}/{picture.columns.get('kind', '')}" for picture in pictures]
    too_many = CrossValidationError(f"too few pictures for {folds} folds; use fewer --folds")
    if folds > max(Counter(strata).values()):
        raise too_many
    fold_of = np.empty(len(pictures), int)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # they are split below
        for number, (_, test) in enumerate(splitter.split(categories, strata, sources)):
            fold_of[test] = number

    rng, badly_split = np.random.default_rng(seed), []
    most = max(ACCEPTED_SHARE[1], 2 / folds)
    for category in np.unique(categories):
        members = np.flatnonzero(categories == category)
        if np.bincount(fold_of[members]).max() > most * len(members):
            badly_split.append(str(category))
            fold_of[members] = _by_near_duplicates([pictures[i] for i in members], folds, rng)
    if (np.bincount(fold_of, minlength=folds) == 0).any():
        raise too_many
    shared = {s for s in np.unique(sources) if len(np.unique(fold_of[sources == s])) > 1}
    return Folds(fold_of, np.array([s not in shared for s in sources]), badly_split)


def _by_near_duplicates(
    pictures: list[Picture], folds: int, rng: np.random.Generator
) -> np.ndarray:
    clusters = near_duplicate_clusters([p.columns.get("perceptual_hash", "") for p in pictures])
    parts = min(folds, clusters.max() + 1)
    if parts == 1:
        raise CrossValidationError(
            f"the pictures of {pictures[0].category!r} are all near-duplicates, so none can test "
            "what was learned from the others; collect more, or raise --min-images"
        )
    chosen, fold_of = rng.permutation(folds), np.empty(len(pictures), int)
    for number, (_, test) in enumerate(GroupKFold(parts).split(clusters, groups=clusters)):
        fold_of[test] = chosen[number]
    return fold_of


def fold_split(
    pictures: list[Picture], folds: Folds, number: int, inner: FitSettings | None
) -> Split:
    """The split of one fold.

    Args:
        inner: settings that say how to hold out a validation part of the training side; None
            validates on the test side, on which then nothing may be chosen.
    """
    is_test = folds.fold_of == number
    if inner is None:
        return Split(is_test, is_test & folds.is_unseen_group, folds.split_by_near_duplicates)
    rest = np.flatnonzero(~is_test)
    part = split_pictures([pictures[i] for i in rest], inner.valid_share, inner.split_seed)
    is_valid, is_unseen = np.zeros((2, len(pictures)), bool)
    is_valid[rest], is_unseen[rest] = part.is_valid, part.is_unseen_group
    return Split(is_valid, is_unseen, part.split_by_near_duplicates, is_test)


class KeepBest(TrackerCallback):
    """At the end, give back the averaged weights of the best epoch.

    fastai's `SaveModelCallback` keeps the weights being trained; what ships is their average.
    """

    order = TrackerCallback.order + 1

    def __init__(self, path: Path, monitor: str, comp: np.ufunc) -> None:
        super().__init__(monitor, comp)
        self.path = path

    def before_epoch(self) -> None:
        self.trained = False

    def after_train(self) -> None:
        self.trained = True

    def after_epoch(self) -> None:
        super().after_epoch()
        if self.new_best and self.trained:
            with replacing(self.path) as partial:
                torch.save(self.learn.average.module.state_dict(), partial)

    def after_fit(self) -> None:
        super().after_fit()
        weights = torch.load(self.path, map_location="cpu", weights_only=True)
        self.learn.average.module.load_state_dict(weights)


def crossvalidate(
    folder: Path,
    backbone: str,
    out: Path,
    settings: FitSettings,
    plan: Plan,
    *,
    cache: Path = CACHE_FOLDER,
) -> None:
    """Train and test every fold, each in a folder of its own under `out`.

    A fold that is finished is not run again; an interrupted one goes on from its last epoch.
    `training.fold_report` then says what the folds say together.

    Raises:
        CrossValidationError: `out` holds another plan or a damaged one, there are several backbones
            or runs, or see `assign_folds`.
        DatasetError, BackboneError: see `training.train.fit`.
    """
    if plan.monitor not in MONITORS:
        raise CrossValidationError(f"no figure {plan.monitor!r}; choose of {', '.join(MONITORS)}")
    chosen = find_backbone(backbone)
    if chosen.parts or settings.runs > 1:  # nothing could be stopped early, nor have a curve
        raise CrossValidationError("folds are of one backbone and one run: name one, with runs = 1")
    check_sizes(chosen, {settings.train_size, settings.valid_size})
    pictures = choose_pictures(folder, settings.min_images)
    folds = assign_folds(pictures, plan.folds, settings.split_seed)
    _check_plan(out, {
        "fingerprint": fingerprint(pictures), "backbone": chosen.name,
        "settings": settings.model_dump(mode="json"), "folds": plan.folds,
        "sides": sides_fingerprint(pictures, folds.fold_of),
        "patience": plan.patience, "monitor": plan.monitor if plan.patience else None,
        "labels": sorted({picture.category for picture in pictures}),
        "split_by_near_duplicates": folds.split_by_near_duplicates,
    })  # fmt: skip
    for number, path in enumerate(fold_folders(out, plan.folds)):
        if (path / PREDICTIONS_NAME).is_file():
            console.print(f"fold {number + 1} of {plan.folds} is finished")
            continue
        console.rule(f"fold {number + 1} of {plan.folds}")
        split = fold_split(pictures, folds, number, settings if plan.patience else None)
        fitted = fit(
            folder, backbone, path, settings, cache=cache,
            resume=(path / SETTINGS_NAME).is_file(),
            choose_split=lambda _, split=split: split,
            callbacks=_early_stopping(path, plan),
        )  # fmt: skip
        _test(path, fitted, folds, number, plan.heatmaps)


def fold_folders(out: Path, folds: int) -> list[Path]:
    """The folders of the folds, in order."""
    return [out / f"fold-{number + 1}" for number in range(folds)]


def _check_plan(out: Path, facts: dict[str, object]) -> None:
    path = out / PLAN_NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else facts
    except ValueError as error:
        raise CrossValidationError(
            f"{path} is damaged: {error}; copy the folder anew, or choose another --out"
        ) from error
    if changed := changed_facts(known, facts):
        raise CrossValidationError(
            f"{out} was started with other {' and '.join(changed)}; go on with the same, or choose "
            "another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, facts)


def _early_stopping(path: Path, plan: Plan) -> list[Callback]:
    if plan.patience is None:
        return []
    comp = np.less if plan.monitor in LOWER_IS_BETTER else np.greater
    stop = EarlyStoppingCallback(plan.monitor, comp, patience=plan.patience)
    stop.order = 120  # after the checkpoint, so that the last epoch is not trained again
    return [KeepBest(path / BEST_NAME, plan.monitor, comp), stop]


def _test(path: Path, fitted: Fitted, folds: Folds, number: int, heatmaps: int) -> None:
    """Write what the fold's model says of its test pictures; the table last, as it says 'done'."""
    data, settings, backbone = fitted.data, fitted.settings, fitted.backbone
    test = np.flatnonzero(folds.fold_of == number)
    look = valid_transform(settings.valid_size, backbone.mean, backbone.std)
    photos = PictureDataset(data.pixels, test, data.targets, look)
    logits = predict(fitted.network, photos, settings.flip)
    np.save(path / LOGITS_NAME, logits)
    _draw(path / "heatmaps", fitted, test, softmax(logits), heatmaps)

    with (
        replacing(path / PREDICTIONS_NAME) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        places = range(1, min(5, len(data.labels)) + 1)
        writer.writerow([
            "picture", "truth", "truth_probability", "source", "unseen_source",
            *(f"{what}_{place}" for place in places for what in ("prediction", "probability")),
        ])  # fmt: skip
        for index, shares in zip(test, softmax(logits), strict=True):
            picture, best = data.pictures[index], np.argsort(-shares)[: len(places)]
            writer.writerow([
                picture.columns["file_name"], picture.category,
                f"{shares[data.targets[index]]:.6f}", picture.group,
                int(folds.is_unseen_group[index]),
                *(cell for k in best for cell in (data.labels[k], f"{shares[k]:.6f}")),
            ])  # fmt: skip


def _draw(
    folder: Path, fitted: Fitted, test: np.ndarray, probabilities: np.ndarray, most: int
) -> None:
    """Heat maps of test pictures, evenly from the worst answer to the best."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    data = fitted.data
    order = np.argsort(probabilities[np.arange(len(test)), data.targets[test]])
    chosen = order[np.unique(np.linspace(0, len(test) - 1, min(most, len(test))).astype(int))]
    guesses = probabilities[chosen].argmax(axis=1).tolist()
    overlays = heat_overlays(
        fitted.network, data, fitted.backbone, fitted.settings, test[chosen].tolist(), guesses
    )
    for index, guess, overlay in zip(test[chosen], guesses, overlays, strict=True):
        picture = data.pictures[index]
        name = f"{picture.category}--{data.labels[guess]}--{picture.path.stem}.jpg"
        overlay.save(folder / name, quality=85)
