"""A finished run, read back from its folder: the network as it was exported, and its input."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ideitify.bundle import InputSpec, Manifest
from ideitify.photo import open_photo
from ideitify.recognizer import fit_square
from training.backbone import Backbone, BackboneError, find_backbone
from training.data import valid_transform
from training.network import Network


class RunError(ValueError):
    """The run folder cannot be used with this bundle; the message says why and what to do."""


@dataclass(frozen=True)
class Finished:
    """A trained network.

    Attributes:
        network: with the averaged weights, in evaluation mode.
        backbone: what its body is.
        labels: in the order of its logits: the bundle's labels without its prototypes.
    """

    network: Network
    backbone: Backbone
    labels: list[str]


def load_finished(run: Path, manifest: Manifest, backbone_name: str | None = None) -> Finished:
    """Rebuild the network behind a bundle.

    Args:
        run: the run folder of `fit`: `settings.json` and `checkpoint.pth`.
        backbone_name: as it was given to `fit`; needed where that was a weights file.

    Raises:
        RunError: no finished run there, one of another bundle, or its backbone is not found.
    """
    from training.train import CHECKPOINT_NAME

    facts, checkpoint = run / "settings.json", run / CHECKPOINT_NAME
    if not facts.is_file() or not checkpoint.is_file():
        raise RunError(
            f"{run} is not the folder of a finished run: it has no settings.json or no "
            f"{CHECKPOINT_NAME}; name the right one with --run"
        )
    known = json.loads(facts.read_text(encoding="utf-8"))
    changed = [
        name for name in ("fingerprint", "settings") if known[name] != manifest.training.get(name)
    ]
    if changed:
        raise RunError(
            f"{run} is not the run of this bundle, it has other {' and '.join(changed)}; name the "
            "right one with --run"
        )
    backbone = _backbone(known["backbone"], backbone_name)
    labels = [label for label in manifest.labels if label not in manifest.prototypes]
    network = Network(backbone, len(labels), known["settings"]["dropout"], pretrained=False)
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["average"])
    except (RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise RunError(f"{checkpoint} does not fit {backbone.name}: {error}") from error
    return Finished(network.eval(), backbone, labels)


def _backbone(name: str, given: str | None) -> Backbone:
    try:
        backbone = find_backbone(given or name)
    except BackboneError as error:
        raise RunError(f"{error}; name it with --backbone as you did for fit") from error
    if backbone.name != name:
        raise RunError(f"the run was made from the backbone {name}, not from {backbone.name}")
    return backbone


def read_photos(paths: Sequence[Path], spec: InputSpec) -> torch.Tensor:
    """Photos as the network behind a bundle sees them, float32 (n, 3, size, size).

    Raises:
        PhotoError: a picture cannot be read.
    """
    look = valid_transform(spec.size, spec.mean, spec.std)
    images = (fit_square(open_photo(p, side=spec.size), spec.size, spec.resize) for p in paths)
    return torch.stack([look(torch.from_numpy(np.array(i)).permute(2, 0, 1)) for i in images])
