"""A finished run, read back from its folder: the network as it was exported, and its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ideitify.bundle import InputSpec, Manifest
from ideitify.files import sha256_of
from ideitify.photo import open_photo
from ideitify.recognizer import fit_square
from training.allocator import keep_freed_memory
from training.backbone import Backbone, BackboneError, find_backbone
from training.data import valid_transform
from training.distill import Teacher
from training.halving import round_to_half
from training.network import Network
from training.record import read_record
from training.run_folder import (
    CHECKPOINT_NAME,
    RunError,
    changed_facts,
    checkpoint_of,
    finished_facts,
    run_facts,
)
from training.settings import load_settings
from training.train import CACHE_FOLDER, Fitted, load_training_data, validate


@dataclass(frozen=True)
class Finished:
    """A trained network.

    Attributes:
        network: with the averaged weights as the bundle stores them, in evaluation mode.
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
    keep_freed_memory()
    known = finished_facts(run)
    made_of = manifest.training
    facts = made_of | {"backbone": made_of.get("backbone", {}).get("name")}
    changed = [
        name for name in ("backbone", "fingerprint", "settings") if known[name] != facts.get(name)
    ]
    if changed:
        raise RunError(
            f"{run} is not the run of this bundle, it has other {' and '.join(changed)}; name the "
            "right one with --run"
        )
    backbone = _backbone(known["backbone"], backbone_name)
    labels = [label for label in manifest.labels if label not in manifest.prototypes]
    network = Network(backbone, len(labels), known["settings"]["dropout"], pretrained=False)
    with checkpoint_of(run, backbone) as state:
        network.load_state_dict(state["average"])
    return Finished(round_to_half(network).eval(), backbone, labels)


def load_fitted(
    run: Path,
    data: Path,
    backbone_name: str | None = None,
    synthetic: Path | None = None,
    cache: Path = CACHE_FOLDER,
) -> Fitted:
    """What `fit` gave, or would have given had it ended with the last checkpoint of its run.

    Args:
        run: the run folder of `fit`, finished or broken off.
        data, synthetic: the folders that `fit` was given.
        backbone_name: as it was given to `fit`; needed where that was a weights file.

    Raises:
        RunError: no checkpoint there, of other pictures, of another split of them, of a fold, or
            its backbone is not found.
        DatasetError: see `training.train.load_training_data`.
    """
    keep_freed_memory()
    known = finished_facts(run)
    if "is_own_split" in known:
        raise RunError(f"{run} is a fold: its figures are in its own folder, and fit makes bundles")
    backbone = _backbone(known["backbone"], backbone_name)
    settings = load_settings(None, known["settings"])
    pictures = load_training_data(data, settings, cache, synthetic=synthetic)
    known["settings"] = settings.model_dump(mode="json")  # newer ones than the run: the defaults
    teacher = known.get("teacher")
    facts = run_facts(backbone, pictures, settings, teacher=teacher)
    if changed := changed_facts(known, facts):
        raise RunError(
            f"{run} was trained on other pictures ({' and '.join(changed)} differ); name the "
            "folders that fit was given with --data and --synthetic, as they were then"
        )
    credit = read_record(run).get("teacher")
    if teacher and not credit:  # of a run from before it was recorded
        credit = {"name": teacher["backbone"], "license": "not recorded"}
    with checkpoint_of(run, backbone) as state:
        return validate(state["average"], pictures, backbone, settings, state["epoch"], credit)


def load_teacher(run: Path, backbone_name: str | None = None) -> Teacher:
    """A finished run, to learn from.

    Args:
        run: its folder.
        backbone_name: as it was given to its `fit`; needed where that was a weights file.

    Raises:
        RunError: no finished run there, or its backbone is not found.
    """
    facts = finished_facts(run)
    backbone = _backbone(facts["backbone"], backbone_name, option="--teacher-backbone")
    with checkpoint_of(run, backbone) as state:
        weights = state["average"]
        network = Network(backbone, len(weights["head.bias"]), dropout=0, pretrained=False)
        network.load_state_dict(weights)
    return Teacher(network, backbone, facts, sha256_of(run / CHECKPOINT_NAME))


def _backbone(name: str, given: str | None, option: str = "--backbone") -> Backbone:
    try:
        backbone = find_backbone(given or name)
    except BackboneError as error:
        raise RunError(f"{error}; name it with {option} as you did for fit") from error
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
