"""A fastai `model.pkl`, as the project's original published it, to a bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import torch
from fastai.data.transforms import Normalize
from fastai.learner import load_learner
from fastai.vision.augment import AffineCoordTfm, Resize
from torch import nn

from ideitify.bundle import FORMAT_VERSION, MODEL_NAME, InputSpec, Manifest, Thresholds
from ideitify.files import sha256_of
from training.export import export_onnx, write_bundle

DEFAULT_SIZE = 224
UNMEASURED = "not measured: this bundle was converted from a fastai learner without its pictures"


class ConvertError(ValueError):
    """The pickle is not an image classifier that can become a bundle."""


class HeadEverywhere(nn.Module):
    """A fastai vision model with a bundle's outputs.

    fastai's head is not linear, so the activation map is the head applied to every place of the
    feature map on its own, rather than an exact share of the logit.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = self.body(photo)
        photos, width, rows, columns = features.shape
        places = features.permute(0, 2, 3, 1).reshape(-1, width, 1, 1)
        maps = self.head(places).unflatten(0, (photos, rows, columns)).permute(0, 3, 1, 2)
        embedding = nn.functional.normalize(features.mean((2, 3)), dim=1)
        return self.head(features), embedding, maps


def convert_learner(pickle: Path, out: Path) -> Manifest:
    """Unpickle a fastai learner and write it as a bundle, with unmeasured thresholds of 0.5.

    Raises:
        ConvertError: not a learner of `vision_learner`'s shape with a vocabulary.
    """
    try:
        learner = load_learner(pickle, cpu=True)
        labels = [str(label) for label in learner.dls.vocab]
        body, head = learner.model.eval()
    except Exception as error:  # a pickle may fail in any way at all
        raise ConvertError(
            f"{pickle} is not a fastai image classifier made by vision_learner: {error}"
        ) from error
    normalize = [t for t in learner.dls.after_batch.fs if isinstance(t, Normalize)]
    mean, std = (
        (normalize[0].mean.flatten().tolist(), normalize[0].std.flatten().tolist())
        if normalize
        else ([0.0] * 3, [1.0] * 3)
    )

    def write(folder: Path) -> Manifest:
        size = _input_size(learner)
        export_onnx(HeadEverywhere(body, head), size, folder / MODEL_NAME)
        return Manifest(
            format_version=FORMAT_VERSION,
            name=pickle.stem,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            labels=labels,
            input=InputSpec(size=size, resize="squish", mean=mean, std=std, flip=False),
            temperature=1.0,
            thresholds=Thresholds(deity=0.5, none=0.5, operating_point=UNMEASURED),
            metrics={},
            per_class={},
            training={"converted_from": pickle.name},
            files={MODEL_NAME: sha256_of(folder / MODEL_NAME)},
        )

    return write_bundle(out, write, card=lambda manifest: f"# {manifest.name}\n\n{UNMEASURED}.\n")


def _input_size(learner) -> int:
    """The side that the learner's batches had: of the batch transforms, else of the items'."""
    for transform in learner.dls.after_batch.fs:
        if isinstance(transform, AffineCoordTfm) and transform.size:
            return max(transform.size) if isinstance(transform.size, tuple) else transform.size
    for transform in learner.dls.after_item.fs:
        if isinstance(transform, Resize):
            return max(transform.size)
    return DEFAULT_SIZE
