"""From a fitted network to the bundle that ships: ONNX, manifest and model card."""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
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
    Thresholds,
)
from ideitify.dataset import fingerprint
from ideitify.files import sha256_of
from training.calibrate import choose_thresholds, cross_fitted_probabilities, fit_temperature
from training.card import model_card
from training.data import PictureDataset, valid_transform
from training.evaluate import measure, recall_per_class
from training.halving import round_to_half, store_in_half
from training.network import Network
from training.predictions import predict_pictures
from training.prototypes import Prototypes, find_prototypes
from training.sides import seen_names
from training.train import Fitted, validate

CHECKED_PICTURES = 64
LOGIT_TOLERANCE = 1e-3


class ExportError(ValueError):
    """The exported model does not answer like the trained one."""


class Exported(nn.Module):
    """The network with the outputs of a bundle: the logit is the mean of the activation map.

    That also holds for prototypes: they are linear in the embedding, and so in the features once
    these are divided by the length of their mean.
    """

    def __init__(self, network: Network, prototypes: Prototypes | None = None) -> None:
        super().__init__()
        self.network = network
        self.prototypes = prototypes
        if prototypes is not None:
            rows = torch.from_numpy(prototypes.directions)
            self.register_buffer("rows", rows[:, :, None, None])
            self.register_buffer("biases", torch.from_numpy(prototypes.biases))

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = self.network.feature_map(photo)
        maps = self.network.activation_maps(features)
        mean = features.mean((2, 3))
        if self.prototypes is not None:
            length = mean.norm(dim=1).clamp_min(1e-12)[:, None, None, None]
            rows = nn.functional.conv2d(features / length, self.rows, self.biases)
            maps = torch.cat([maps, rows], dim=1)
        return maps.mean((2, 3)), nn.functional.normalize(mean, dim=1), maps


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


def check_onnx(
    network: Network, photos: torch.Tensor, path: Path, prototypes: Prototypes | None = None
) -> float:
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
        if prototypes is not None:
            means = network.feature_map(photos).mean((2, 3))
            rows = prototypes.logits(nn.functional.normalize(means, dim=1).numpy())
            expected = np.concatenate([expected, rows], axis=1)
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
    """Export, check, calibrate, measure and describe a fitted network and its prototypes.

    Temperature, thresholds and figures come from what the exported bundle answers to the files of
    the validation pictures, opened as the app opens them.

    Raises:
        ExportError: see `check_onnx`.
        DatasetError: a picture of a small category cannot be read; it is named.
    """
    fitted = rounded(fitted)
    prototypes = find_prototypes(fitted)

    def write(folder: Path) -> Manifest:
        path = folder / MODEL_NAME
        export_onnx(Exported(fitted.network, prototypes), fitted.settings.valid_size, path)
        store_in_half(path)
        check_onnx(fitted.network, _valid_photos(fitted), path, prototypes)
        draft = _draft(fitted, prototypes, name, {MODEL_NAME: sha256_of(path)})
        (folder / MANIFEST_NAME).write_text(draft.model_dump_json(), encoding="utf-8")
        answers = predict_pictures(folder, [fitted.data.pictures[i] for i in fitted.valid])
        return _measured(draft, replace(fitted, logits=answers.logits), prototypes)

    unseen = int(fitted.data.split.is_unseen_group.sum())
    return write_bundle(out, write, lambda m: model_card(m, fitted.data.real, unseen))


def rounded(fitted: Fitted) -> Fitted:
    """The network as it will be stored, and what it then says of the validation pictures."""
    weights = round_to_half(copy.deepcopy(fitted.network)).state_dict()
    return validate(
        weights, fitted.data, fitted.backbone, fitted.settings, fitted.epochs, fitted.teacher
    )


def write_bundle(
    out: Path, write: Callable[[Path], Manifest], card: Callable[[Manifest], str]
) -> Manifest:
    """Write a bundle beside `out` and put it there whole; an older one is replaced.

    Args:
        write: writes the model into a folder and gives the manifest.
        card: gives the text of README.md.

    Raises:
        ExportError: see `check_place`.
    """
    check_place(out)
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


def check_place(out: Path) -> None:
    """Make sure that a bundle can be written to `out`, before the work is done.

    Raises:
        ExportError: something other than a bundle is there, which would be lost.
        OSError: the folder around it cannot be made.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        return
    there = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if there and (MANIFEST_NAME not in there or there - {MANIFEST_NAME, MODEL_NAME, "README.md"}):
        raise ExportError(
            f"{out} is there and holds {sorted(there - {MANIFEST_NAME})[0]!r}, so it is not only a "
            "bundle: name a new folder, or that of an older bundle to replace it"
        )


def _valid_photos(fitted: Fitted) -> torch.Tensor:
    """Evenly chosen validation pictures, as the network sees them."""
    chosen = fitted.valid[np.linspace(0, len(fitted.valid) - 1, CHECKED_PICTURES).astype(int)]
    look = valid_transform(fitted.settings.valid_size, fitted.backbone.mean, fitted.backbone.std)
    dataset = PictureDataset(fitted.data.pixels, chosen, fitted.data.targets, look)
    return torch.stack([dataset[i][0] for i in range(len(dataset))])


def _measured(draft: Manifest, fitted: Fitted, prototypes: Prototypes | None) -> Manifest:
    """The draft with what its answers give; `fitted` has them, the logits of all its labels."""
    data = fitted.data
    targets = data.targets[fitted.valid]
    groups = np.array([data.pictures[i].group for i in fitted.valid])
    calibrated = cross_fitted_probabilities(fitted.logits, targets, groups)
    return draft.model_copy(
        update={
            "temperature": round(fit_temperature(fitted.logits, targets), 4),
            "thresholds": choose_thresholds(calibrated, targets, draft.labels),
            "metrics": measure(fitted)
            | ({"few pictures": prototypes.metrics} if prototypes else {}),
            "per_class": recall_per_class(fitted),
        }
    )


def _draft(
    fitted: Fitted, prototypes: Prototypes | None, name: str, files: dict[str, str]
) -> Manifest:
    """What is true of a bundle before it was asked anything."""
    data, settings, backbone = fitted.data, fitted.settings, fitted.backbone
    return Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=data.labels + (prototypes.labels if prototypes else []),
        input=InputSpec(
            size=settings.valid_size,
            resize=settings.resize,
            mean=backbone.mean,
            std=backbone.std,
            flip=settings.flip,
        ),
        temperature=1,
        thresholds=Thresholds(deity=0, none=0, operating_point="not chosen yet"),
        metrics={},
        per_class={},
        prototypes=prototypes.labels if prototypes else [],
        training={
            "fingerprint": fingerprint(data.real),
            "seen": seen_names(
                [data.pictures[i] for i in np.flatnonzero(~data.split.is_valid)]
                + (prototypes.pictures if prototypes else [])
            ),
            "pictures": {
                "train": len(data.real) - len(fitted.valid),
                "valid": len(fitted.valid),
                "synthetic": len(data.pictures) - len(data.real),
            },
            "pictures_per_class": dict(Counter(p.category for p in data.real).most_common()),
            "few_pictures": prototypes.facts if prototypes else None,
            "split_by_near_duplicates": data.split.split_by_near_duplicates,
            "backbone": {
                "name": backbone.name,
                "license": backbone.license,
                "origin": backbone.origin,
            },
            "teacher": fitted.teacher and fitted.teacher["name"],
            "teacher_license": fitted.teacher and fitted.teacher["license"],
            "settings": settings.model_dump(mode="json"),
            "epochs": fitted.epochs,
            "versions": {p: version(p) for p in ("torch", "fastai", "timm", "onnx")},
        },
        files=files,
    )
