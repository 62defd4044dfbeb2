from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageOps

from data_prep.duplicates import DuplicatesSettings, duplicates
from data_prep.table import Table, read_table
from tests.data_prep.pictures import save_dataset, scene, statuses


@pytest.fixture
def prepare(tmp_path: Path, tiny_bundle: Path):
    """Run the step on pictures, with further columns."""

    def run(
        pictures: Mapping[str, Image.Image], columns: Mapping[str, Mapping[str, str]] | None = None
    ) -> Table:
        table = save_dataset(tmp_path / "dataset", pictures, columns)
        return duplicates(table, DuplicatesSettings(), workers=1, bundle=str(tiny_bundle))

    return run


def cell(table: Table, name: str, column: str) -> str:
    return str(table.rows.at[f"images/{name}", column])


def test_the_largest_copy_is_kept_and_the_others_say_of_which_they_are_copies(prepare) -> None:
    table = prepare({"zeus/a.jpg": scene(1).resize((160, 120)), "zeus/b.jpg": scene(1)})
    assert statuses(table, ["zeus/a.jpg", "zeus/b.jpg"]) == ["rejected", "kept"]
    assert cell(table, "zeus/a.jpg", "reject_reason") == "near duplicate of images/zeus/b.jpg"
    assert cell(table, "zeus/a.jpg", "duplicate_of") == "images/zeus/b.jpg"
    assert cell(table, "zeus/b.jpg", "duplicate_of") == ""


def test_a_border_does_not_make_a_copy_larger(prepare) -> None:
    bordered = ImageOps.expand(scene(1), 40, "white")
    table = prepare({"zeus/a.jpg": bordered, "zeus/b.jpg": scene(1)})
    assert statuses(table, ["zeus/a.jpg", "zeus/b.jpg"]) == ["rejected", "kept"]


def test_of_equally_large_copies_the_sharpest_is_kept(prepare) -> None:
    blurred = scene(1).resize((80, 60)).resize((320, 240), Image.Resampling.BICUBIC)
    table = prepare({"zeus/a.jpg": blurred, "zeus/b.jpg": scene(1)})
    assert statuses(table, ["zeus/a.jpg", "zeus/b.jpg"]) == ["rejected", "kept"]


def test_of_equally_good_copies_the_freest_is_kept_then_the_oldest(prepare) -> None:
    licences = {"a": "CC-BY-NC-4.0", "b": "CC0-1.0", "c": "unknown", "d": "CC-BY-4.0"}
    columns = {
        f"zeus/{name}.png": {"license": licence, "retrieved_at": f"2025-01-0{5 - place}"}
        for place, (name, licence) in enumerate(licences.items())
    }
    table = prepare({name: scene(1) for name in columns}, columns)
    kept = table.rows.index[table.rows["status"] == "kept"]
    assert list(kept) == ["images/zeus/d.png"]


def test_pictures_with_the_same_bytes_are_called_exact_duplicates(prepare) -> None:
    table = prepare({"zeus/a.png": scene(1), "zeus/b.png": scene(1)})
    assert cell(table, "zeus/b.png", "reject_reason") == "exact duplicate of images/zeus/a.png"


def test_nothing_is_deleted(prepare) -> None:
    table = prepare({"zeus/a.png": scene(1), "zeus/b.png": scene(1), "zeus/c.png": scene(2)})
    assert len(table.rows) == 3
    assert all(table.path(name).is_file() for name in table.rows.index)


def test_one_picture_under_two_categories_goes_to_review_in_both(prepare) -> None:
    table = prepare(
        {
            "zeus/large.jpg": scene(1),
            "zeus/small.jpg": scene(1).resize((160, 120)),
            "poseidon/mirrored.jpg": ImageOps.mirror(scene(1)),
        }
    )
    names = ["zeus/large.jpg", "zeus/small.jpg", "poseidon/mirrored.jpg"]
    assert statuses(table, names) == ["review", "rejected", "review"]
    assert cell(table, "poseidon/mirrored.jpg", "reject_reason") == (
        "label conflict: the same picture is under zeus (images/zeus/large.jpg)"
    )


def test_a_persons_decision_settles_a_conflict_and_is_not_touched(prepare) -> None:
    table = prepare(
        {"zeus/large.jpg": scene(1), "poseidon/small.jpg": scene(1).resize((160, 120))},
        {"poseidon/small.jpg": {"decided_by": "asha"}},
    )
    assert statuses(table, ["zeus/large.jpg", "poseidon/small.jpg"]) == ["rejected", "kept"]
    reason = cell(table, "zeus/large.jpg", "reject_reason")
    assert reason == "near duplicate of images/poseidon/small.jpg"


def test_copies_that_a_person_kept_all_stay_in_one_group(prepare) -> None:
    names = ["zeus/a.jpg", "zeus/b.jpg"]
    columns = {name: {"decided_by": "asha", "group": f"source of {name}"} for name in names}
    table = prepare({"zeus/a.jpg": scene(1), "zeus/b.jpg": scene(1).resize((200, 150))}, columns)
    assert statuses(table, names) == ["kept", "kept"]
    assert {cell(table, name, "group") for name in names} == {"source of zeus/a.jpg"}


def test_a_doubtful_copy_gives_way_to_one_without_doubt(prepare) -> None:
    table = prepare(
        {"zeus/large.jpg": scene(1), "zeus/small.jpg": scene(1).resize((200, 150))},
        {"zeus/large.jpg": {"status": "review", "reject_reason": "watermark"}},
    )
    assert statuses(table, ["zeus/large.jpg", "zeus/small.jpg"]) == ["rejected", "kept"]


def test_rejected_pictures_are_left_out(prepare) -> None:
    table = prepare(
        {"zeus/large.jpg": scene(1), "zeus/small.jpg": scene(1).resize((200, 150))},
        {"zeus/large.jpg": {"status": "rejected", "reject_reason": "blurry"}},
    )
    assert statuses(table, ["zeus/large.jpg", "zeus/small.jpg"]) == ["rejected", "kept"]
    assert cell(table, "zeus/large.jpg", "reject_reason") == "blurry"


def test_a_rejected_copy_takes_the_group_of_the_kept_one_and_joins_nothing(prepare) -> None:
    groups = {"a": "first source", "b": "second source", "c": "first source", "d": "second source"}
    table = prepare(
        {
            "zeus/a.jpg": scene(1),
            "zeus/b.jpg": scene(1).resize((160, 120)),
            "zeus/c.jpg": scene(2),
            "zeus/d.jpg": scene(3),
        },
        {f"zeus/{name}.jpg": {"group": group} for name, group in groups.items()},
    )
    after = [cell(table, f"zeus/{name}.jpg", "group") for name in "abcd"]
    assert after == ["first source", "first source", "first source", "second source"]


def test_related_pictures_stay_and_join_the_groups_of_their_sources(prepare) -> None:
    changed = scene(4)
    ImageDraw.Draw(changed).ellipse((130, 60, 190, 130), fill="white", outline="black", width=6)
    groups = {"a": "second source", "b": "first source", "c": "second source", "d": ""}
    table = prepare(
        {
            "zeus/a.jpg": scene(4),
            "zeus/b.jpg": changed,
            "zeus/c.jpg": scene(5),
            "zeus/d.jpg": scene(6),
        },
        {f"zeus/{name}.jpg": {"group": group} for name, group in groups.items()},
    )
    assert statuses(table, [f"zeus/{name}.jpg" for name in "abcd"]) == ["kept"] * 4
    after = [cell(table, f"zeus/{name}.jpg", "group") for name in "abcd"]
    assert after == ["first source"] * 3 + [""]
    assert cell(table, "zeus/a.jpg", "duplicate_group") == "images/zeus/a.jpg"
    assert cell(table, "zeus/b.jpg", "duplicate_group") == "images/zeus/a.jpg"


def test_copies_without_a_source_make_a_group_named_after_the_kept_one(prepare) -> None:
    table = prepare({"zeus/a.jpg": scene(1).resize((160, 120)), "zeus/b.jpg": scene(1)})
    assert cell(table, "zeus/a.jpg", "group") == "images/zeus/b.jpg"
    assert cell(table, "zeus/b.jpg", "group") == "images/zeus/b.jpg"


def test_pictures_without_copies_are_as_they_were(prepare) -> None:
    table = prepare({"zeus/a.jpg": scene(1), "zeus/b.jpg": scene(2)})
    assert set(table.rows["duplicate_group"]) == set(table.rows["group"]) == {""}
    assert set(table.rows["status"]) == {"kept"}


def test_the_same_table_gives_the_same_answer(prepare, tiny_bundle: Path) -> None:
    pictures = {f"zeus/{seed}.jpg": scene(seed % 3).resize((300 + seed, 225)) for seed in range(6)}
    first = prepare(pictures).rows
    again = duplicates(
        read_table(prepare(pictures).folder),
        DuplicatesSettings(),
        workers=1,
        bundle=str(tiny_bundle),
    )
    assert first.equals(again.rows)
