"""A small drawn dataset and a small random backbone, so that training really runs in the tests."""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from ideitify.dataset import COLUMNS, read_rows, write_rows
from training.export import export_bundle
from training.settings import FitSettings
from training.train import fit

DRAWN = {"ganesha": "ellipse", "shiva": "polygon", "none": "line"}
PICTURES_EACH, SOURCES = 12, 4


def draw(shape: str, rng: np.random.Generator) -> Image.Image:
    """A coloured shape at a random place: easy to learn, different every time."""
    colour = {"ellipse": (200, 60, 40), "polygon": (40, 80, 200), "line": (60, 160, 60)}[shape]
    image = Image.new("RGB", (96, 80), tuple(int(c) for c in rng.integers(150, 255, 3)))
    x, y = (int(v) for v in rng.integers(5, 30, 2))
    pen = ImageDraw.Draw(image)
    if shape == "ellipse":
        pen.ellipse((x, y, x + 40, y + 40), fill=colour)
    elif shape == "polygon":
        pen.polygon([(x, y + 40), (x + 20, y), (x + 40, y + 40)], fill=colour)
    else:
        pen.line((x, y, x + 40, y + 40), fill=colour, width=6)
    return image


@pytest.fixture(scope="session")
def drawn_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder of three classes with 12 pictures from four sources each."""
    folder = tmp_path_factory.mktemp("drawn")
    rng, rows = np.random.default_rng(0), []
    for category, shape in DRAWN.items():
        (folder / "images" / category).mkdir(parents=True)
        for number in range(PICTURES_EACH):
            path = folder / "images" / category / f"{number}.png"
            draw(shape, rng).save(path)
            rows.append({
                "file_name": path.relative_to(folder).as_posix(), "category": category,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "status": "kept",
                "perceptual_hash": f"{rng.integers(2**63):016x}",
                "group": f"source-{number % SOURCES}", "license": "CC0-1.0",
            })  # fmt: skip
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def with_rows(data: Path, folder: Path, rows: list[dict[str, str]]) -> Path:
    """The same pictures under another table, in a new folder."""
    folder.mkdir()
    (folder / "images").symlink_to(data / "images")
    write_rows(folder, rows)
    return folder


def regrouped(data: Path, folder: Path) -> Path:
    """The same pictures with the same labels, but from other sources."""
    rows = [
        row | {"group": f"other-{number % PICTURES_EACH // 3}"}
        for number, row in enumerate(read_rows(data))
    ]
    return with_rows(data, folder, rows)


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small timm network with random weights, as a local weights file with its JSON."""
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)  # the same in every process, so that what is learned from it is, too
    model = timm.create_model("mobilenetv3_small_050", num_classes=3)
    save_file(model.state_dict(), folder / "tiny.safetensors")
    description = {
        "name": "tiny", "arch": "mobilenetv3_small_050", "model_kwargs": {}, "num_classes": 3,
        "mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 64, 64], "crop_pct": 1.0,
        "interpolation": "bilinear", "licence": "CC0-1.0", "source": {"repo": "here", "path": "x"},
    }  # fmt: skip
    (folder / "tiny.json").write_text(json.dumps(description))
    return str(folder / "tiny")


BRIEF = {
    "epochs": 1, "train_size": 64, "valid_size": 64, "batch_size": 8, "precision": "fp32",
    "valid_share": 0.25,
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """What `fit` leaves behind."""

    bundle: Path
    run: Path
    data: Path
    backbone: str


@pytest.fixture(scope="session")
def trained(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network whose stock form timm has, with arguments of its own."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    model = timm.create_model("test_efficientnet", num_classes=3, pad_type="same")
    save_file(model.state_dict(), folder / "small.safetensors")
    description = {
        "name": "small", "arch": "test_efficientnet", "model_kwargs": {"pad_type": "same"},
        "num_classes": 3, "mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 64, 64],
        "crop_pct": 1.0, "interpolation": "bilinear", "licence": "CC0-1.0",
        "source": {"repo": "here", "path": "x"},
    }  # fmt: skip
    (folder / "small.json").write_text(json.dumps(description))
    backbone = str(folder / "small")
    settings = FitSettings.model_validate(BRIEF)
    fitted = fit(drawn_dataset, backbone, folder / "run", settings, cache=folder / "cache")
    export_bundle(fitted, folder / "bundle", "tiny")
    return Trained(folder / "bundle", folder / "run", drawn_dataset, backbone)
