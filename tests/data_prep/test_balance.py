from __future__ import annotations

from pathlib import Path

import pandas as pd

from data_prep.balance import (
    BALANCE_NAME,
    BalanceSettings,
    balance,
    measure,
    mediums_of,
    regions_of,
    sources_of,
)
from data_prep.table import Table, read_table
from ideitify.dataset import COLUMNS, write_rows
from ideitify.knowledge import knowledge


def made_up(folder: Path, counts: dict[tuple[str, str], int], **columns: str) -> Table:
    """Rows without files: so many pictures of a category from a source."""
    rows = [
        {"file_name": f"images/{category}/{source}-{number}.jpg", "category": category,
         "group": source, "status": "kept", "license": "unknown"} | columns
        for (category, source), count in counts.items() for number in range(count)
    ]  # fmt: skip
    write_rows(folder, rows)
    return read_table(folder)


def kept(table: Table) -> pd.Series:
    rows = table.rows[table.rows["status"] == "kept"]
    return rows.groupby(["category", "group"]).size()


def test_one_source_of_a_category_is_capped(tmp_path: Path) -> None:
    table = made_up(tmp_path, {("zeus", "big"): 30, ("zeus", "small"): 5, ("hera", "big"): 9})
    after = kept(balance(table, BalanceSettings(most_of_source=10)))
    assert after.to_dict() == {("zeus", "big"): 10, ("zeus", "small"): 5, ("hera", "big"): 9}
    reasons = set(table.rows.loc[table.rows["status"] == "rejected", "reject_reason"])
    assert reasons == {"over the cap of 10 pictures of zeus from big"}


def test_a_category_is_capped_after_its_sources(tmp_path: Path) -> None:
    table = made_up(tmp_path, {("zeus", "a"): 30, ("zeus", "b"): 8, ("hera", "a"): 5})
    settings = BalanceSettings(most_of_source=10, most_of_category=15)
    after = kept(balance(table, settings)).groupby("category").sum()
    assert after.to_dict() == {"zeus": 15, "hera": 5}
    assert table.rows["reject_reason"].str.contains("cap of 15 pictures of zeus$").sum() == 3


def test_a_cap_takes_the_same_pictures_whatever_their_order(tmp_path: Path) -> None:
    table = made_up(tmp_path, {("zeus", "a"): 30})
    mixed = Table(tmp_path, table.rows.sample(frac=1, random_state=0))
    settings = BalanceSettings(most_of_source=10)
    first, second = (balance(each, settings).rows["status"] for each in (table, mixed))
    assert first.sort_index().equals(second.sort_index())


def test_a_cap_spares_what_a_person_decided(tmp_path: Path) -> None:
    table = made_up(tmp_path, {("zeus", "a"): 30})
    table.rows.loc[table.rows.index[:12], "decided_by"] = "asha"
    rows = balance(table, BalanceSettings(most_of_source=10)).rows
    assert set(rows["status"].iloc[:12]) == {"kept"}
    assert set(rows["status"].iloc[12:]) == {"rejected"}


def test_the_report_tells_sizes_sources_licences_and_mediums(tmp_path: Path) -> None:
    table = made_up(tmp_path, {("zeus", "a"): 6, ("zeus", "b"): 2})
    table.rows["title"] = ["Marble statue of Zeus"] * 4 + ["Zeus, engraving, Italy"] * 4
    table.rows["license"] = ["CC0-1.0"] * 2 + ["unknown"] * 6
    table.rows.loc[table.rows.index[:1], "status"] = "review"
    line = measure(table.rows, BalanceSettings()).set_index("category").loc["zeus"]
    assert (line["kept"], line["review"], line["rejected"]) == (7, 1, 0)
    assert (line["sources"], line["largest_source"]) == (2, "a")
    assert round(line["share"], 3) == round(5 / 7, 3)
    assert round(line["open_licences"], 3) == round(1 / 7, 3)
    assert line["mediums"] == "print 57%, sculpture 43%"
    assert line["regions"] == "Italy 57%, unknown 43%"


def test_it_says_what_to_collect_next_the_neediest_first(tmp_path: Path) -> None:
    counts = {("zeus", f"s{number}"): 5 for number in range(4)} | {("hera", "s"): 3}
    table = made_up(tmp_path, counts, title="statue")
    report = measure(table.rows, BalanceSettings(target=20, least_sources=3))
    collect = report.set_index("category")["collect"]
    missing = len(set(knowledge()) - {"zeus", "hera"})
    assert list(collect.iloc[:missing]) == ["20 pictures"] * missing
    assert list(collect.index[missing:]) == ["hera", "zeus"]
    assert collect["hera"] == (
        "17 more, from other sources (100% are of s), other than sculpture (100%)"
    )
    assert collect["zeus"] == "other than sculpture (100%)"


def test_the_report_is_written_beside_the_pictures(tmp_path: Path) -> None:
    balance(made_up(tmp_path, {("zeus", "a"): 6}), BalanceSettings())
    written = pd.read_csv(tmp_path / BALANCE_NAME)
    assert written.set_index("category").loc["zeus", "kept"] == 6


def test_mediums_are_whole_words_and_the_column_counts_first() -> None:
    rows = pd.DataFrame(
        {
            "title": ["Bronze relief of Athena", "Busted", "Statues", "Ölbild", "painting"],
            "query": "",
            "medium": ["", "", "", "", "tapestry"],
        }
    )
    assert list(mediums_of(rows)) == ["relief", "unknown", "sculpture", "unknown", "tapestry"]


def test_regions_are_read_from_the_words_around_a_picture() -> None:
    rows = pd.DataFrame({"title": ["Shiva, Nepal", "Indian Shiva"], "query": ["", "Shiva"]})
    assert list(regions_of(rows)) == ["Nepal", "unknown"]


def test_a_group_that_is_only_a_pictures_name_is_no_source() -> None:
    rows = pd.DataFrame(
        {"group": ["a.jpg", "museum", ""], "source": "commons", "creator": ["A", "B", ""]},
        index=["a.jpg", "b.jpg", "c.jpg"],
    )
    assert list(sources_of(rows)) == ["commons A", "museum", "commons"]


def test_an_empty_dataset_needs_everything() -> None:
    rows = pd.DataFrame(columns=[*COLUMNS], dtype=str)
    report = measure(rows, BalanceSettings())
    assert set(report["category"]) == set(knowledge())
