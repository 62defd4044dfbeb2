"""Few pictures join as prototypes: honestly measured, at a bounded cost, exact in the bundle."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ideitify.bundle import verify_bundle
from ideitify.recognizer import Recognizer, softmax
from training import prototypes
from training.calibrate import fit_temperature
from training.export import Exported, export_bundle, rounded
from training.prototypes import (
    Prototypes,
    best_scale,
    choose_bias,
    find_space,
    leave_one_source_out,
    ranks_hit,
    scores,
    shrunk_means,
    sums_and_counts,
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
        (own_logit,) = found.logits(answer.embedding[None])[0]
        assert answer.activation_maps[-1].mean() == pytest.approx(own_logit, abs=1e-3)


def test_prototypes_can_be_left_out(fitted) -> None:
    settings = fitted.settings.model_copy(update={"prototypes": False})
    assert prototypes.find_prototypes(replace(fitted, settings=settings)) is None


def test_the_model_gives_every_prototype_its_logit(fitted) -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(5, fitted.network.head.in_features)).astype(np.float32)
    biases = rng.normal(size=5).astype(np.float32)
    few = Prototypes([*"abcde"], directions, biases, {}, {}, [])
    with torch.no_grad():
        logits, embedding, maps = Exported(fitted.network, few).eval()(torch.rand(2, 3, 64, 64))
        trained, _, _ = Exported(fitted.network).eval()(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, trained.shape[1] + 5)
    np.testing.assert_allclose(logits[:, -5:].numpy(), few.logits(embedding.numpy()), atol=1e-4)
    np.testing.assert_allclose(maps.mean((2, 3)).numpy(), logits.numpy(), atol=1e-5)


def test_a_picture_is_judged_without_pictures_of_its_source() -> None:
    vectors = 2 * np.eye(4, dtype=np.float32)
    targets, sources = np.array([0, 0, 1, 2]), np.array(["a", "b", "a", "b"])
    judged, seen = leave_one_source_out(vectors, targets, sources)
    assert judged.tolist() == [0, 1]  # classes 1 and 2 have one source alone
    # picture 0 (source a) sees class 0 as half of picture 1, class 2 as half of 3, and no class 1
    assert seen[0].tolist() == [-0.5, -np.inf, -0.5]
    assert seen[1].tolist() == [-0.5, -0.5, -np.inf]


def test_means_are_drawn_towards_the_centre_and_an_empty_class_is_there() -> None:
    vectors = np.array([[2, 0], [0, 2], [4, 0]], np.float32)
    means = shrunk_means(*sums_and_counts(vectors, np.array([0, 0, 2]), 3))
    np.testing.assert_allclose(means, [[2 / 3, 2 / 3], [0, 0], [2, 0]])


def test_the_space_makes_scatter_alike_and_its_rows_give_the_discriminants() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(4000) % 4
    spread = np.array([0.5, 1.0, 2.0, 3.0], np.float32)
    vectors = (rng.normal(size=(4000, 4)) * spread + 5 * targets[:, None]).astype(np.float32)
    space = find_space(vectors, targets)
    inside = space.enter(vectors)
    np.testing.assert_allclose(inside.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(inside[targets == 2].std(axis=0), 1, atol=0.1)

    means = shrunk_means(*sums_and_counts(inside, targets, 4))
    directions, offsets = space.leave(means)
    expected = scores(inside, means)
    np.testing.assert_allclose(vectors @ directions.T + offsets, expected, rtol=1e-3, atol=0.01)
    assert (expected.argmax(axis=1) == targets).mean() > 0.99


def likelihood(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    """Mean log-likelihood."""
    return float(np.log(softmax(logits / temperature)[np.arange(len(targets)), targets]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_bias_costs_no_more_than_allowed_and_a_larger_one_would(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 8, 400)
    logits = rng.normal(0, 1, (400, 8))
    logits[np.arange(400), targets] += 1.5
    rows = rng.normal(0, 1, (400, 30))
    bias = choose_bias(logits, rows, targets, none=7)
    deities = targets != 7

    temperature = fit_temperature(logits, targets)

    def lost(extra: float) -> np.ndarray:
        """What is lost, in multiples of what may be."""
        every = np.concatenate([logits, rows + bias + extra], axis=1)
        ranks = np.stack([
            (ranks_hit(logits, targets)[side].mean(0) - ranks_hit(every, targets)[side].mean(0))
            for side in (deities, ~deities)
        ])  # fmt: skip
        confidence = likelihood(logits, targets, temperature) - likelihood(
            every, targets, temperature
        )
        return np.append(ranks / 0.005, confidence / 0.02)

    assert (lost(0) <= 1 + 1e-6).all()
    assert (lost(1) > 1).any()


def test_rows_that_never_win_may_not_eat_the_confidence() -> None:
    targets = np.arange(400) % 8
    logits = np.full((400, 8), -5.0)
    logits[np.arange(400), targets] = 5
    logits[::9] = np.roll(logits[::9], 1, axis=1)  # some errors, else no temperature fits
    rows = np.zeros((400, 500))
    bias = choose_bias(logits, rows, targets, none=7)
    every = np.concatenate([logits, rows + bias], axis=1)
    temperature = fit_temperature(logits, targets)
    share = softmax(every / temperature)[:, 8:].sum(axis=1).mean()
    assert 0 < share < 0.025


def test_the_scale_that_answers_most_is_taken() -> None:
    hits = np.zeros((3, 10, 3), bool)
    hits[1, :4, 2] = True
    assert best_scale(hits) == 1
