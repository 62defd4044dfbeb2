"""A run in Weights & Biases: online with a key, in a folder without one, never in the way.

What is logged is what `training.record` keeps, row by row. fastai's own `WandbCallback` is not
used: it logs by batch under a step of its own, so that a resumed run repeats or loses rows; its
samples need fastai's data blocks, and its pictures are random rather than the worst.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import requests
import wandb
from fastai.callback.core import Callback
from requests.utils import get_netrc_auth

from ideitify.bundle import Manifest
from ideitify.dataset import METADATA_NAME
from ideitify.recognizer import softmax
from training.heatmaps import heat_overlays
from training.metrics import log_losses
from training.record import read_record, write_json
from training.run_folder import SETTINGS_NAME
from training.train import Fitted, console

STATE_NAME = "wandb.json"
WORST_PICTURES = 24
PATIENCE = 60  # seconds to wait for the service, at the start and for what is left at the end


class WandbRun(Callback):
    """Log a run of `training.train.fit` to Weights & Biases.

    Trouble with the service is a printed line; the training goes on, and what could not be logged
    after one epoch is logged after the next. The run's id is kept in the run folder, so that a
    resumed run goes on as the same one. Where several trainings become one network, each is a run
    of its own, so that the curves lie over each other, and all are one group. Leaving the context
    closes what is open, also when it failed or was interrupted, and prints how to upload what was
    logged offline. `WANDB_MODE=disabled` logs nothing.

    Args:
        folder: the run folder.
        data: the dataset folder; its table is logged, its pictures are not.
        project: of W&B.
    """

    order = 110  # after the checkpoint: an epoch that is logged is never trained again

    def __init__(self, folder: Path, data: Path, project: str) -> None:
        self.folder, self.data_folder, self.project = folder, data, project
        self.is_disabled = os.environ.get("WANDB_MODE") == "disabled"
        self.tracked_run: wandb.Run | None = None  # fastai calls this callback `wandb_run`
        self.logged_folder = folder  # of the run that is open: of one of several trainings, or all
        self.done = 0  # epochs
        self.offline_files: list[str] = []

    def before_fit(self) -> None:
        self._open(Path(self.learn.path))

    def after_epoch(self) -> None:
        self.done = self.epoch + 1
        if self.tracked_run:
            _attempt("logging an epoch", self._log_epochs)

    def finish(self, fitted: Fitted, manifest: Manifest, bundle: Path) -> None:
        """Log the bundle, its figures, the worst validation pictures and the confusions."""
        self._open(self.folder)
        if self.tracked_run:
            _attempt("logging the bundle's figures", lambda: self._log_figures(manifest))
            _attempt("logging pictures", lambda: self._log_pictures(fitted))
            _attempt("logging the bundle", lambda: self._log_bundle(manifest, bundle))

    def __enter__(self) -> WandbRun:
        if self.is_disabled:
            console.print("W&B: disabled by WANDB_MODE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leave(exit_code=int(kind is not None))
        if self.offline_files:
            files = " ".join(self.offline_files)
            console.print(f"W&B: to upload: wandb sync {files}", markup=False)

    def _open(self, folder: Path) -> None:
        """Go on in the run of a folder, unless it is the one that is open."""
        if self.is_disabled or (self.tracked_run and folder == self.logged_folder):
            return
        self._leave(exit_code=0)
        self.logged_folder, self.done = folder, 0
        _attempt("starting", self._start)
        if self.tracked_run:
            _attempt("logging the data set", self._log_table)

    def _leave(self, exit_code: int) -> None:
        """Log what the record has and W&B has not, and close the run that is open."""
        if self.tracked_run:
            _attempt("logging the last epochs", self._log_epochs)
            _attempt("logging the final figures", self._log_final)
            _attempt("closing the run", lambda: self.tracked_run.finish(exit_code))
        self.tracked_run = None

    def _start(self) -> None:
        facts = json.loads((self.logged_folder / SETTINGS_NAME).read_text(encoding="utf-8"))
        self.state = _read_state(self.logged_folder)
        mode = os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")
        if mode == "online" and not _is_reachable():
            console.print("W&B cannot be reached, logging offline")
            mode = "offline"
        self.tracked_run = self._init(mode, facts)
        write_json(self.logged_folder / STATE_NAME, self.state)
        if self.tracked_run.offline:  # W&B warns whoever asks such a run for its URL
            where = f"offline, in {self.folder / 'wandb'}"
            self.offline_files.append(f"{self.folder}/wandb/offline-run-*-{self.state['id']}")
        else:
            where = self.tracked_run.url
        console.print(f"W&B: {where}; --no-wandb turns it off", markup=False)

    def _init(self, mode: Any, facts: dict[str, Any]) -> wandb.Run:
        return wandb.init(
            project=self.project,
            name="/".join((self.folder.name, *self.logged_folder.relative_to(self.folder).parts)),
            group=self.folder.name,
            id=self.state["id"],
            dir=self.folder,
            config=facts,
            mode=mode,
            resume="allow",
            settings=wandb.Settings(
                console="off",
                silent=True,
                reinit="create_new",
                init_timeout=PATIENCE,
                finish_timeout=PATIENCE,
            ),
        )

    def _log_table(self) -> None:
        facts = json.loads((self.logged_folder / SETTINGS_NAME).read_text(encoding="utf-8"))
        table = wandb.Artifact(
            _artifact_name(self.data_folder.absolute().name),
            "dataset",
            metadata={"fingerprint": facts["fingerprint"]},
        )
        table.add_file(str(self.data_folder / METADATA_NAME))
        self.tracked_run.log_artifact(table)

    def _log_epochs(self) -> None:
        """Log what the record has and W&B has not; online, the service knows best what it has."""
        logged = self.state["logged"] if self.tracked_run.offline else self.tracked_run.step
        for row in read_record(self.logged_folder).get("epochs", []):
            if logged <= row["epoch"] < self.done:
                self.tracked_run.log(row, step=row["epoch"], commit=True)
                self.state["logged"] = row["epoch"] + 1
                write_json(self.logged_folder / STATE_NAME, self.state)

    def _log_final(self) -> None:
        final = read_record(self.logged_folder).get("final", {})
        self.tracked_run.summary.update({f"final/{name}": v for name, v in final.items()})

    def _log_figures(self, manifest: Manifest) -> None:
        self.tracked_run.summary.update(
            {
                f"{pictures}/{name}": estimate.value
                for pictures, estimates in manifest.metrics.items()
                for name, estimate in estimates.items()
            }
        )

    def _log_pictures(self, fitted: Fitted) -> None:
        data, targets = fitted.data, fitted.data.targets[fitted.valid]
        probabilities = softmax(fitted.logits)
        losses = log_losses(probabilities, targets)
        guesses = probabilities.argmax(axis=1)
        worst = np.argsort(-losses)[:WORST_PICTURES]
        overlays = heat_overlays(
            fitted.network, data, fitted.backbone, fitted.settings,
            fitted.valid[worst].tolist(), guesses[worst].tolist(),
        )  # fmt: skip
        table = wandb.Table(["file", "heat map", "truth", "prediction", "probability", "loss"])
        for position, overlay in zip(worst, overlays, strict=True):
            table.add_data(
                data.pictures[fitted.valid[position]].columns["file_name"],
                wandb.Image(overlay),
                data.labels[targets[position]],
                data.labels[guesses[position]],
                float(probabilities[position, guesses[position]]),
                float(losses[position]),
            )
        confusions = wandb.plot.confusion_matrix(
            y_true=targets.tolist(), preds=guesses.tolist(), class_names=data.labels
        )
        self.tracked_run.log({"worst_pictures": table, "confusion_matrix": confusions})

    def _log_bundle(self, manifest: Manifest, bundle: Path) -> None:
        artifact = wandb.Artifact(
            _artifact_name(manifest.name), "model", metadata=manifest.training
        )
        artifact.add_dir(str(bundle))
        self.tracked_run.log_artifact(artifact)


def _attempt(what: str, action: Callable[[], None]) -> None:
    """Do something with the service; whatever goes wrong there is no reason to stop training."""
    try:
        action()
    except Exception as error:
        console.print(f"W&B: {what} failed, the training goes on: {error}", markup=False)


def has_key() -> bool:
    """Whether W&B's key is in the environment or in ~/.netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    return bool(get_netrc_auth(_address()))


def _is_reachable() -> bool:
    """Asked before W&B is, which would hold on to the run's id after it has failed."""
    try:
        requests.head(_address(), timeout=10)
    except requests.RequestException:
        return False
    return True


def _address() -> str:
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


def _read_state(folder: Path) -> dict[str, Any]:
    """The id of the run in `folder` and how many epochs are logged; a new run's without one."""
    path = folder / STATE_NAME
    if read_record(folder) and path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"id": secrets.token_hex(4), "logged": 0}


def _artifact_name(text: str) -> str:
    """W&B allows letters, digits, dots, dashes and underscores."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text) or "data"
    )
