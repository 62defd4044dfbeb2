"""Pictures and dataset folders for tests, made here: patterns that look like nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data_prep.table import Table, read_table
from ideitify.dataset import write_rows
from ideitify.files import sha256_of


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with shapes of all sizes, different for every seed."""
    rng = np.random.default_rng(seed)
    width, height = size
    ground = Image.fromarray(rng.integers(0, 255, (3, 4, 3), dtype=np.uint8))
    image = ground.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(4, width / 4, 2)
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=colour)
    return image


def save_dataset(
    folder: Path,
    pictures: Mapping[str, Image.Image],
    columns: Mapping[str, Mapping[str, str]] | None = None,
) -> Table:
    """Write a dataset folder.

    Args:
        pictures: by `<category>/<name>`, the name with its suffix.
        columns: further columns of rows, by the same name.
    """
    rows = []
    for name, image in pictures.items():
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=90)
        row = {
            "file_name": f"images/{name}",
            "category": name.split("/")[0],
            "sha256": sha256_of(path),
            "width": str(image.width),
            "height": str(image.height),
            "status": "kept",
        }
        rows.append(row | dict((columns or {}).get(name, {})))
    write_rows(folder, rows)
    return read_table(folder)


def statuses(table: Table, names: Iterable[str]) -> list[str]:
    """The status of each of these pictures."""
    return [str(table.rows.at[f"images/{name}", "status"]) for name in names]
