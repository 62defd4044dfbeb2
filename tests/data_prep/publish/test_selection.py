"""What may be published, and under which name."""

from pathlib import Path

import pandas as pd
import pytest

from data_prep.publish.selection import PublishError, select
from data_prep.table import read_table
from ideitify.dataset import COLUMNS, read_dataset
from tests.data_prep.publish.dataset import MIXED, noise, write_dataset


def test_only_kept_pictures_with_an_open_licence_go(tmp_path: Path) -> None:
    selection = select(write_dataset(tmp_path, *MIXED), "open")
    assert [(row["category"], row["license"]) for row in selection.rows] == [
        ("ganesha", "CC0-1.0"), ("ganesha", "CC-BY-4.0"), ("none", "CC0-1.0"),
        ("shiva", "CC-BY-SA-4.0"),
    ]  # fmt: skip
    assert selection.withheld == {
        "with licence unknown": 1, "with licence CC-BY-ND-4.0": 1, "rejected": 1, "review": 1,
    }  # fmt: skip


def test_noncommercial_pictures_go_only_when_asked_for(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"license": "CC-BY-NC-4.0"}, {"license": "CC0-1.0"})
    assert len(select(table, "open").rows) == 1
    assert len(select(table, "noncommercial").rows) == 2


def test_in_copyright_stays_here_also_where_noncommercial_use_is_permitted(tmp_path: Path) -> None:
    vocabulary = "http://rightsstatements.org/vocab"
    table = write_dataset(
        tmp_path, {"license": f"{vocabulary}/InC-NC/1.0/"}, {"license": f"{vocabulary}/NoC-NC/1.0/"}
    )
    selection = select(table, "noncommercial")
    assert [row["license"] for row in selection.rows] == [f"{vocabulary}/NoC-NC/1.0/"]
    assert selection.withheld == {f"with licence {vocabulary}/InC-NC/1.0/": 1}


def test_where_others_have_a_split_one_without_stays_here(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"split": "train"}, {"split": "test"}, {"split": ""})
    selection = select(table, "open")
    assert {row["split"] for row in selection.rows} == {"train", "test"}
    assert selection.withheld == {"without a split": 1}


def test_without_any_split_all_go(tmp_path: Path) -> None:
    selection = select(write_dataset(tmp_path, {"split": ""}, {"split": ""}), "open")
    assert len(selection.rows) == 2


def test_machine_made_pictures_never_go(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {"source": "synthetic", "license": "CC0-1.0"})
    for policy in ("open", "noncommercial", "any"):
        selection = select(table, policy)
        assert [row["source"] for row in selection.rows] == ["museum"]
        assert selection.withheld == {"made by a machine": 1}


def test_reviewers_and_scores_stay_at_home(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"decided_by": "Priya", "blurry_score": "0.3"})
    (row,) = select(table, "open").rows
    assert tuple(row) == COLUMNS
    assert "Priya" not in row.values()


def test_a_relabelled_picture_goes_to_the_folder_of_its_new_label(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"category": "shiva", "file_name": "images/ganesha/old.JPG"})
    (picture,) = select(table, "open").pictures
    assert picture.name == f"images/shiva/{picture.row['sha256'][:16]}.jpg"
    assert picture.path == tmp_path / "images/ganesha/old.JPG"


def test_a_credit_is_made_where_the_source_gave_none(tmp_path: Path) -> None:
    given = {"attribution": "Photo: A. Maker / Museum"}
    rows = select(write_dataset(tmp_path, {}, given), "open").rows
    assert sorted(row["attribution"] for row in rows) == [
        given["attribution"],
        "“Figure 0” by A. Maker, museum (https://museum.example/0), "
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    ]


STALE = {
    "another licence": "“Figure 0” by A. Maker, museum, CC BY-SA 4.0 "
    "(https://creativecommons.org/licenses/by-sa/4.0/)",
    "a licence that was not known": "“Figure 0” by A. Maker, museum, licence unknown",
    "a licence without its version": "“Figure 0” by A. Maker, museum, CC BY",
    "another creator": "“Figure 0” by B. Copyist, museum, CC BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/)",
}


@pytest.mark.parametrize("stale", STALE.values(), ids=STALE)
def test_a_credit_is_made_anew_where_the_row_was_corrected_since(
    tmp_path: Path, stale: str
) -> None:
    (row,) = select(write_dataset(tmp_path, {"attribution": stale}), "open").rows
    assert row["attribution"] == (
        "“Figure 0” by A. Maker, museum (https://museum.example/0), "
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"
    )


def test_the_same_picture_goes_once(tmp_path: Path) -> None:
    twice = {"id": "7"}, {"id": "7", "file_name": "images/ganesha/copy.jpg"}
    selection = select(write_dataset(tmp_path, *twice), "open")
    assert len(selection.pictures) == 1
    assert selection.withheld == {"that are there twice": 1}


def test_what_is_selected_reads_as_a_dataset_folder(tmp_path: Path) -> None:
    selection = select(write_dataset(tmp_path / "before", *MIXED), "open")
    for picture in selection.pictures:
        path = tmp_path / "after" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.path.read_bytes())
    pd.DataFrame(selection.rows).to_csv(tmp_path / "after" / "metadata.csv", index=False)
    assert len(read_dataset(tmp_path / "after")) == 4
    assert select(read_table(tmp_path / "after"), "open").rows == selection.rows


def test_a_folder_without_any_such_picture_is_refused_with_the_reasons(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"license": "unknown"}, {"status": "review"})
    with pytest.raises(PublishError, match=r"may be published: 1 with licence unknown, 1 review"):
        select(table, "open")


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"file_name": "images/ganesha/a.jpg"})
    (tmp_path / "images/ganesha/a.jpg").unlink()
    with pytest.raises(PublishError, match=r"a\.jpg cannot be read .* data_prep prepare"):
        select(table, "open")


def test_a_picture_that_changed_since_is_refused(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"file_name": "images/ganesha/a.jpg"})
    (tmp_path / "images/ganesha/a.jpg").write_bytes(noise(99))
    with pytest.raises(PublishError, match=r"a\.jpg is not the picture that metadata\.csv desc"):
        select(table, "open")


def test_a_category_that_could_leave_the_folder_is_refused(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"category": "../shiva", "file_name": "images/a.jpg"})
    with pytest.raises(PublishError, match=r"has the category '\.\./shiva': give it a slug"):
        select(table, "open")
