"""The heat map shows where the evidence for a deity is, and lies where it belongs on the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ideitify import Answer, Candidate, Recognizer, Verdict
from ideitify.heatmap import MAX_SIDE, HeatMapError, heat_map, heat_overlay
from tests.tiny import BLUE, GREY, LABELS, RED, picture


def answer_of(maps: np.ndarray) -> Answer:
    """An answer with these activation maps (labels, h, w), Ganesha first."""
    embedding = np.ones(1, np.float32)
    labels = tuple(LABELS[: len(maps)])
    return Answer(Verdict.DEITY, [Candidate("ganesha", 0.9)], 0.0, embedding, maps, labels)


def brightness(image: Image.Image, x: float, y: float) -> int:
    """Lightness 0..255 at a place given as shares of width and height."""
    place = int(x * (image.width - 1)), int(y * (image.height - 1))
    return image.convert("L").getpixel(place)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle)


def test_each_deity_is_warm_where_its_colour_is(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(RED, BLUE, BLUE, BLUE))
    red_part, blue_part = heat_map(answer, "ganesha"), heat_map(answer, "krishna")
    assert red_part[:, 0].min() > 0.9
    assert red_part[:, 1:].max() == 0
    assert blue_part[:, 0].max() == 0
    assert blue_part[:, 1:].min() > 0.9


def test_the_first_candidate_is_meant_when_none_is_named(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(BLUE, BLUE, RED, BLUE))
    np.testing.assert_array_equal(heat_map(answer), heat_map(answer, "krishna"))


def test_the_formula_is_the_documented_one() -> None:
    maps = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    expected = np.maximum(maps[1] - maps.mean(axis=0), 0)
    np.testing.assert_allclose(
        heat_map(answer_of(maps), "krishna"), expected / expected.max(), rtol=1e-6
    )


def test_what_a_cell_adds_to_all_labels_alike_does_not_show() -> None:
    maps = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    everywhere = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_allclose(
        heat_map(answer_of(maps)), heat_map(answer_of(maps + everywhere)), atol=1e-5
    )


def test_heat_is_float32_from_0_to_1() -> None:
    heat = heat_map(answer_of(np.random.default_rng(3).normal(size=(4, 7, 7)) * 1000))
    assert heat.dtype == np.float32
    assert heat.shape == (7, 7)
    assert heat.min() == 0
    assert heat.max() == 1


def test_no_evidence_is_no_heat() -> None:
    assert heat_map(answer_of(np.ones((4, 7, 7), np.float32))).max() == 0


def test_an_unknown_label_is_refused_with_those_that_are_close() -> None:
    with pytest.raises(
        HeatMapError, match=r"^The model does not know 'ganesh': did you mean ganesha\?$"
    ):
        heat_map(answer_of(np.ones((4, 7, 7), np.float32)), "ganesh")


@pytest.mark.parametrize("deity", ["nobody", "zeus"])
def test_an_unlike_label_is_refused_with_where_the_labels_are_listed(deity: str) -> None:
    with pytest.raises(HeatMapError) as error:
        heat_map(answer_of(np.ones((4, 7, 7), np.float32)), deity)
    assert str(error.value) == (
        f"The model does not know {deity!r}: `python -m ideitify info` lists its labels, "
        "/api/deities every entry."
    )


def test_the_overlay_is_bright_where_the_heat_is() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[6, 1] = 1
    overlay = heat_overlay(picture(GREY, side=320), heat, "squish")
    assert brightness(overlay, 1.5 / 8, 6.5 / 8) > 3 * brightness(overlay, 6.5 / 8, 1.5 / 8)


def test_the_overlay_can_be_read_without_seeing_colours() -> None:
    heat = np.tile(np.linspace(0, 1, 8, dtype=np.float32), (8, 1))
    overlay = heat_overlay(picture(GREY, side=320), heat, "squish").convert("L")
    row = np.asarray(overlay)[160].astype(int)
    assert (np.diff(row) >= -1).all(), "hotter is never darker"
    assert row[-1] - row[0] > 100


def test_the_overlay_keeps_the_photo_visible() -> None:
    overlay = heat_overlay(picture((0,) * 3, (255,) * 3), np.zeros((8, 8), np.float32), "squish")
    assert brightness(overlay, 0.75, 0.5) - brightness(overlay, 0.25, 0.5) > 60


@pytest.mark.parametrize(
    ("size", "warm", "cold"),
    [((400, 200), (0.5, 0.05), (0.05, 0.5)), ((200, 400), (0.05, 0.5), (0.5, 0.05))],
    ids=["wide", "tall"],
)
def test_padding_of_the_model_input_is_no_part_of_the_overlay(size, warm, cold) -> None:
    """The heat sits in the middle of the square: at the edge of the photo that padding adjoins."""
    heat = np.zeros((16, 16), np.float32)
    if size[0] > size[1]:
        heat[4:6, 4:12] = 1  # the photo covers rows 4 to 12
    else:
        heat[4:12, 4:6] = 1
    overlay = heat_overlay(Image.new("RGB", size, GREY), heat, "pad")
    assert overlay.size == size
    assert brightness(overlay, *warm) > brightness(overlay, *cold) + 80


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (1281, 7), (1, 1), (37, 23)])
@pytest.mark.parametrize("resize", ["squish", "pad"])
def test_the_overlay_has_the_shape_of_the_photo_and_bounded_sides(size, resize) -> None:
    overlay = heat_overlay(Image.new("RGB", size, GREY), np.eye(8, dtype=np.float32), resize)
    assert overlay.mode == "RGB"
    assert max(overlay.size) == min(max(size), MAX_SIDE)
    scale = overlay.width / size[0]
    assert abs(overlay.height - size[1] * scale) <= 1


def test_the_photo_itself_is_left_alone() -> None:
    photo = picture(RED, BLUE)
    before = photo.tobytes()
    heat_overlay(photo, np.eye(8, dtype=np.float32), "squish")
    assert photo.tobytes() == before
