from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from data_prep.copies import (
    Comparisons,
    Overlay,
    Relation,
    compare,
    compare_task,
    features_of,
    mirrored,
)
from tests.data_prep.pictures import scene

REAL_DATA = Path(__file__).parents[3] / "shared" / "deities"


def relation(folder: Path, first: Image.Image, second: Image.Image, quality: int = 90) -> Relation:
    """What the two are to each other, as files."""
    first.save(folder / "first.jpg", quality=90)
    second.save(folder / "second.jpg", quality=quality)
    overlay = compare(features_of(folder / "first.jpg"), features_of(folder / "second.jpg"))
    return overlay.relation


def hue_turned(image: Image.Image) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point(lambda v: (v + 40) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def muted(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(image).enhance(0.4)


CHANGES = {
    "larger": lambda image: image.resize((640, 480)),
    "smaller": lambda image: image.resize((128, 96)),
    "stretched": lambda image: image.resize((340, 240)),
    "cropped": lambda image: image.crop((24, 6, 312, 222)),
    "bordered": lambda image: ImageOps.expand(image, (40, 25), "white"),
    "mirrored": ImageOps.mirror,
    "mirrored and cropped": lambda image: ImageOps.mirror(image).crop((6, 20, 294, 236)),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "of more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "turned upside down": lambda image: image.rotate(180),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_that_was(change: str, tmp_path: Path) -> None:
    assert relation(tmp_path, scene(1), CHANGES[change](scene(1))) is Relation.COPY


def test_a_picture_of_muted_colours_that_was_turned_in_hue(tmp_path: Path) -> None:
    assert relation(tmp_path, muted(scene(1)), hue_turned(muted(scene(1)))) is Relation.COPY


def test_a_strongly_compressed_picture_is_a_copy(tmp_path: Path) -> None:
    assert relation(tmp_path, scene(2), scene(2), quality=15) is Relation.COPY


@pytest.mark.parametrize("other", range(3, 8))
def test_another_picture_is_no_copy(other: int, tmp_path: Path) -> None:
    assert relation(tmp_path, scene(2), scene(other)) is Relation.OTHER


def test_two_pictures_with_one_banner_are_no_copies(tmp_path: Path) -> None:
    banner = scene(9, (320, 50))
    first, second = scene(3), scene(4)
    first.paste(banner, (0, 95))
    second.paste(banner, (0, 95))
    assert relation(tmp_path, first, second) is Relation.OTHER


def test_a_detail_is_related_but_no_copy(tmp_path: Path) -> None:
    detail = scene(5, (640, 480)).crop((150, 100, 400, 290)).resize((320, 243))
    assert relation(tmp_path, scene(5, (640, 480)), detail) is Relation.RELATED


def test_another_attribute_in_the_same_picture_is_related_but_no_copy(tmp_path: Path) -> None:
    changed = scene(6)
    ImageDraw.Draw(changed).ellipse((130, 60, 190, 130), fill="white", outline="black", width=6)
    assert relation(tmp_path, scene(6), changed) is Relation.RELATED


def test_of_two_flat_pictures_nobody_can_tell(tmp_path: Path) -> None:
    white, grey = (Image.new("RGB", (200, 200), colour) for colour in ("white", "silver"))
    assert relation(tmp_path, white, grey) is Relation.OTHER


def test_features_of_the_mirror_image_need_not_be_looked_for(tmp_path: Path) -> None:
    scene(7).save(tmp_path / "a.png")
    ImageOps.mirror(scene(7)).save(tmp_path / "b.png")
    told, found = mirrored(features_of(tmp_path / "a.png")), features_of(tmp_path / "b.png")
    away = np.abs(told.points[:, None] - found.points[None]).sum(axis=2)
    same = away.min(axis=1) < 1
    assert same.mean() > 0.8
    distances = np.linalg.norm(
        told.descriptors[:, None].astype(float) - found.descriptors[None], axis=2
    )
    nearest = distances.argmin(axis=1)
    assert np.mean(away[np.arange(len(nearest)), nearest][same] < 2) > 0.9


def test_the_answer_is_the_same_every_time(tmp_path: Path) -> None:
    scene(8).save(tmp_path / "a.jpg")
    scene(8).crop((20, 20, 300, 230)).save(tmp_path / "b.jpg")
    first, second = features_of(tmp_path / "a.jpg"), features_of(tmp_path / "b.jpg")
    assert len({compare(first, second) for _ in range(3)}) == 1


def test_a_picture_that_cannot_be_read_is_compared_with_nothing(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    paths = {"g": str(tmp_path / "good.jpg"), "b": str(tmp_path / "bad.jpg")}
    answers = compare_task(Comparisons((("g", "b"), ("g", "g")), paths))
    assert answers[0] is None
    assert answers[1] == Overlay(1.0, 1.0, 0.0)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="NEEDS the labelled dataset beside the checkout")
@pytest.mark.parametrize("change", ["cropped by a tenth", "bordered", "mirrored", "grey"])
def test_real_statues_are_told_apart_from_each_other_and_not_from_their_copies(
    change: str, tmp_path: Path
) -> None:
    paths = sorted(REAL_DATA.glob("images/ganesha/*.jpg"))[:8]
    copies = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        if change == "cropped by a tenth":
            width, height = image.size
            image = image.crop((0, 0, round(0.9 * width), round(0.9 * height)))
        else:
            image = CHANGES[change](image)
        copies.append(tmp_path / path.name)
        image.save(copies[-1], quality=80)
    first, second = [features_of(path) for path in paths], [features_of(path) for path in copies]
    relations = [[compare(one, other).relation for other in second] for one in first]
    assert [row.index(Relation.COPY) for row in relations] == list(range(8))
    assert sum(row.count(Relation.COPY) for row in relations) == 8
