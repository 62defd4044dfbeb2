from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ImageOps

from data_prep.candidates import SearchSettings
from data_prep.split import (
    SplitSettings,
    deal_out,
    in_our_words,
    leaks,
    read_splits,
    sources,
    split,
)
from data_prep.table import Table
from ideitify.dataset import DatasetError
from tests.data_prep.pictures import save_dataset, scene

ALL_NEAR = SearchSettings(neighbours=50, cosine=0)  # the tiny bundle sees colours alone
SETTINGS = SplitSettings(copies=ALL_NEAR)
NO_PAIRS = pd.DataFrame(columns=["first", "second"], dtype=str)


def made_up(pictures: int, groups: int, categories: int = 4, seed: int = 0) -> pd.DataFrame:
    """Rows of kept pictures, spread at random over sources and categories."""
    rng = np.random.default_rng(seed)
    columns = {
        "category": [f"c{number}" for number in rng.integers(0, categories, pictures)],
        "group": [f"g{number}" for number in rng.integers(0, groups, pictures)],
    }
    return filled(pd.DataFrame(columns, index=[f"p{seed}-{i}" for i in range(pictures)]))


def filled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(status="kept", source="s", creator="", uri="", duplicate_group="").fillna("")


def sides(
    rows: pd.DataFrame,
    pairs: pd.DataFrame = NO_PAIRS,
    before: pd.Series | None = None,
    settings: SplitSettings = SETTINGS,
) -> pd.Series:
    known = pd.Series("", rows.index) if before is None else before.reindex(rows.index).fillna("")
    return deal_out(rows, pairs, known, settings)


def test_whole_sources_are_on_one_side() -> None:
    rows = made_up(800, groups=120)
    assert sides(rows).groupby(rows["group"]).nunique().max() == 1


def test_every_category_has_about_the_wanted_shares() -> None:
    rows = made_up(800, groups=120)
    shares = pd.crosstab(rows["category"], sides(rows), normalize="index")
    assert shares["train"].between(0.65, 0.75).all()
    assert shares[["valid", "test"]].apply(lambda share: share.between(0.1, 0.2)).all(axis=None)


def test_what_one_creator_made_at_one_source_is_on_one_side() -> None:
    rows = made_up(600, groups=1).assign(group="")
    rng = np.random.default_rng(1)
    rows["creator"] = [f"Photographer {number}" for number in rng.integers(0, 80, 600)]
    assert sides(rows).groupby(rows["creator"]).nunique().max() == 1


def test_views_of_one_object_are_on_one_side() -> None:
    rows = made_up(300, groups=1).assign(group="", creator="unknown")
    rows["uri"] = [f"https://museum.example/{number // 2}" for number in range(300)]
    assert sides(rows).groupby(rows["uri"]).nunique().max() == 1


def test_a_page_ties_pictures_of_its_source_alone() -> None:
    rows = made_up(4, groups=1).assign(group="", uri=["page", "page", "page", ""])
    rows["source"] = ["met", "met", "commons", "met"]
    assert len(set(sources(rows, NO_PAIRS))) == 3


@pytest.mark.parametrize("creator", ["", "Unknown", "unknown author", " Anonymous "])
def test_an_unknown_creator_ties_nothing(creator: str) -> None:
    rows = made_up(50, groups=1).assign(group="", creator=creator)
    assert len(set(sources(rows, NO_PAIRS))) == 50


def test_a_category_of_one_source_is_divided_by_picture() -> None:
    rows = made_up(400, groups=60)
    rows.loc[rows["category"] == "c0", "group"] = "the only temple"
    shares = pd.crosstab(rows["category"], sides(rows), normalize="index").loc["c0"]
    assert shares["valid"] == pytest.approx(0.15, abs=0.03)
    assert shares["test"] == pytest.approx(0.15, abs=0.03)


def test_copies_stay_together_where_a_category_is_divided_by_picture() -> None:
    rows = made_up(300, groups=1, categories=1)
    pairs = pd.DataFrame({"first": rows.index[:99:3], "second": rows.index[1:100:3]})
    rows.iloc[200:220, rows.columns.get_loc("duplicate_group")] = "of ten"
    dealt = sides(rows, pairs)
    assert set(dealt) == {"train", "valid", "test"}
    assert leaks(dealt, pairs) == []
    assert dealt[rows["duplicate_group"] != ""].nunique() == 1


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = made_up(300, groups=60)
    mixed = rows.sample(frac=1, random_state=0)
    assert sides(mixed).sort_index().equals(sides(rows).sort_index())


def test_another_seed_gives_another_split() -> None:
    rows = made_up(300, groups=60)
    assert not sides(rows).equals(sides(rows, settings=SplitSettings(seed=1)))


@pytest.mark.parametrize("groups", [1, 40, 400])
def test_pictures_added_later_never_move_an_old_one(groups: int) -> None:
    rows = made_up(300, groups)
    before = sides(rows)
    for seed in range(1, 5):
        rows = pd.concat([rows, made_up(150, groups + 30 * seed, seed=seed)])
        after = sides(rows, before=before)
        assert after[before.index].equals(before)
        assert (after != "").all()
        before = after
    shares = pd.crosstab(rows["category"], before, normalize="index")
    assert shares["train"].between(0.6, 0.8).all()


def test_new_pictures_of_an_old_source_follow_it() -> None:
    rows = made_up(400, groups=80)
    before = sides(rows)
    more = made_up(200, groups=80, seed=1)
    after = sides(pd.concat([rows, more]), before=before)
    side_of = before.groupby(rows["group"]).first()
    known = more[more["group"].isin(side_of.index)]
    assert (after[known.index] == known["group"].map(side_of)).all()


def test_a_better_copy_follows_the_rejected_one_that_it_replaces() -> None:
    rows = made_up(100, groups=100)
    before = sides(rows)
    old = before.index[before == "test"][0]
    rows.loc[old, ["status", "duplicate_group", "group"]] = ["rejected", "same", ""]
    new = rows.loc[[old]].rename(index={old: "new"}).assign(status="kept")
    assert sides(pd.concat([rows, new]), before=before)["new"] == "test"


def test_a_new_picture_that_ties_two_sides_stays_out() -> None:
    rows = made_up(60, groups=60)
    before = sides(rows)
    trained, tested = (before.index[before == side][0] for side in ("train", "test"))
    new = rows.iloc[[0]].rename(index={rows.index[0]: "new"}).assign(group="")
    pairs = pd.DataFrame({"first": ["new", "new"], "second": [trained, tested]})
    after = sides(pd.concat([rows, new]), pairs, before)
    assert after["new"] == ""
    assert after[before.index].equals(before)


def test_nothing_to_deal_out_is_no_error() -> None:
    assert sides(made_up(5, 1).iloc[:0]).empty


@pytest.fixture
def table(tmp_path: Path) -> Table:
    pictures = {f"zeus/{seed}.jpg": scene(seed) for seed in range(20)}
    pictures |= {f"hera/{seed}.jpg": scene(seed) for seed in range(20, 40)}
    pictures["zeus/0-mirrored.jpg"] = ImageOps.mirror(scene(0))
    pictures["hera/21-bordered.jpg"] = ImageOps.expand(scene(21), 25, "red")
    return save_dataset(tmp_path, pictures, {"zeus/5.jpg": {"status": "review"}})


def test_kept_pictures_get_a_side_and_no_others(table: Table, tiny_bundle: Path) -> None:
    rows = split(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    assert rows.at["images/zeus/5.jpg", "split"] == ""
    assert set(rows.loc[rows["status"] == "kept", "split"]) == {"train", "valid", "test"}


def test_near_duplicates_are_on_one_side_also_where_duplicates_did_not_run(
    table: Table, tiny_bundle: Path
) -> None:
    for seed in range(4):
        (table.folder / ".data_prep/splits.csv").unlink(missing_ok=True)
        table.rows["split"] = ""
        rows = split(
            table, SplitSettings(seed=seed, copies=ALL_NEAR), workers=1, bundle=str(tiny_bundle)
        ).rows
        side = rows["split"].rename(lambda name: name.removeprefix("images/"))
        assert side["zeus/0.jpg"] == side["zeus/0-mirrored.jpg"]
        assert side["hera/21.jpg"] == side["hera/21-bordered.jpg"]


def test_the_sides_are_remembered_by_content(table: Table, tiny_bundle: Path) -> None:
    first = split(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows["split"].copy()
    table.rows["split"] = ""
    table.rows.index = table.rows.index.str.replace("zeus", "jupiter")
    (table.folder / "images/zeus").rename(table.folder / "images/jupiter")
    again = split(table, SplitSettings(seed=5), workers=1, bundle=str(tiny_bundle)).rows["split"]
    assert list(again) == list(first)
    assert len(read_splits(table)) == 41


def test_a_split_that_came_with_the_table_stays(table: Table, tiny_bundle: Path) -> None:
    table.rows["split"] = ["test"] * 10 + [""] * 32
    rows = split(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    assert set(rows["split"].iloc[:5]) == {"test"}


def test_a_split_that_came_by_another_name_stays(table: Table, tiny_bundle: Path) -> None:
    zeus = table.rows["category"] == "zeus"
    table.rows["split"] = np.where(zeus, "validation", "Train")
    rows = split(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    assert set(rows.loc[zeus, "split"]) == {"valid"}
    assert set(rows.loc[~zeus, "split"]) == {"train"}


@pytest.mark.parametrize("name", ["validation", "val", "dev", "valid", "Val", " VALID "])
def test_validation_has_many_names(name: str) -> None:
    assert list(in_our_words(pd.Series([name, "", "Test"]))) == ["valid", "", "test"]


def test_a_split_that_means_nothing_here_is_refused_and_named(
    table: Table, tiny_bundle: Path
) -> None:
    table.rows["split"] = ["holdout", "fold 1", "train"] * 14
    message = "the split 'fold 1', 'holdout': write train, valid, test or nothing"
    with pytest.raises(DatasetError, match=message):
        split(table, SETTINGS, workers=1, bundle=str(tiny_bundle))


def test_near_duplicates_that_came_on_two_sides_go_to_review(
    table: Table, tiny_bundle: Path
) -> None:
    table.rows.loc["images/zeus/0.jpg", "split"] = "train"
    table.rows.loc["images/zeus/0-mirrored.jpg", "split"] = "test"
    rows = split(table, SETTINGS, workers=1, bundle=str(tiny_bundle)).rows
    mirrored = rows.loc["images/zeus/0-mirrored.jpg"]
    assert (mirrored["status"], mirrored["split"]) == ("review", "")
    assert mirrored["reject_reason"].startswith("near duplicate of images/zeus/0.jpg")
    assert rows.at["images/zeus/0.jpg", "split"] == "train"
