"""The picture at the head of a data set's page: a few of its own, in the size that Kaggle cuts."""

from __future__ import annotations

from PIL import Image, ImageOps

from data_prep.publish.selection import Picture, Selection
from ideitify.dataset import NONE_CATEGORY
from ideitify.photo import open_photo

SIDE = 140  # pixels of one tile
COLUMNS, ROWS = 4, 2  # 560 × 280, the least that Kaggle takes


def cover(selection: Selection) -> Image.Image:
    """A picture of each of the largest categories, again from the first where there are too few."""
    pictures = _one_of_each(selection)
    image = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE))
    for number in range(COLUMNS * ROWS):
        photo = open_photo(pictures[number % len(pictures)].path, side=SIDE)
        tile = ImageOps.fit(photo, (SIDE, SIDE), centering=(0.5, 0.3))  # where a figure's face is
        image.paste(tile, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    return image


def _one_of_each(selection: Selection) -> list[Picture]:
    by_category = {picture.row["category"]: picture for picture in reversed(selection.pictures)}
    sizes = selection.count("category")
    chosen = [category for category in sizes if category != NONE_CATEGORY] or list(sizes)
    return [by_category[category] for category in chosen[: COLUMNS * ROWS]]
