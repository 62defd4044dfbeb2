"""The trained network in the forms of other libraries: timm's own, and a fastai learner.

Both are made of those libraries' classes alone, so that they load where Ideitify is not
installed. Both must give the logits of the bundle on real pictures, or they are not made:
`FormError` says why.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import onnxruntime
import timm
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter, Normalize, parent_label
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.vision.augment import Resize, ResizeMethod
from fastai.vision.data import ImageBlock
from fastai.vision.learner import TimmBody, default_split
from timm.models import save_for_hf
from torch import nn

from ideitify.bundle import INPUT_NAME, MODEL_NAME, OUTPUT_NAMES, InputSpec, Manifest
from training.export import LOGIT_TOLERANCE
from training.finished import Finished, read_photos

COMPARED_PICTURES = 64
TIMM_FILES = ("config.json", "model.safetensors")
FASTAI_FILES = ("model.pkl", "pyproject.toml")

# Arguments with which timm's stock classifier is ours, a linear layer on the mean of the last
# features: as it is for most convolutional networks; for transformers with the class token and
# the norm after pooling switched off.
_STOCK: tuple[dict[str, Any], ...] = ({}, {"global_pool": "avg", "fc_norm": False})
_CROP_MODES = {"squish": "squash", "pad": "border"}  # timm's words for the bundle's
_METHODS = {"squish": ResizeMethod.Squish, "pad": ResizeMethod.Pad}


class FormError(ValueError):
    """The network cannot be given in this form; the message says why."""


@dataclass(frozen=True)
class Reference:
    """What every form must reproduce.

    Attributes:
        paths: real pictures.
        photos: float32 (n, 3, size, size), the same as the model sees them.
        logits: float32 (n, labels), what `model.onnx` says of them, of the trained labels alone.
    """

    paths: list[Path]
    photos: torch.Tensor
    logits: np.ndarray


def read_reference(bundle: Path, manifest: Manifest, paths: list[Path]) -> Reference:
    """Ask the bundle about real pictures, at most `COMPARED_PICTURES`, evenly chosen.

    Raises:
        PhotoError: a picture cannot be read.
    """
    chosen = np.unique(np.linspace(0, len(paths) - 1, COMPARED_PICTURES).astype(int))
    paths = [paths[index] for index in chosen]
    photos = read_photos(paths, manifest.input)
    session = onnxruntime.InferenceSession(bundle / MODEL_NAME, providers=["CPUExecutionProvider"])
    (logits,) = session.run([OUTPUT_NAMES[0]], {INPUT_NAME: photos.numpy()})
    trained = [label not in manifest.prototypes for label in manifest.labels]
    return Reference(paths, photos, logits[:, trained])


def calibrated_head(finished: Finished, reference: Reference) -> nn.Linear:
    """The network's last layer with the constants that the bundle's calibration added to logits."""
    with torch.no_grad():
        shift = torch.from_numpy(reference.logits) - finished.network(reference.photos)
        head = nn.Linear(finished.network.head.in_features, len(finished.labels))
        head.weight.copy_(finished.network.head.weight)
        head.bias.copy_(finished.network.head.bias + shift.mean(0))
    return head


def write_timm(
    finished: Finished, head: nn.Linear, reference: Reference, spec: InputSpec, folder: Path
) -> None:
    """Write `config.json` and `model.safetensors`, for `timm.create_model("hf-hub:owner/name")`.

    Raises:
        FormError: timm's stock network of this architecture ends in another head.
    """

    def build(stock: dict[str, Any]) -> nn.Module:
        model = _create(finished, len(finished.labels), stock)
        last = model.pretrained_cfg["classifier"]
        ours = {f"{last}.{name}": value for name, value in head.state_dict().items()}
        model.load_state_dict(finished.network.body.state_dict() | ours)
        return model

    model = _first_alike(build, reference)
    if model is None:
        raise FormError(
            f"timm's {finished.backbone.architecture} has more than a linear layer after the mean "
            "of its features, so its own form gives other logits"
        )
    save_for_hf(
        model,
        str(folder),
        model_config={"label_names": finished.labels},
        data_config={
            "input_size": (3, spec.size, spec.size),
            "mean": spec.mean,
            "std": spec.std,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": _CROP_MODES[spec.resize],
        },
        safe_serialization=True,
    )


def write_fastai(
    finished: Finished, head: nn.Linear, reference: Reference, spec: InputSpec, folder: Path
) -> None:
    """Write `model.pkl` and `pyproject.toml`, for `huggingface_hub.from_pretrained_fastai`.

    The model has the shape of fastai's own `vision_learner`, a body and a head, so that freezing
    and `fine_tune` work as usual.

    Raises:
        FormError: fastai's way to call this body gives other logits.
    """

    def build(stock: dict[str, Any]) -> nn.Module:
        body = TimmBody(_create(finished, 0, stock))
        body.model.load_state_dict(finished.network.body.state_dict())
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if body.needs_pool else []
        dropout = nn.Dropout(finished.network.dropout.p)
        return nn.Sequential(body, nn.Sequential(*pool, dropout, head))

    model = _first_alike(build, reference)
    if model is None:
        raise FormError(
            f"fastai's TimmBody of {finished.backbone.architecture} gives other features"
        )
    random.seed(0)  # of its loaders: the same run gives the same file
    loaders = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=finished.labels, sort=False)),
        get_y=parent_label,
        splitter=IndexSplitter([0]),
        item_tfms=Resize(spec.size, _METHODS[spec.resize]),
        batch_tfms=Normalize.from_stats(spec.mean, spec.std, cuda=False),
    ).dataloaders(reference.paths, bs=1, num_workers=0, device=torch.device("cpu"))
    learner = Learner(
        loaders,
        model,
        CrossEntropyLossFlat(),
        splitter=default_split,
        metrics=accuracy,
        path=Path(),  # not a place on this machine
    )
    # by reference to fastai's classes; fastai's default would write their bytecode and paths
    learner.export((folder / FASTAI_FILES[0]).absolute(), pickle_module=pickle)
    (folder / FASTAI_FILES[1]).write_text(_requirements(), encoding="utf-8")


def _create(finished: Finished, label_count: int, stock: dict[str, Any]) -> nn.Module:
    if finished.backbone.parts:
        raise FormError(
            f"{finished.backbone.name} are several networks side by side, which is no network of "
            "timm's; publish each on its own for this form"
        )
    keywords = {
        name: value
        for name, value in finished.backbone.keywords.items()
        if name != "pretrained_cfg_overlay"  # where the weights lay on this machine
    }
    return timm.create_model(
        finished.backbone.architecture,
        pretrained=False,
        num_classes=label_count,
        **keywords,
        **stock,
    )


def _first_alike(
    build: Callable[[dict[str, Any]], nn.Module], reference: Reference
) -> nn.Module | None:
    """The first of timm's stock forms that gives the bundle's logits."""
    for stock in _STOCK:
        try:
            model = build(stock).eval()
            with torch.no_grad():
                logits = model(reference.photos).numpy()
        except (TypeError, RuntimeError):  # not an argument, or not the tensors, of this network
            continue
        if np.abs(logits - reference.logits).max() < LOGIT_TOLERANCE:
            return model
    return None


def _requirements() -> str:
    """What `from_pretrained_fastai` compares with what is installed, in the way it reads it."""
    packages = ", ".join(
        f'"{name}={number}"'
        for name, number in [
            ("python", python_version()),
            *((name, version(name)) for name in ("fastai", "fastcore", "timm", "torch")),
        ]
    )
    return f'[build-system]\nrequires = ["setuptools", {packages}]\n'
