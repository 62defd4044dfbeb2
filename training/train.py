"""Fine-tuning, from top to bottom: pictures, head on cached features, all layers, validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastai.callback.schedule  # noqa: F401  (adds Learner.fit_one_cycle)
import numpy as np
import torch
from fastai.callback.channelslast import ChannelsLast
from fastai.callback.core import Callback
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.torch_core import default_device, set_seed
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from torch import nn

from ideitify.dataset import DatasetError, Picture, read_dataset
from training.allocator import keep_freed_memory
from training.backbone import Backbone, find_backbone
from training.callbacks import (
    Checkpoint,
    EpochSeed,
    MixPictures,
    Thaw,
    WeightAverage,
    named_metrics,
    restore,
)
from training.data import (
    PictureDataset,
    batch_augmentation,
    choose_pictures,
    decoded_pictures,
    sampling_weights,
    valid_transform,
)
from training.distill import LearnFromTeacher, Teacher
from training.distributed import Distributed, is_main, main_first, processes
from training.folding import fold_norms
from training.network import Network, check_sizes, joined_weights, mean_weights
from training.precision import Autocast, layer_precision
from training.record import EpochRecord, add_to_record, final_figures, in_words
from training.run_folder import (
    CHECKPOINT_NAME,
    DivergedError,
    checkpoint_of,
    prepare_run,
    run_facts,
    save_checkpoint,
)
from training.settings import FitSettings
from training.split import Split, split_pictures
from training.synthetic import add_variants

CACHE_FOLDER = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "ideitify"
SplitChooser = Callable[[list[Picture]], Split]
DIVERGED = (
    "the training has diverged, its figures are no longer finite: lower learning_rate in a file "
    "for --settings, and start afresh"
)
console = Console(stderr=True, quiet=not is_main())  # of several processes one speaks


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on.

    Attributes:
        pictures: (n,) rows of the dataset folder, then machine-made variants, where asked for.
        labels: knowledge slugs, sorted; the order of the logits.
        targets: int (n,), index into `labels`.
        split: which pictures validate.
        pixels: uint8 (n, s, s, 3), memory-mapped.
    """

    pictures: list[Picture]
    labels: list[str]
    targets: np.ndarray
    split: Split
    pixels: np.ndarray

    @property
    def real(self) -> list[Picture]:
        """The pictures of the dataset folder: what is counted, credited and fingerprinted."""
        return [picture for picture in self.pictures if not picture.is_synthetic]


@dataclass(frozen=True)
class Fitted:
    """A trained network and what it says of the validation pictures.

    Attributes:
        logits: float32 (v, labels), averaged over views as the settings ask.
        valid: int (v,), indices into `data.pictures`.
        epochs: how many the weights were trained for, fewer than asked for in a run broken off.
        teacher: what names the network whose answers were learned as well, see `Teacher.credit`.
    """

    network: Network
    data: TrainingData
    backbone: Backbone
    settings: FitSettings
    logits: np.ndarray
    valid: np.ndarray
    epochs: int
    teacher: dict[str, str] | None = None


def load_training_data(
    folder: Path,
    settings: FitSettings,
    cache: Path,
    choose_split: SplitChooser | None = None,
    synthetic: Path | None = None,
) -> TrainingData:
    """Choose, split and decode the pictures of a dataset folder.

    Args:
        synthetic: a folder of machine-made variants to train on as well, see `add_variants`.

    Raises:
        DatasetError: see `choose_pictures` and `decoded_pictures`; or a category has no picture to
            train on.
    """
    pictures = choose_pictures(folder, settings.min_images)
    if choose_split is None:
        split = split_pictures(pictures, settings.valid_share, settings.split_seed)
    else:
        split = choose_split(pictures)
    if synthetic is not None:
        pictures, split = add_variants(pictures, split, synthetic)
    labels, targets = np.unique([picture.category for picture in pictures], return_inverse=True)
    taught = np.bincount(targets[split.is_train], minlength=len(labels))
    if not taught.all():
        raise DatasetError(
            f"{folder}: no picture of {str(labels[taught == 0][0])!r} is left to train on beside "
            "those that validate; collect more of it"
        )
    pixels = decoded_pictures(pictures, settings.resize, cache)
    return TrainingData(pictures, labels.tolist(), targets, split, pixels)


def fit(
    folder: Path,
    backbone_name: str,
    run: Path,
    settings: FitSettings,
    *,
    cache: Path = CACHE_FOLDER,
    resume: bool = False,
    choose_split: SplitChooser | None = None,
    synthetic: Path | None = None,
    teacher: Teacher | None = None,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Fine-tune a backbone on a dataset folder, or several, each on its own, then joined.

    After every epoch `run` holds a checkpoint, from which `resume` goes on; it also holds
    `settings.json`, `history.csv` and `metrics.json`. Of several backbones, and of several runs,
    each has such a folder in it.

    Args:
        choose_split: another split of the chosen pictures than `split_pictures` (a fold).
        synthetic: a folder of machine-made variants to train on as well; none validates.
        teacher: a finished run whose answers are learned, see `training.finished.load_teacher`.
        callbacks: what else happens around an epoch (tracking, early stopping, pruning), in every
            one of several trainings.

    Raises:
        DatasetError, BackboneError: see `choose_pictures`, `find_backbone` and `check_sizes`.
        RunError: `resume` of a run of other settings, pictures or backbone, or of a damaged one.
        DivergedError: the figures are no longer finite.
        TeacherError: a teacher that may know the pictures that validate here.
    """
    keep_freed_memory()
    backbone = find_backbone(backbone_name)
    check_sizes(backbone, {settings.train_size, settings.valid_size})
    with main_first():
        data = load_training_data(folder, settings, cache, choose_split, synthetic)
    if held_out := sum(picture.is_held_out for picture in read_dataset(folder)):
        console.print(f"{held_out} pictures with split 'test' are kept out, for a test")
    is_own_split = choose_split is not None
    return _fit(data, backbone, run, settings, resume, is_own_split, teacher, callbacks)


def _fit(
    data: TrainingData,
    backbone: Backbone,
    run: Path,
    settings: FitSettings,
    resume: bool,
    is_own_split: bool,
    teacher: Teacher | None,
    callbacks: Sequence[Callback],
) -> Fitted:
    """One network in its run folder, or several in folders in it and what they make together."""
    facts = run_facts(
        backbone, data, settings,
        is_own_split=is_own_split, teacher=teacher and teacher.source,
    )  # fmt: skip
    if teacher:
        teacher.check(facts)
    with main_first():
        prepare_run(run, facts, resume or not is_main())
        if teacher and is_main():
            add_to_record(run, teacher=teacher.credit)
    common = (resume, is_own_split, teacher, callbacks)
    if backbone.parts:
        parts = [_fit(data, part, run / part.name, settings, *common) for part in backbone.parts]
        return _combine(parts, joined_weights, backbone, settings, run)
    if settings.runs > 1:
        repeats = [
            _fit(data, backbone, run / f"seed-{each.seed}", each, *common)
            for each in settings.each_run()
        ]
        return _combine(repeats, mean_weights, backbone, settings, run)
    fitted = _train(data, backbone, run, settings, resume, teacher, callbacks)
    if is_main():
        add_to_record(run, final=final_figures(fitted))
    return fitted


def _train(
    data: TrainingData,
    backbone: Backbone,
    run: Path,
    settings: FitSettings,
    resume: bool,
    teacher: Teacher | None,
    callbacks: Sequence[Callback],
) -> Fitted:
    """One network, one seed: the head on frozen features, then all layers."""
    train, valid = np.flatnonzero(data.split.is_train), np.flatnonzero(data.split.is_valid)
    console.print(
        f"{len(train)} pictures to train on, {len(valid)} to validate, {len(data.labels)} labels, "
        f"in {layer_precision(settings.precision, default_device())}"
        + (f", in {processes()} processes" if processes() > 1 else "")
    )
    set_seed(settings.seed, reproducible=True)
    network = Network(backbone, len(data.labels), settings.dropout, settings.drop_path)
    fold_norms(network)
    learner = _learner(network, data, train, valid, backbone, run, settings)
    if resume and (run / CHECKPOINT_NAME).is_file():
        with checkpoint_of(run, backbone) as state:
            start_epoch = restore(learner, state, settings.ema_decay)
    else:
        start_epoch = 0
        look = valid_transform(settings.valid_size, backbone.mean, backbone.std)
        fit_head(network, PictureDataset(data.pixels, train, data.targets, look))
    rates = slice(settings.learning_rate * settings.body_share, settings.learning_rate)
    learner.fit_one_cycle(
        settings.epochs,
        rates,
        wd=settings.weight_decay,
        pct_start=0.2,
        start_epoch=start_epoch,
        cbs=[
            *callbacks,
            *([Distributed()] if processes() > 1 else []),
            *([LearnFromTeacher(teacher, backbone, settings.teacher_share)] if teacher else []),
        ],
    )
    if learner.epoch_record.is_diverged:
        raise DivergedError(DIVERGED)
    if learner.epoch_record.epochs:  # a callback may have ended the first one
        console.print(in_words(learner.epoch_record.epochs))
    weights = learner.average.module.state_dict()
    credit = teacher.credit if teacher else None
    return validate(weights, data, backbone, settings, learner.epoch + 1, credit)


def _combine(
    parts: Sequence[Fitted],
    weights_of: Callable[[Sequence[Network]], dict[str, torch.Tensor]],
    backbone: Backbone,
    settings: FitSettings,
    run: Path,
) -> Fitted:
    """One network of several trained ones."""
    weights = weights_of([part.network for part in parts])
    epochs = max(part.epochs for part in parts)
    fitted = validate(weights, parts[0].data, backbone, settings, epochs, parts[0].teacher)
    if is_main():
        save_checkpoint(run, {"epoch": epochs, "average": weights})
        add_to_record(run, final=final_figures(fitted))
    return fitted


def validate(
    weights: Mapping[str, torch.Tensor],
    data: TrainingData,
    backbone: Backbone,
    settings: FitSettings,
    epochs: int,
    teacher: dict[str, str] | None = None,
) -> Fitted:
    """Put trained weights into a plain network and let it look at the validation pictures.

    Raises:
        RuntimeError: the weights are of another network.
        DivergedError: what it says is not finite.
    """
    network = Network(backbone, len(data.labels), settings.dropout, pretrained=False)
    network.load_state_dict(weights)
    look = valid_transform(settings.valid_size, backbone.mean, backbone.std)
    valid = np.flatnonzero(data.split.is_valid)
    photos = PictureDataset(data.pixels, valid, data.targets, look)
    logits = predict(network, photos, settings.flip)
    if not np.isfinite(logits).all():
        raise DivergedError(DIVERGED)
    return Fitted(network, data, backbone, settings, logits, valid, epochs, teacher)


def fit_head(network: Network, dataset: PictureDataset) -> None:
    """Set the head to a logistic regression on the frozen body's features.

    Starting all layers from a fitted head keeps the body's features from being distorted by a
    random one (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022).
    """
    with console.status("fitting the head on frozen features"):
        features = body_features(network, dataset)
        scale = features.std()
        probe = LogisticRegression(C=0.01, max_iter=300)
        probe.fit(features / scale, dataset.labels[dataset.indices])
    weight, bias = probe.coef_ / scale, probe.intercept_
    if len(probe.classes_) == 2:  # of two classes it gives one row, how far the second is ahead
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    set_rows(network.head, probe.classes_, weight, bias)


@torch.no_grad()
def set_rows(head: nn.Linear, rows: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> None:
    """Set these rows of a layer, weight (rows, d) and bias (rows,), wherever the layer is."""
    head.weight[rows] = torch.tensor(weight).to(head.weight)
    head.bias[rows] = torch.tensor(bias).to(head.bias)


def body_features(network: Network, dataset: PictureDataset) -> np.ndarray:
    """Mean of the body's feature map for every picture, float32 (n, d), as fast as can be."""
    is_lowered = layer_precision("auto", default_device()) == "bf16"

    def forward(photos: torch.Tensor) -> torch.Tensor:
        with torch.autocast(photos.device.type, torch.bfloat16, enabled=is_lowered):
            return network.feature_map(photos).mean((2, 3))

    return _over_batches(forward, network, dataset)


def predict(network: Network, dataset: PictureDataset, flip: bool) -> np.ndarray:
    """Logits for every picture, float32 (n, labels), averaged with the mirror image on `flip`."""

    def forward(photos: torch.Tensor) -> torch.Tensor:
        logits = network(photos)
        return (logits + network(photos.flip(-1))) / 2 if flip else logits

    return _over_batches(forward, network, dataset)


@torch.no_grad()
def _over_batches(
    forward: Callable[[torch.Tensor], torch.Tensor], network: Network, dataset: PictureDataset
) -> np.ndarray:
    network.eval().to(device=default_device(), memory_format=torch.channels_last)
    loader = torch.utils.data.DataLoader(dataset, batch_size=64)
    outputs = []
    for photos, _ in loader:
        photos = photos.to(device=default_device(), memory_format=torch.channels_last)
        outputs.append(forward(photos).float().cpu().numpy())
    return np.concatenate(outputs)


def _learner(
    network: Network,
    data: TrainingData,
    train: np.ndarray,
    valid: np.ndarray,
    backbone: Backbone,
    run: Path,
    settings: FitSettings,
) -> Learner:
    look = valid_transform(settings.valid_size, backbone.mean, backbone.std)
    train_set = PictureDataset(data.pixels, train, data.targets)
    valid_set = PictureDataset(data.pixels, valid, data.targets, look)
    sources = np.array([data.pictures[index].group for index in train])
    weights = sampling_weights(
        data.targets[train], sources, settings.sampling_power, settings.source_power
    )
    loaders = DataLoaders(
        DataLoader(
            train_set,
            bs=max(1, min(settings.batch_size, len(train)) // processes()),
            drop_last=True,
            num_workers=0,
            after_batch=batch_augmentation(settings.train_size, backbone.mean, backbone.std),
            get_idxs=lambda: np.random.choice(len(train), len(train), p=weights).tolist(),
        ),
        DataLoader(valid_set, bs=64, num_workers=0),
        device=default_device(),
    )
    callbacks = [
        EpochSeed(settings.seed),
        Thaw(settings.epochs, settings.thaw_share),
        MixPictures(settings.mix_probability, settings.mix_alpha, len(data.labels)),
        WeightAverage(settings.ema_decay),
        ChannelsLast(),
        GradientClip(1.0),
        EpochRecord(run),
        Checkpoint(run),
    ]
    if layer_precision(settings.precision, default_device()) == "bf16":
        callbacks.append(Autocast())
    return Learner(
        loaders,
        network,
        nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing),
        splitter=Network.layer_groups,
        cbs=callbacks,
        train_bn=False,
        path=run,
        metrics=named_metrics(),
    )
