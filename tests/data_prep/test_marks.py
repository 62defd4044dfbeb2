"""What a source prints on its pictures is found by what they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.marks import mark_scores
from data_prep.pixels import measure
from tests.data_prep.pictures import save_dataset, scene


def marked(image: Image.Image, text: str) -> Image.Image:
    """A shop's name across the picture, half transparent."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(34)
    draw.text((30, 150), text, fill=(255, 255, 255, 170), font=font)
    return Image.alpha_composite(image.convert("RGBA"), layer.rotate(20)).convert("RGB")


def test_a_mark_is_found_on_those_pictures_of_a_source_that_carry_it(tmp_path: Path) -> None:
    shop = {f"ganesha/{n}.png": marked(scene(n), "www.statues.example") for n in range(12)}
    bare = {f"ganesha/{n}.png": scene(n) for n in range(12, 15)}
    other = {f"shiva/{n}.png": scene(n) for n in range(20, 50)}
    groups = {name: {"group": "shop" if name in shop | bare else "museum"}
              for name in shop | bare | other}  # fmt: skip
    table = save_dataset(tmp_path, shop | bare | other, groups)
    measure(table, workers=1)
    scores = mark_scores(table, least=8).to_numpy()
    assert scores.shape == (45,)
    assert scores[:12].min() > 0.25, "marked"
    assert scores[12:].max() < 0.25, "the shop's other pictures, and the museum's"


def test_few_pictures_share_by_chance_and_are_not_asked(tmp_path: Path) -> None:
    pictures = {f"ganesha/{n}.png": marked(scene(n), "PREVIEW") for n in range(7)}
    table = save_dataset(tmp_path, pictures, {name: {"creator": "shop"} for name in pictures})
    measure(table, workers=1)
    assert not mark_scores(table, least=8).any()
    assert np.all(mark_scores(table, least=7) > 0.2)
