"""Few pictures join as prototypes: honestly measured, at a bounded cost, exact in the bundle."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ideitify.bundle import verify_bundle
from ideitify.recognizer import Recognizer
from training import prototypes
from training.export import Exported, export_bundle, rounded
from training.prototypes import (
    Prototypes,
    best_scale,
    choose_bias,
    class_means,
    leave_one_source_out,
    ranks_hit,
)
from training.settings import FitSettings
from training.train import fit

TINY = {
    "epochs": 1, "train_size": 64, "valid_size": 64, "batch_size": 8, "learning_rate": 2e-3,
    "precision": "fp32", "ema_decay": 0.5, "valid_share": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn dataset with four striped pictures of Krishna, and two of a nobody."""
    folder = tmp_path_factory.mktemp("few") / "data"
    shutil.copytree(drawn_dataset, folder)
    rng = np.random.default_rng(1)
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for category, count in (("krishna", 4), ("nobody-knows", 2)):
        (folder / "images" / category).mkdir()
        for number in range(count):
            pixels = np.zeros((80, 96, 3), np.uint8)
            pixels[:, :: 2 + number % 2] = 255 - rng.integers(0, 40, 3).astype(np.uint8)
            name = f"images/{category}/{number}.png"
            Image.fromarray(pixels).save(folder / name)
            rows.append(
                dict.fromkeys(rows[0], "")
                | {"file_name": name, "category": category, "status": "kept",
                   "group": f"striped-{number % 2}"}
            )  # fmt: skip
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def fitted(dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("fit")
    settings = FitSettings.model_validate(TINY)
    return fit(dataset, tiny_backbone, folder / "run", settings, cache=folder / "cache")


def test_a_small_category_is_answered_by_the_bundle_with_an_exact_map(
    fitted, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = export_bundle(fitted, tmp_path / "bundle", "tiny")
    assert "no knowledge entry, so no prototype: nobody-knows" in capsys.readouterr().err
    assert manifest == verify_bundle(tmp_path / "bundle")
    assert manifest.labels == ["ganesha", "none", "shiva", "krishna"]
    assert manifest.prototypes == ["krishna"]
    assert manifest.metrics["few pictures"]["accuracy"].pictures == 4
    assert manifest.training["few_pictures"]["cost"]["accuracy"] <= 0.005
    assert manifest.metrics["validation"]["accuracy"].pictures == len(fitted.valid)

    found = prototypes.find_prototypes(rounded(fitted))
    paths = sorted((dataset / "images" / "krishna").iterdir())
    for answer in Recognizer(tmp_path / "bundle").recognize_many(paths):
        (cosine_logit,) = found.logits(answer.embedding[None])[0]
        assert answer.activation_maps[-1].mean() == pytest.approx(cosine_logit, abs=1e-3)


def test_prototypes_can_be_left_out(fitted) -> None:
    object.__setattr__(fitted, "settings", fitted.settings.model_copy(update={"prototypes": False}))
    try:
        assert prototypes.find_prototypes(fitted) is None
    finally:
        object.__setattr__(fitted, "settings", FitSettings.model_validate(TINY))


def test_the_model_gives_every_prototype_its_cosine(fitted) -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(5, fitted.network.head.in_features)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    few = Prototypes([*"abcde"], directions, 16.0, -3.0, {}, {}, np.empty((0, 5)))
    with torch.no_grad():
        logits, embedding, maps = Exported(fitted.network, few).eval()(torch.rand(2, 3, 64, 64))
        trained, _, _ = Exported(fitted.network).eval()(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, trained.shape[1] + 5)
    expected = 16 * embedding.numpy() @ directions.T - 3
    np.testing.assert_allclose(logits[:, -5:].numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(maps.mean((2, 3)).numpy(), logits.numpy(), atol=1e-5)


def test_a_picture_is_judged_without_pictures_of_its_source() -> None:
    embeddings = np.eye(4, dtype=np.float32)[[0, 1, 2, 3]]
    targets, sources = np.array([0, 0, 1, 2]), np.array(["a", "b", "a", "b"])
    judged, cosines = leave_one_source_out(embeddings, targets, sources)
    assert judged.tolist() == [0, 1]  # classes 1 and 2 have one source alone
    # picture 0 (source a) sees class 0 as picture 1, class 2 as picture 3, and no class 1
    assert cosines[0].tolist() == [0, -1, 0]
    assert cosines[1].tolist() == [0, 0, -1]


def test_class_means_have_unit_length_and_an_empty_class_is_zero() -> None:
    means = class_means(np.array([[1, 0], [0, 1]], np.float32), np.array([0, 0]), 2)
    np.testing.assert_allclose(means, [[0.5**0.5, 0.5**0.5], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_bias_costs_no_more_than_allowed_and_a_larger_one_would(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 8, 400)
    logits = rng.normal(0, 1, (400, 8))
    logits[np.arange(400), targets] += 1.5
    rows = rng.normal(0, 1, (400, 30))
    bias = choose_bias(logits, rows, targets, none=7)
    deities = targets != 7

    def lost(extra: float) -> np.ndarray:
        every = np.concatenate([logits, rows + bias + extra], axis=1)
        return np.stack([
            (ranks_hit(logits, targets)[side].mean(0) - ranks_hit(every, targets)[side].mean(0))
            for side in (deities, ~deities)
        ])  # fmt: skip

    assert (lost(0) <= 0.005 + 1e-9).all()
    assert (lost(1) > 0.005).any()


def test_the_scale_that_answers_most_is_taken() -> None:
    hits = np.zeros((3, 10, 3), bool)
    hits[1, :4, 2] = True
    assert best_scale(hits) == 1
