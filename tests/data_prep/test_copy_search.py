from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageOps

from data_prep.candidates import SearchSettings
from data_prep.copy_search import find_copies
from data_prep.glance import fill_hashes
from data_prep.table import Table
from tests.data_prep.pictures import save_dataset, scene

SETTINGS = SearchSettings(neighbours=30, cosine=0)  # the tiny bundle sees colours alone


def found(table: Table, bundle: Path, **where: int) -> dict[tuple[str, str], str]:
    """Relation by the pair's names without `images/`."""
    fill_hashes(table, workers=1)
    pairs = find_copies(table, SETTINGS, bundle=str(bundle), **{"workers": 1, **where})
    return {
        tuple(sorted(name.removeprefix("images/") for name in (first, second))): str(relation)
        for first, second, relation in pairs[["first", "second", "relation"]].to_numpy()
    }


def other_version(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).ellipse((130, 60, 190, 130), fill="white", outline="black", width=6)
    return image


@pytest.fixture
def table(tmp_path: Path) -> Table:
    pictures = {f"zeus/{seed}.jpg": scene(seed) for seed in range(12)}
    pictures |= {
        "zeus/0-small.jpg": scene(0).resize((160, 120)),
        "hera/1-mirrored.jpg": ImageOps.mirror(scene(1)),
        "zeus/2-cropped.jpg": scene(2).crop((16, 12, 304, 228)),
        "zeus/3-bordered.jpg": ImageOps.expand(scene(3), 30, "black"),
        "zeus/4-changed.jpg": other_version(scene(4)),
        "hera/5-again.jpg": scene(5),
    }
    return save_dataset(tmp_path, pictures)


PAIRS = {
    ("zeus/0-small.jpg", "zeus/0.jpg"): "copy",
    ("hera/1-mirrored.jpg", "zeus/1.jpg"): "copy",
    ("zeus/2-cropped.jpg", "zeus/2.jpg"): "copy",
    ("zeus/3-bordered.jpg", "zeus/3.jpg"): "copy",
    ("zeus/4-changed.jpg", "zeus/4.jpg"): "related",
    ("hera/5-again.jpg", "zeus/5.jpg"): "copy",
}


def test_copies_are_found_within_and_across_categories_and_nothing_else(
    table: Table, tiny_bundle: Path
) -> None:
    assert found(table, tiny_bundle) == PAIRS


def test_several_processes_find_the_same(table: Table, tiny_bundle: Path) -> None:
    assert found(table, tiny_bundle, workers=2) == PAIRS


def test_the_order_of_the_rows_does_not_matter(table: Table, tiny_bundle: Path) -> None:
    assert found(Table(table.folder, table.rows[::-1].copy()), tiny_bundle) == PAIRS


def test_every_pair_is_looked_at_once_for_all_runs(table: Table, tiny_bundle: Path) -> None:
    found(table, tiny_bundle)
    for name in table.rows.index:
        table.path(name).unlink()
    assert found(table, tiny_bundle) == PAIRS


def test_what_an_interruption_cut_off_is_looked_at_again(table: Table, tiny_bundle: Path) -> None:
    found(table, tiny_bundle)
    (memory,) = (table.folder / ".data_prep").glob("copies-*.csv")
    memory.write_bytes(memory.read_bytes()[:-20])
    assert found(table, tiny_bundle) == PAIRS


def test_unreadable_pictures_are_in_no_pair(table: Table, tiny_bundle: Path) -> None:
    table.path("images/zeus/0-small.jpg").write_bytes(b"\xff\xd8\xff")
    table.path("images/zeus/2.jpg").unlink()
    pairs = {pair for pair in PAIRS if not {"zeus/0-small.jpg", "zeus/2.jpg"} & {*pair}}
    assert set(found(table, tiny_bundle)) == pairs


def test_rows_with_one_content_are_chained_to_the_first(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {f"zeus/{name}.png": scene(1) for name in "abcd"})
    pairs = {("zeus/a.png", f"zeus/{name}.png"): "copy" for name in "bcd"}
    assert found(table, tiny_bundle) == pairs


def test_no_picture_and_no_copy_give_an_empty_list(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {"zeus/a.png": scene(1), "zeus/b.png": scene(2)})
    for rows in (table.rows, table.rows.iloc[:0]):
        pairs = find_copies(Table(tmp_path, rows), SETTINGS, bundle=str(tiny_bundle), workers=1)
        assert isinstance(pairs, pd.DataFrame)
        assert list(pairs.columns) == ["first", "second", "relation"]
        assert pairs.empty
