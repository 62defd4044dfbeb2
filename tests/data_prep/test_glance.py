from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from data_prep.glance import fill_hashes, glance, glances
from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import open_photo
from tests.data_prep.pictures import save_dataset, scene


def seen(image: Image.Image, folder: Path) -> tuple[float, float]:
    image.save(folder / "picture.png")
    look = glance(str(folder / "picture.png"))
    return look.content, look.sharpness


def test_plain_margins_do_not_count_as_content(tmp_path: Path) -> None:
    bordered = ImageOps.expand(scene(1), (80, 60), "white")
    assert seen(scene(1), tmp_path)[0] == pytest.approx(1, abs=0.03)
    assert seen(bordered, tmp_path)[0] == pytest.approx(320 * 240 / (480 * 360), abs=0.03)


def test_a_plain_picture_is_all_content(tmp_path: Path) -> None:
    assert seen(Image.new("RGB", (60, 40), "white"), tmp_path)[0] == 1


def test_an_enlarged_thumbnail_is_less_sharp_than_its_original(tmp_path: Path) -> None:
    enlarged = scene(2).resize((80, 60)).resize((320, 240), Image.Resampling.BICUBIC)
    assert seen(enlarged, tmp_path)[1] < 0.7 * seen(scene(2), tmp_path)[1]


def test_a_border_does_not_make_a_picture_sharper(tmp_path: Path) -> None:
    bordered = ImageOps.expand(scene(3), 30, "black")
    assert seen(bordered, tmp_path)[1] == pytest.approx(seen(scene(3), tmp_path)[1], rel=0.1)


def test_hashes_are_filled_where_they_are_missing_and_the_picture_can_be_read(
    tmp_path: Path,
) -> None:
    pictures = {f"zeus/{name}.jpg": scene(4) for name in ("empty", "given", "broken", "wrong")}
    table = save_dataset(
        tmp_path,
        pictures,
        {
            "zeus/given.jpg": {"perceptual_hash": "0" * 16},
            "zeus/wrong.jpg": {"perceptual_hash": "p:12"},
        },
    )
    (tmp_path / "images/zeus/broken.jpg").write_bytes(b"\xff\xd8\xff")
    fill_hashes(table, workers=1)
    hashes = table.rows["perceptual_hash"].to_dict()
    expected = perceptual_hash(open_photo(tmp_path / "images/zeus/empty.jpg"))
    assert hashes == {
        "images/zeus/empty.jpg": expected,
        "images/zeus/given.jpg": "0" * 16,
        "images/zeus/broken.jpg": "",
        "images/zeus/wrong.jpg": expected,
    }


def test_a_missing_picture_has_no_glance(tmp_path: Path) -> None:
    table = save_dataset(tmp_path, {"zeus/a.jpg": scene(1)})
    assert (
        glances(table, ["images/zeus/a.jpg", "images/zeus/b.jpg"], workers=1)["images/zeus/b.jpg"]
        is None
    )


@pytest.mark.usefixtures("flawed_decoder")
def test_a_picture_that_ends_the_process_cannot_be_read_and_the_others_can(tmp_path: Path) -> None:
    table = save_dataset(tmp_path, {f"zeus/{seed}.jpg": scene(seed) for seed in range(4)})
    names = [str(name) for name in table.rows.index]
    table.path(names[2]).write_bytes(b"GIF89a" + bytes(100))
    looks = glances(table, names, workers=2)
    assert [name for name, look in looks.items() if look is None] == [names[2]]
