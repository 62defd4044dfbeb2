"""The bundle's map is Grad-CAM's; scores of maps tell good ones from bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from ideitify.dataset import Picture
from tests.training.conftest import Trained
from training.__main__ import app
from training.explain import (
    ABOVE_MEAN,
    LOGIT,
    OWN,
    Explanation,
    deletion_and_insertion,
    rank_correlation,
    summary,
)

pytestmark = pytest.mark.xdist_group("trained")  # one worker trains for all


def test_grad_cam_above_the_mean_orders_pixels_as_the_bundle_does(
    trained: Trained,
    tmp_path: Path,
) -> None:
    command = [
        "explain", str(trained.bundle), "--data", str(trained.data), "--run", str(trained.run),
        "--backbone", trained.backbone, "--out", str(tmp_path), "--pictures", "9",
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "explanation.json").read_text())
    assert figures["all"][OWN]["deletion"]["pictures"] == 9
    assert sum(figures[name][OWN]["deletion"]["pictures"] for name in figures) == 18
    # not exactly 1: the layers' biases, a constant a map, move where both are cut off at 0
    assert figures["all"][ABOVE_MEAN]["rank correlation"]["value"] > 0.9
    for method in (OWN, ABOVE_MEAN, LOGIT):
        for estimate in figures["all"][method].values():
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert "all: bundle: insertion 0." in result.output
    assert Image.open(tmp_path / "contact_sheet.jpg").size == (4 * 224, 20 + 6 * 224)


class RedTopLeft(nn.Module):
    """Two labels; the second is sure where the top left quarter of the photo is red."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        side = photos.shape[-1] // 2
        red = photos[:, 0, :side, :side].mean((1, 2))
        return torch.stack([torch.zeros_like(red), 20 * red - 10], 1)


def test_a_map_of_the_right_place_is_better_deleted_and_inserted_than_one_of_the_wrong() -> None:
    photo = torch.zeros(1, 3, 64, 64)
    photo[:, 0, :32, :32] = 1
    right = np.zeros((64, 64), np.float32)
    right[:32, :32] = 1
    good = deletion_and_insertion(RedTopLeft(), photo, right, 1, 1.0)
    bad = deletion_and_insertion(RedTopLeft(), photo, 1 - right, 1, 1.0)
    assert good[0] < 0.25 < 0.75 < bad[0]
    assert good[1] > bad[1]


def test_rank_correlation_is_of_ranks_and_unknown_for_an_even_map() -> None:
    heat = np.arange(16.0).reshape(4, 4)
    assert rank_correlation(heat, heat**3) == pytest.approx(1)
    assert rank_correlation(heat, -heat) == pytest.approx(-1)
    assert np.isnan(rank_correlation(heat, np.zeros((4, 4))))


def test_means_have_intervals_over_sources_and_leave_out_what_is_unknown() -> None:
    def explained(value: float, group: str, correlation: float) -> Explanation:
        picture = Picture(Path("a.jpg"), "ganesha", group, {})
        figures = {OWN: {"deletion": value}, LOGIT: {"rank correlation": correlation}}
        return Explanation(picture, "ganesha", {}, figures)

    unknown = float("nan")
    figures = summary([
        explained(0.2, "one", 0.5), explained(0.2, "one", unknown), explained(0.2, "one", unknown),
        explained(0.6, "two", unknown),
    ])  # fmt: skip
    deletion = figures["deity, guessed"][OWN]["deletion"]
    assert (deletion.value, deletion.pictures) == (pytest.approx(0.3), 4)
    assert (deletion.low, deletion.high) == (0.2, 0.6)  # as two sources cannot tell more
    assert figures["all"][LOGIT]["rank correlation"].pictures == 1
    nothing = summary([explained(0.2, "one", unknown)])
    assert nothing["all"][LOGIT] == {}


def test_a_bundle_without_its_run_is_refused(trained: Trained, tmp_path: Path) -> None:
    command = ["explain", str(trained.bundle), "--data", str(trained.data), "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "is not the folder of a run" in result.output
