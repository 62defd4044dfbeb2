"""Training really trains, resumes to the same result, and exports what it trained."""

import copy
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from ideitify.bundle import verify_bundle
from ideitify.dataset import DatasetError, read_rows, write_rows
from ideitify.recognizer import Recognizer
from training.__main__ import app
from training.backbone import find_backbone
from training.data import PictureDataset, valid_transform
from training.export import ExportError, check_onnx, export_bundle
from training.network import Network
from training.record import read_record
from training.run_folder import RunError
from training.settings import FitSettings
from training.train import body_features, fit, fit_head, load_training_data

PROJECT = Path(__file__).parents[2]
TINY = {
    "epochs": 3, "train_size": 64, "valid_size": 64, "batch_size": 8, "learning_rate": 2e-3,
    "precision": "fp32", "ema_decay": 0.5, "valid_share": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted(drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("fit")
    settings = FitSettings.model_validate(TINY)
    return fit(drawn_dataset, tiny_backbone, folder / "run", settings, cache=folder / "cache")


@pytest.fixture(scope="module")
def bundle(fitted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    export_bundle(fitted, out, "tiny")
    return out


def test_history_has_every_metric_under_a_name_of_its_own_at_every_epoch(fitted) -> None:
    run = next(p for p in Path(fitted.data.pixels.filename).parents if (p / "run").is_dir()) / "run"
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert len(rows) == 3
    names = ["accuracy", "top_3_accuracy", "top_5_accuracy", "macro_f1", "valid_loss"]
    for row in rows:
        assert all(np.isfinite(float(row[name])) for name in names)


@pytest.mark.parametrize(("thaw_share", "moves"), [(0.0, False), (0.1, True)])
def test_the_deepest_layers_are_trained_from_the_thaw_on(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, thaw_share: float, moves: bool
) -> None:
    settings = FitSettings.model_validate({**TINY, "epochs": 1, "thaw_share": thaw_share})
    network = fit(
        drawn_dataset, tiny_backbone, tmp_path / "run", settings, cache=tmp_path / "cache"
    ).network
    pretrained = Network(find_backbone(tiny_backbone), 3, 0.0)
    moved = [
        not all(torch.equal(a, b) for a, b in zip(*groups, strict=True))
        for groups in zip(network.layer_groups(), pretrained.layer_groups(), strict=True)
    ]
    assert moved == [moves, True, True, True]


def test_the_bundle_is_complete_and_answers_like_the_network(fitted, bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert manifest.labels == ["ganesha", "none", "shiva"]
    assert manifest.metrics["validation"]["accuracy"].pictures == len(fitted.valid)
    recognizer = Recognizer(bundle)
    paths = [fitted.data.pictures[i].path for i in fitted.valid]
    logits = fitted.logits / manifest.temperature
    for answer, expected in zip(recognizer.recognize_many(paths), logits, strict=True):
        shares = np.exp(expected - expected.max())
        shares /= shares.sum()
        assert answer.none_probability == pytest.approx(shares[1], abs=0.02)


def test_the_card_names_sizes_intervals_origin_and_biases(bundle: Path) -> None:
    card = (bundle / "README.md").read_text()
    for text in ("95 %", "tiny", "CC0-1.0", "| ganesha |", "Known biases", "top_3_accuracy"):
        assert text in card


def test_an_export_that_answers_otherwise_is_refused(fitted, bundle: Path) -> None:

    import torch

    other = copy.deepcopy(fitted.network)
    with torch.no_grad():
        other.head.bias[0] += 5
    with pytest.raises(ExportError, match="differs from the trained network"):
        check_onnx(other, torch.zeros(4, 3, 64, 64), bundle / "model.onnx")


def test_resuming_a_killed_run_gives_the_result_of_an_unbroken_one(
    fitted, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in TINY.items()))
    command = [
        sys.executable, "-m", "training", "fit", "--data", str(drawn_dataset), "--backbone",
        tiny_backbone, "--out", str(tmp_path / "out"), "--run", str(tmp_path / "run"),
        "--settings", str(settings), "--no-wandb",
    ]  # fmt: skip
    # one thread, as in this process: sums in another order differ in their last digits
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoint.pth").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    first = read_record(tmp_path / "run")["epochs"][0]
    again = fit(
        drawn_dataset, tiny_backbone, tmp_path / "run", FitSettings.model_validate(TINY),
        cache=tmp_path / "ideitify", resume=True,
    )  # fmt: skip
    assert np.abs(again.logits - fitted.logits).max() < 1e-3
    epochs = read_record(tmp_path / "run")["epochs"]
    assert len(epochs) == TINY["epochs"]
    assert epochs[0] == first, "an epoch that was finished was trained again"


def test_a_category_without_a_picture_to_train_on_is_named(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    rows = read_rows(drawn_dataset)
    alone = [row for row in rows if row["category"] == "none"][:1]
    (tmp_path / "images").symlink_to(drawn_dataset / "images")
    write_rows(tmp_path, [row for row in rows if row["category"] != "none"] + alone)
    with pytest.raises(DatasetError, match="no picture of 'none' is left to train on"):
        load_training_data(tmp_path, FitSettings.model_validate(TINY), tmp_path / "cache")


def test_fewer_pictures_than_a_batch_are_trained_on_all_the_same(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = FitSettings.model_validate(TINY | {"batch_size": 200, "epochs": 1})
    fit(drawn_dataset, tiny_backbone, tmp_path / "run", settings, cache=tmp_path)
    (epoch,) = read_record(tmp_path / "run")["epochs"]
    assert epoch["pictures_per_second"] > 0


def test_a_training_that_diverges_is_told_and_leaves_its_last_sound_epoch(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = FitSettings.model_validate(TINY)
    with pytest.raises(RunError, match="has diverged"):
        fit(
            drawn_dataset, tiny_backbone, tmp_path / "run", settings, cache=tmp_path,
            callbacks=[LossOfNothing(epoch=1)],
        )  # fmt: skip
    record = read_record(tmp_path / "run")
    assert [row["epoch"] for row in record["epochs"]] == [0]
    assert "final" not in record
    again = fit(
        drawn_dataset, tiny_backbone, tmp_path / "run", settings, cache=tmp_path, resume=True
    )
    assert np.isfinite(again.logits).all()


class LossOfNothing(Callback):
    """As after a rate that is too high."""

    def __init__(self, epoch: int) -> None:
        self.bad = epoch

    def after_loss(self) -> None:
        if self.training and self.epoch == self.bad:
            self.learn.loss_grad = self.learn.loss_grad * torch.nan
            self.learn.loss = self.learn.loss_grad


@pytest.mark.parametrize("labels", [2, 3])
def test_the_fitted_head_answers_like_the_logistic_regression(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, labels: int
) -> None:
    data = load_training_data(drawn_dataset, FitSettings.model_validate(TINY), tmp_path)
    chosen = np.flatnonzero(data.targets < labels)
    network = Network(find_backbone(tiny_backbone), labels, dropout=0)
    look = valid_transform(64, (0.5,) * 3, (0.5,) * 3)
    photos = PictureDataset(data.pixels, chosen, data.targets, look)
    fit_head(network, photos)
    features, targets = body_features(network, photos), data.targets[chosen]
    probe = LogisticRegression(C=0.01, max_iter=300).fit(features / features.std(), targets)
    with torch.no_grad():
        answered = network.head(torch.from_numpy(features)).softmax(dim=1).numpy()
    assert np.abs(answered - probe.predict_proba(features / features.std())).max() < 1e-3


def test_resuming_with_other_settings_is_refused(
    fitted, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    facts = {"backbone": "tiny", "fingerprint": "0" * 64, "settings": {}, "sides": ""}
    (tmp_path / "settings.json").write_text(json.dumps(facts))
    with pytest.raises(RunError, match="other fingerprint and settings"):
        fit(
            drawn_dataset, tiny_backbone, tmp_path, FitSettings.model_validate(TINY),
            cache=tmp_path / "cache", resume=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"--data": "/nowhere"}, "metadata.csv"),
        ({"--backbone": "no-such-network"}, "no backbone"),
        ({"--min-images": "500"}, "at least two are needed"),
        ({"--epochs": "0"}, "epochs"),
        ({"--settings": "/nowhere.toml"}, "cannot be read"),
    ],
)
def test_wrong_use_is_explained_with_exit_status_2(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    options = {
        "--data": str(drawn_dataset), "--backbone": tiny_backbone,
        "--out": str(tmp_path / "out"), "--run": str(tmp_path / "run"),
    } | change  # fmt: skip
    arguments = [part for option in options.items() for part in option]
    result = CliRunner().invoke(app, ["fit", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert reason in result.output
