"""What the folder of a run says of it: the facts that make it this run, and its last checkpoint."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ideitify.dataset import fingerprint
from ideitify.files import replacing
from training.record import HISTORY_NAME, RECORD_NAME, read_record, write_json
from training.settings import FitSettings
from training.split import sides_fingerprint

if TYPE_CHECKING:
    from training.backbone import Backbone
    from training.train import TrainingData

CHECKPOINT_NAME = "checkpoint.pth"
SETTINGS_NAME = "settings.json"
IN_WORDS = {"sides": "sides of the split"}  # of facts whose name says too little


class RunError(ValueError):
    """A run folder cannot be used for what was asked; the message says why and what to do."""


class DivergedError(RunError):
    """A training's figures are no longer finite."""


def run_facts(
    backbone: Backbone,
    data: TrainingData,
    settings: FitSettings,
    *,
    is_own_split: bool = False,
    teacher: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """What makes a run this run: `settings.json` of its folder.

    Args:
        is_own_split: whether the split is not the one that the settings give (a fold).
        teacher: what it learns from, see `Teacher.source`.
    """
    real = data.real
    facts: dict[str, object] = {
        "backbone": backbone.name,
        "fingerprint": fingerprint(real),
        "settings": settings.model_dump(mode="json"),
        # of the same pictures and settings they are others where another column has changed
        "sides": sides_fingerprint(real, data.split.sides[: len(real)]),
    }
    if len(real) < len(data.pictures):
        facts["synthetic"] = fingerprint(p for p in data.pictures if p.is_synthetic)
    if teacher is not None:
        facts["teacher"] = teacher
    if is_own_split:
        facts["is_own_split"] = True
    return facts


def changed_facts(known: Mapping[str, object], facts: Mapping[str, object]) -> list[str]:
    """What differs between two runs, in words."""
    changed = [name for name in {**facts, **known} if known.get(name) != facts.get(name)]
    return [IN_WORDS.get(name, name) for name in changed]


def prepare_run(run: Path, facts: dict[str, object], resume: bool) -> None:
    """Write the run's facts, or compare them with those of the run to resume.

    Raises:
        RunError: `resume` with other facts than the run's, or they are damaged or of another
            version.
        ValueError: `resume` of a damaged record, see `read_record`.
    """
    resume = resume and any((run / name).is_file() for name in (SETTINGS_NAME, CHECKPOINT_NAME))
    if resume:
        read_record(run)  # damaged, it is told before anything is decoded or trained
    if resume and (changed := changed_facts(_read_facts(run), facts)):
        raise RunError(
            f"{run} was started with other {' and '.join(changed)}; "
            "resume with the same, or start afresh without --resume"
        )
    run.mkdir(parents=True, exist_ok=True)
    if not resume:
        for name in (CHECKPOINT_NAME, HISTORY_NAME, RECORD_NAME):
            (run / name).unlink(missing_ok=True)
        write_json(run / SETTINGS_NAME, facts)


def finished_facts(run: Path) -> dict[str, Any]:
    """The facts of a run that has a checkpoint.

    Raises:
        RunError: no such run, or its facts are damaged or of another version.
    """
    if not (run / SETTINGS_NAME).is_file() or not (run / CHECKPOINT_NAME).is_file():
        raise RunError(
            f"{run} is not the folder of a run: it has no {SETTINGS_NAME} or no "
            f"{CHECKPOINT_NAME}; fit writes them into runs/<name of the bundle> or its --run"
        )
    return _read_facts(run)


def _read_facts(run: Path) -> dict[str, Any]:
    path = run / SETTINGS_NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}; copy the run anew, or train again") from error
    if not isinstance(known, dict) or not known.keys() >= {"backbone", "fingerprint", "settings"}:
        raise RunError(f"{path} is not what fit writes; name the folder of a run")
    if "sides" not in known:
        raise RunError(
            f"{path} is from another version of this project and does not say which pictures "
            "were trained on; train again"
        )
    return known


def save_checkpoint(run: Path, state: Mapping[str, Any]) -> None:
    """Write the run's checkpoint beside the last one and put it in its place whole."""
    with replacing(run / CHECKPOINT_NAME) as partial:
        torch.save(state, partial)


@contextmanager
def checkpoint_of(run: Path, backbone: Backbone) -> Iterator[dict[str, Any]]:
    """The run's last checkpoint, as plain types and tensors.

    Raises:
        RunError: it is damaged, or did not fit where the body of the `with` put it.
    """
    path = run / CHECKPOINT_NAME
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise RunError(f"{path} is damaged; copy the run anew, or train again") from error
    try:
        yield state
    except (RuntimeError, LookupError, TypeError) as error:
        raise RunError(f"{path} does not fit {backbone.name}: {error}") from error
