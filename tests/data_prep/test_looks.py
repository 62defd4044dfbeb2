"""Measures of a reduced picture are those of the whole one; layout is told from motif."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cleanvision.issue_managers.image_property import (
    BlurrinessProperty,
    calc_entropy,
    calc_percentile_brightness,
)
from PIL import Image, ImageDraw, ImageFont, ImageOps

from data_prep.looks import cleanvision_measures, layout_measures, mark_signature
from ideitify.photo import open_photo
from tests.data_prep.pictures import scene

LOREM = "the lord of wisdom removes what is in the way and is asked first before all work begins"


def text_card(ink: str, ground: str) -> Image.Image:
    image = Image.new("RGB", (420, 320), ground)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for line in range(8):
        draw.text((24, 20 + 34 * line), LOREM[line * 9 :][:30], fill=ink, font=font)
    return image


def collage(gap: int) -> Image.Image:
    image = Image.new("RGB", (600 + gap, 420), "white")
    image.paste(scene(11, (300, 420)), (0, 0))
    image.paste(scene(12, (300, 420)), (300 + gap, 0))
    return image


def page() -> Image.Image:
    """What a phone shows of a web page: bars, lines of text, a photo from edge to edge."""
    image = Image.new("RGB", (400, 800), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    draw.rectangle((0, 0, 400, 50), fill="#2244aa")
    for line in (70, 100, 560, 590, 650, 680):
        draw.text((16, line), LOREM[:42], fill="black", font=font)
    image.paste(scene(13, (400, 400)), (0, 140))
    return image


def cleanvision_says(whole: Image.Image) -> dict[str, float]:
    """CleanVision's own values of all pixels."""
    dark, light = calc_percentile_brightness(whole, [99, 5])
    width, height = whole.size
    return {
        "brightness_perc_99": dark,
        "brightness_perc_5": light,
        "entropy": calc_entropy(whole),
        **BlurrinessProperty().calculate(whole),
        "aspect_ratio": min(width / height, height / width),
        "size": (width * height) ** 0.5,
    }


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(2400, 1800), (900, 300), (300, 400)])
def test_measures_of_a_photo_are_those_of_its_pixels(
    tmp_path: Path, mode: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "a.jpg"
    scene(5, size).convert(mode).save(path, quality=92)
    reduced = open_photo(path, side=192)
    assert max(reduced.size) < 1000
    ours = cleanvision_measures(reduced, mode, size)
    assert ours == pytest.approx(cleanvision_says(Image.open(path)), rel=0.05, abs=0.01)


@pytest.mark.parametrize("size", [(60, 48), (1, 1), (64, 33)])
def test_a_small_picture_is_measured_as_cleanvision_does(size: tuple[int, int]) -> None:
    whole = scene(5, (240, 180)).resize(size)
    ours = cleanvision_measures(whole, "RGB", whole.size)
    assert ours == pytest.approx(cleanvision_says(whole), rel=1e-6, abs=0.01)


@pytest.mark.parametrize(("colour", "brightness"), [("black", 0), ("white", 1)])
def test_black_and_white_are_the_ends_of_brightness(colour: str, brightness: float) -> None:
    ours = cleanvision_measures(Image.new("RGB", (300, 300), colour), "RGB", (300, 300))
    for name in ("brightness_perc_99", "brightness_perc_5"):
        assert ours[name] == pytest.approx(brightness, abs=1e-6)


def test_black_beside_white_has_both_ends_of_brightness() -> None:
    halves = Image.new("RGB", (300, 300), "black")
    halves.paste("white", (150, 0, 300, 300))
    ours = cleanvision_measures(halves, "RGB", halves.size)
    assert (ours["brightness_perc_99"], ours["brightness_perc_5"]) == (1, 0)


def test_a_border_is_measured_and_the_ground_of_a_motif_is_not() -> None:
    framed = ImageOps.expand(scene(7, (300, 300)), 50, "white")
    assert layout_measures(framed)["border"] == pytest.approx(1 - (300 / 400) ** 2, abs=0.02)
    letterbox = ImageOps.expand(scene(7, (400, 300)), (0, 60), "black")
    assert layout_measures(letterbox)["border"] == pytest.approx(120 / 420, abs=0.02)
    cut_out = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(cut_out).ellipse((120, 40, 280, 360), fill="brown")
    assert layout_measures(cut_out)["border"] == 0


@pytest.mark.parametrize("gap", [0, 8])
def test_a_collage_has_a_seam_and_a_scene_has_none(gap: int) -> None:
    assert layout_measures(collage(gap))["seam"] > 0.75
    assert layout_measures(collage(gap).transpose(Image.Transpose.ROTATE_90))["seam"] > 0.75
    assert layout_measures(scene(11, (600, 420)))["seam"] < 0.5


@pytest.mark.parametrize("colours", [("black", "#eedd88"), ("white", "#102040")])
def test_the_edges_of_a_text_card_are_letters(colours: tuple[str, str]) -> None:
    assert layout_measures(text_card(*colours))["text"] > 0.9


def test_the_edges_of_a_scene_are_not_letters() -> None:
    assert layout_measures(scene(3))["text"] < 0.5


def test_a_page_has_bands_and_a_seam() -> None:
    measures = layout_measures(page())
    assert measures["bands"] >= 4
    assert measures["seam"] > 0.4


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (40, 40)])
def test_any_size_can_be_measured(size: tuple[int, int]) -> None:
    for image in (Image.new("RGB", size, "white"), scene(1).resize(size)):
        measures = cleanvision_measures(image, "RGB", size) | layout_measures(image)
        assert all(np.isfinite(value) for value in measures.values())
        assert len(mark_signature(image)) == 96 * 96
