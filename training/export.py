"""From a fitted network to the bundle that ships: ONNX, manifest and model card."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from ideitify.bundle import (
    FORMAT_VERSION,
    INPUT_NAME,
    MANIFEST_NAME,
    MODEL_NAME,
    OUTPUT_NAMES,
    InputSpec,
    Manifest,
    sha256_of,
)
from ideitify.dataset import NONE_CATEGORY, fingerprint
from training.calibrate import choose_thresholds, cross_fitted_probabilities, fit_temperature
from training.card import model_card
from training.data import PictureDataset, valid_transform
from training.evaluate import measure, recall_per_class
from training.network import Network
from training.train import Fitted

CHECKED_PICTURES = 64
LOGIT_TOLERANCE = 1e-3


class ExportError(ValueError):
    """The exported model does not answer like the trained one."""


class Exported(nn.Module):
    """The network with the outputs of a bundle: the logit is the mean of the activation map."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = self.network.feature_map(photo)
        head = self.network.head
        maps = nn.functional.conv2d(features, head.weight[:, :, None, None], head.bias)
        embedding = nn.functional.normalize(features.mean((2, 3)), dim=1)
        return maps.mean((2, 3)), embedding, maps


def export_onnx(model: nn.Module, size: int, path: Path) -> None:
    """Write `model.onnx`, for any number of photos.

    Args:
        model: float32 (n, 3, size, size) -> `logits`, `embedding`, `activation_map`.
    """
    model = model.eval().cpu().to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, size, size),),
        path,
        dynamo=True,
        external_data=False,
        input_names=[INPUT_NAME],
        output_names=list(OUTPUT_NAMES),
        dynamic_shapes={"photo": {0: torch.export.Dim("photos")}},
        verbose=False,
    )


def check_onnx(network: Network, photos: torch.Tensor, path: Path) -> float:
    """Compare the exported model with the trained one.

    Args:
        photos: float32 (n, 3, size, size), real pictures.

    Returns:
        The largest difference of a logit.

    Raises:
        ExportError: another first guess, or logits that differ by `LOGIT_TOLERANCE` or more.
    """
    with torch.no_grad():
        expected = network.eval().cpu()(photos).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = session.run([OUTPUT_NAMES[0]], {INPUT_NAME: photos.numpy()})[0]
    difference = float(np.abs(logits - expected).max())
    changed = int((logits.argmax(axis=1) != expected.argmax(axis=1)).sum())
    if changed or difference >= LOGIT_TOLERANCE:
        raise ExportError(
            f"{path.name} differs from the trained network: {changed} of {len(photos)} first "
            f"guesses changed, logits by up to {difference:.2g}"
        )
    return difference


def export_bundle(fitted: Fitted, out: Path, name: str) -> Manifest:
    """Export, check, calibrate, measure and describe a fitted network.

    Raises:
        ExportError: see `check_onnx`.
    """

    def write(folder: Path) -> Manifest:
        export_onnx(Exported(fitted.network), fitted.settings.valid_size, folder / MODEL_NAME)
        check_onnx(fitted.network, _valid_photos(fitted), folder / MODEL_NAME)
        return _manifest(fitted, name, {MODEL_NAME: sha256_of(folder / MODEL_NAME)})

    unseen = int(fitted.data.split.is_unseen_group.sum())
    return write_bundle(out, write, lambda m: model_card(m, fitted.data.pictures, unseen))


def write_bundle(
    out: Path, write: Callable[[Path], Manifest], card: Callable[[Manifest], str]
) -> Manifest:
    """Write a bundle beside `out` and put it there whole; an older one is replaced.

    Args:
        write: writes the model into a folder and gives the manifest.
        card: gives the text of README.md.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        manifest = write(folder)
        (folder / "README.md").write_text(card(manifest), encoding="utf-8")
        (folder / MANIFEST_NAME).write_text(
            manifest.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        if out.exists():
            out.replace(Path(scratch) / "old")
        folder.replace(out)
    return manifest


def _valid_photos(fitted: Fitted) -> torch.Tensor:
    """Evenly chosen validation pictures, as the network sees them."""
    chosen = fitted.valid[np.linspace(0, len(fitted.valid) - 1, CHECKED_PICTURES).astype(int)]
    look = valid_transform(fitted.settings.valid_size, fitted.backbone.mean, fitted.backbone.std)
    dataset = PictureDataset(fitted.data.pixels, chosen, fitted.data.targets, look)
    return torch.stack([dataset[i][0] for i in range(len(dataset))])


def _manifest(fitted: Fitted, name: str, files: dict[str, str]) -> Manifest:
    data, settings, backbone = fitted.data, fitted.settings, fitted.backbone
    targets = data.targets[fitted.valid]
    groups = np.array([data.pictures[i].group for i in fitted.valid])
    calibrated = cross_fitted_probabilities(fitted.logits, targets, groups)
    return Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=data.labels,
        input=InputSpec(
            size=settings.valid_size,
            resize=settings.resize,
            mean=backbone.mean,
            std=backbone.std,
            flip=settings.flip,
        ),
        temperature=round(fit_temperature(fitted.logits, targets), 4),
        thresholds=choose_thresholds(calibrated, targets, data.labels.index(NONE_CATEGORY)),
        metrics=measure(fitted),
        per_class=recall_per_class(fitted),
        training={
            "fingerprint": fingerprint(data.pictures),
            "pictures": {
                "train": len(data.pictures) - len(fitted.valid),
                "valid": len(fitted.valid),
            },
            "pictures_per_class": dict(Counter(p.category for p in data.pictures).most_common()),
            "split_by_near_duplicates": data.split.split_by_near_duplicates,
            "backbone": {
                "name": backbone.name,
                "license": backbone.license,
                "origin": backbone.origin,
            },
            "settings": settings.model_dump(mode="json"),
            "versions": {p: version(p) for p in ("torch", "fastai", "timm", "onnx")},
        },
        files=files,
    )
