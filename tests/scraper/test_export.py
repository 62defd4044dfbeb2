"""What was collected becomes a dataset folder that others can read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.prepare import run_steps
from data_prep.steps import find_step
from ideitify.dataset import COLUMNS, DatasetError, read_dataset, read_rows, write_rows
from ideitify.licenses import normalize
from scraper.__main__ import app
from scraper.export import export
from scraper.ledger import Ledger
from scraper.source import Found
from tests.scraper.collecting import add, collection, fetch, files_in
from tests.scraper.museum import Museum


def collect(
    ledger: Ledger,
    museum: Museum,
    folder: Path,
    pictures: int = 2,
    page: str = "https://met.example/{}",
    source: str = "met",
) -> None:
    """Store pictures with credits; those of a museum that is 256 pixels wide."""
    ledger.add_concept("ganesha", "Ganesha", "words")
    found = [
        Found(
            source, f"id-{n}", museum.url(f"picture/{n}.jpg"), page=page.format(n),
            title=f"Dancing Ganesha {n}", creator="Unknown", rights="CC BY-SA 3.0",
            query="Ganesha statue", skos_concept="http://www.wikidata.org/entity/Q171449",
        )
        for n in range(pictures)
    ]  # fmt: skip
    ledger.record_finds("ganesha", [(one, normalize(one.rights)) for one in found])
    fetch(ledger, folder)


def test_rows_have_everything_that_credits_checks_and_withdraws(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, pictures=1)
        assert export(ledger, tmp_path).pictures == 1
    (row,) = read_rows(tmp_path)
    assert tuple(row) == COLUMNS
    assert row["file_name"] == f"images/ganesha/{row['sha256'][:16]}.jpg"
    assert {name: row[name] for name in ("category", "source", "id", "title", "creator")} == {
        "category": "ganesha", "source": "met", "id": "id-0",
        "title": "Dancing Ganesha 0", "creator": "Unknown",
    }  # fmt: skip
    assert row["uri"] == "https://met.example/0"
    assert row["url"] == museum.url("picture/0.jpg")
    assert row["license"] == "CC-BY-SA-3.0"
    assert "creativecommons.org/licenses/by-sa/3.0" in row["license_url"]
    assert "Dancing Ganesha 0" in row["attribution"]
    assert (row["query"], row["width"], row["height"]) == ("Ganesha statue", "256", "256")
    assert (row["status"], row["label_source"], row["group"]) == ("kept", "scraper", "")
    assert len(row["perceptual_hash"]) == 16
    assert row["retrieved_at"].endswith("+00:00")


def test_training_reads_it(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
    assert [picture.category for picture in read_dataset(tmp_path)] == ["ganesha", "ganesha"]


def test_a_picture_found_for_two_classes_is_for_a_person_to_judge(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        add(ledger, [museum.url("picture/0.jpg")], slug="durga")
        add(ledger, [museum.url("png/0.jpg")], slug="shiva")
        fetch(ledger, tmp_path)
        export(ledger, tmp_path)
    rows = {row["id"]: row for row in read_rows(tmp_path)}
    assert (rows["id-0"]["status"], rows["id-0"]["reject_reason"]) == (
        "review",
        "also found for durga, shiva",
    )
    assert rows["id-1"]["status"] == "kept"


def test_what_was_decided_since_stays(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        first, second = read_rows(tmp_path)
        decided = {
            "category": "shiva", "status": "rejected", "reject_reason": "a drawing",
            "group": "g1", "split": "train", "label_source": "human", "blurry_score": "0.3",
        }  # fmt: skip
        write_rows(tmp_path, [first | decided, second])
        collect(ledger, museum, tmp_path, pictures=3)
        assert export(ledger, tmp_path).pictures == 3
    rows = {row["file_name"]: row for row in read_rows(tmp_path)}
    assert {name: rows[first["file_name"]][name] for name in decided} == decided
    assert len(rows) == 3


@pytest.mark.parametrize("status", ["kept", "rejected"])
def test_who_judged_a_picture_found_for_two_classes_is_not_asked_again(
    museum: Museum, tmp_path: Path, status: str
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, pictures=1)
        add(ledger, [museum.url("picture/0.jpg")], slug="durga")
        export(ledger, tmp_path)
        (row,) = read_rows(tmp_path)
        assert row["status"] == "review"
        write_rows(tmp_path, [row | {"status": status, "reject_reason": ""}])
        for _ in range(2):
            export(ledger, tmp_path)
            (row,) = read_rows(tmp_path)
            assert (row["status"], row["reject_reason"]) == (status, "")


def test_a_kept_picture_is_to_be_judged_when_it_is_found_for_yet_another_class(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, pictures=1)
        for slug in ("durga", "shiva"):
            add(ledger, [museum.url("picture/0.jpg")], slug=slug)
            export(ledger, tmp_path)
            (row,) = read_rows(tmp_path)
            assert (row["status"], row["reject_reason"][-5:]) == ("review", slug)
            write_rows(tmp_path, [row | {"status": "kept", "reject_reason": ""}])


def test_a_picture_moved_by_hand_is_of_its_folder_s_category(
    museum: Museum, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        export(ledger, tmp_path, small, max_side=64)
        before = read_rows(tmp_path)[0]
        new = move(tmp_path, before["file_name"], "shiva")
        exported = export(ledger, tmp_path)
        assert exported.moved == [f"{before['file_name']} -> {new}"]
        assert exported.missing == []
        after = {row["id"]: row for row in read_rows(tmp_path)}[before["id"]]
        assert after == before | {
            "file_name": new, "category": "shiva", "label_source": "human",
        }  # fmt: skip
        assert export(ledger, tmp_path).moved == []
        export(ledger, tmp_path, small, max_side=64)
        assert ledger.withdraw(new) == [new]
    assert len(read_rows(tmp_path)) == len(files_in(tmp_path / "images")) == 2
    copies = {row["id"]: row for row in read_rows(small)}
    assert copies[before["id"]]["category"] == "shiva"
    assert len(files_in(small / "images")) == 2


def test_a_move_by_hand_outlives_preparing_and_exporting(museum: Museum, tmp_path: Path) -> None:
    steps = [find_step(name) for name in ("enrol", "validate", "duplicates")]
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        before = read_rows(tmp_path)[0]
        new = move(tmp_path, before["file_name"], "shiva")
        for _ in range(2):
            list(run_steps(tmp_path, steps, options={"workers": 1}))
            assert export(ledger, tmp_path).missing == []
            rows = {row["file_name"]: row for row in read_rows(tmp_path)}
            kept = {name: row for name, row in rows.items() if row["status"] == "kept"}
            assert len(kept) == len(files_in(tmp_path / "images")) == 2
            assert kept[new]["category"] == "shiva"
            for fact in ("source", "id", "url", "license", "attribution", "sha256"):
                assert kept[new][fact] == before[fact] != ""


def test_another_file_of_the_same_name_is_no_picture_that_was_moved(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        name = read_rows(tmp_path)[0]["file_name"]
        (tmp_path / move(tmp_path, name, "shiva")).write_bytes(b"another")
        exported = export(ledger, tmp_path)
    assert (exported.moved, exported.missing) == ([], [name])


def move(folder: Path, name: str, category: str) -> str:
    """Move a picture to another category's folder, as a person would."""
    place = folder / "images" / category
    place.mkdir(exist_ok=True)
    return (folder / name).rename(place / Path(name).name).relative_to(folder).as_posix()


def test_views_of_one_object_are_a_group(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, 2, page="https://met.example/object")
        collect(ledger, museum, tmp_path, 4, page="", source="bing")
        collect(ledger, museum, tmp_path, 5, page="https://met.example/object", source="artic")
        export(ledger, tmp_path)
    groups = {row["id"]: row["group"] for row in read_rows(tmp_path)}
    object_ = "met:https://met.example/object"
    assert groups == {"id-0": object_, "id-1": object_, "id-2": "", "id-3": "", "id-4": ""}


def test_a_group_that_was_there_stays(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, page="https://met.example/object")
        export(ledger, tmp_path)
        first, second = read_rows(tmp_path)
        write_rows(tmp_path, [first | {"group": "mine"}, second | {"group": ""}])
        export(ledger, tmp_path)
    groups = [row["group"] for row in read_rows(tmp_path)]
    assert groups == ["mine", "met:https://met.example/object"]


def test_credits_that_people_corrected_are_taken(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, pictures=1)
        export(ledger, tmp_path)
        (row,) = read_rows(tmp_path)
        corrected = {"license_by_hand": "CC BY-NC 4.0", "creator_by_hand": "Right Name"}
        write_rows(tmp_path, [row | corrected])
        for _ in range(2):
            assert export(ledger, tmp_path).reset == []
        (row,) = read_rows(tmp_path)
    assert (row["license"], row["creator"]) == ("CC-BY-NC-4.0", "Right Name")
    assert row["license_url"] == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert "by Right Name, met" in row["attribution"]
    assert "CC BY-NC 4.0 (https://creativecommons.org" in row["attribution"]
    assert corrected.items() <= row.items()


def test_credits_that_do_not_stay_are_told(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        first, second = read_rows(tmp_path)
        write_rows(tmp_path, [first | {"license": "CC-BY-NC-4.0"}, second])
        (sentence,) = export(ledger, tmp_path).reset
    assert sentence == (
        f"{first['file_name']}: the license is 'CC-BY-SA-3.0', not 'CC-BY-NC-4.0' as the table "
        "said; a correction belongs in the column license_by_hand"
    )
    assert read_rows(tmp_path) == [first, second]


# One row for each file

# What data_prep gives a file without a row.
BARE = {"category": "ganesha", "status": "review", "reject_reason": "file without a row"}


def enrol(folder: Path, **changes: str) -> None:
    """Give every picture without a row a bare one."""
    rows = read_rows(folder) if (folder / "metadata.csv").exists() else []
    new = files_in(folder) - {row["file_name"] for row in rows}
    write_rows(folder, [*rows, *({"file_name": name} | BARE | changes for name in sorted(new))])


@pytest.mark.parametrize("max_side", [None, 100])
def test_a_bare_row_gets_its_source_and_licence(
    museum: Museum, tmp_path: Path, max_side: int | None
) -> None:
    data, target = tmp_path / "data", tmp_path / ("small" if max_side else "data")
    with collection(data) as ledger:
        collect(ledger, museum, data)
        export(ledger, data, target, max_side)
        (target / "metadata.csv").unlink()
        enrol(target)
        exported = export(ledger, data, target, max_side)
    assert (exported.pictures, exported.others) == (2, 0)
    rows = read_rows(target)
    assert {row["file_name"] for row in rows} == files_in(target)
    for row in rows:
        assert (row["license"], row["source"], row["status"]) == ("CC-BY-SA-3.0", "met", "kept")
        assert (row["reject_reason"], row["label_source"]) == ("", "scraper")


@pytest.mark.parametrize(
    "decided",
    [
        {"status": "kept", "reject_reason": "", "category": "shiva", "label_source": "human"},
        {"status": "rejected", "reject_reason": "a drawing", "label_source": "human"},
        {"status": "rejected", "reject_reason": "blurred"},
    ],
    ids=["kept", "rejected", "rejected by a machine"],
)
def test_what_was_decided_in_a_bare_row_stays(
    museum: Museum, tmp_path: Path, decided: dict[str, str]
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        enrol(tmp_path, **decided)
        export(ledger, tmp_path)
    rows = read_rows(tmp_path)
    assert len(rows) == 2
    for row in rows:
        assert decided.items() <= row.items()
        assert row["license"] == "CC-BY-SA-3.0"


@pytest.mark.parametrize("column", ["id", "source", "url"])
def test_a_row_whose_origin_was_changed_is_known_by_its_file(
    museum: Museum, tmp_path: Path, column: str
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        first, second = read_rows(tmp_path)
        write_rows(tmp_path, [first | {column: "7", "split": "train"}, second])
        export(ledger, tmp_path)
    assert read_rows(tmp_path) == [first | {"split": "train"}, second]


def test_two_rows_of_one_file_become_the_one_that_a_person_labelled(
    museum: Museum, tmp_path: Path
) -> None:
    """Exports once wrote a second row for what they did not know by its origin."""
    labelled = {"id": "7", "category": "shiva", "label_source": "human"}
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        export(ledger, tmp_path)
        first, second = read_rows(tmp_path)
        bare = {"file_name": second["file_name"]} | BARE
        write_rows(tmp_path, [first, second, first | labelled, bare])
        assert export(ledger, tmp_path).others == 0
    assert read_rows(tmp_path) == [first | labelled | {"id": first["id"]}, second]


def test_another_file_of_the_same_origin_is_a_row_of_others(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path, pictures=1)
        export(ledger, tmp_path)
        (row,) = read_rows(tmp_path)
        detail = row | {"file_name": "images/ganesha/detail.jpg"}
        write_rows(tmp_path, [detail, row])
        assert export(ledger, tmp_path).others == 1
    assert read_rows(tmp_path) == [row, detail]


def test_rows_of_others_stay(museum: Museum, tmp_path: Path) -> None:
    theirs = {"file_name": "images/none/mine.jpg", "category": "none", "source": "my camera"}
    with collection(tmp_path) as ledger:
        write_rows(tmp_path, [theirs])
        collect(ledger, museum, tmp_path)
        exported = export(ledger, tmp_path)
    assert (exported.pictures, exported.others) == (2, 1)
    assert theirs.items() <= read_rows(tmp_path)[-1].items()


def test_pictures_whose_file_is_missing_are_left_out_and_named(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        name = ledger.stored()[0].file_name
        (tmp_path / name).unlink()
        assert export(ledger, tmp_path).missing == [name]
    assert len(read_dataset(tmp_path)) == 1


def test_a_picture_whose_file_is_missing_keeps_its_row_and_its_copy_elsewhere(
    museum: Museum, tmp_path: Path
) -> None:
    data, small = tmp_path / "data", tmp_path / "small"
    decided = {"category": "shiva", "label_source": "human", "split": "train", "note": "by Asha"}
    with collection(data) as ledger:
        collect(ledger, museum, data)
        for target, side in ((data, None), (small, 100)):
            export(ledger, data, target, side)
            write_rows(target, [row | decided for row in read_rows(target)])
        before, copies = {target: read_rows(target) for target in (data, small)}, files_in(small)
        name = ledger.stored()[0].file_name
        (data / name).rename(tmp_path / "away")
        for target, side in ((data, None), (small, 100)):
            assert export(ledger, data, target, side).missing == [name]
            assert read_rows(target) == before[target]
        assert files_in(small) == copies
        (tmp_path / "away").rename(data / name)
        assert export(ledger, data).missing == []
    assert read_rows(data) == before[data]


def test_without_any_picture_nothing_is_written(museum: Museum, tmp_path: Path) -> None:
    """As when the disk with the pictures is not mounted."""
    data, small = tmp_path / "data", tmp_path / "small"
    with collection(data) as ledger:
        collect(ledger, museum, data)
        export(ledger, data, small)
        before, copies = read_rows(small), files_in(small)
        (data / "images").rename(tmp_path / "away")
        with pytest.raises(DatasetError, match="none of the 2 pictures"):
            export(ledger, data, small)
    assert (read_rows(small), files_in(small)) == (before, copies)


@pytest.mark.parametrize(("missing", "status"), [(0, 0), (1, 1), (2, 2)])
def test_the_command_says_by_its_exit_status_whether_files_are_missing(
    museum: Museum, tmp_path: Path, missing: int, status: int
) -> None:
    with collection(tmp_path) as ledger:
        collect(ledger, museum, tmp_path)
        for stored in ledger.stored()[:missing]:
            (tmp_path / stored.file_name).unlink()
    assert CliRunner().invoke(app, ["export", "--out", str(tmp_path)]).exit_code == status


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b""], ids=["half", "empty"]
)
def test_a_damaged_picture_that_is_to_be_re_encoded_is_named_like_a_missing_one(
    museum: Museum, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    data, small = tmp_path / "data", tmp_path / "small"
    with collection(data) as ledger:
        collect(ledger, museum, data)
        name = ledger.stored()[0].file_name
        whole = (data / name).read_bytes()
        (data / name).write_bytes(damage(whole))
        exported = export(ledger, data, small, max_side=100)
        (sentence,) = exported.damaged
        assert sentence.startswith(f"{name}: ")
        assert (exported.pictures, len(read_dataset(small)), len(files_in(small))) == (1, 1, 1)
        (data / name).write_bytes(whole)
        export(ledger, data, small, max_side=100)
        both = files_in(small)
        (data / name).write_bytes(damage(whole))
        export(ledger, data, small, max_side=100)
    assert files_in(small) == {row["file_name"] for row in read_rows(small)} == both


# Into another folder


def test_another_folder_gets_copies(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path / "data") as ledger:
        collect(ledger, museum, tmp_path / "data")
        export(ledger, tmp_path / "data", tmp_path / "copy")
    assert files_in(tmp_path / "copy") == files_in(tmp_path / "data")
    assert len(read_dataset(tmp_path / "copy")) == 2
    assert not (tmp_path / "data" / "metadata.csv").exists()


def test_larger_pictures_are_re_encoded_and_named_after_their_bytes(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path / "data") as ledger:
        collect(ledger, museum, tmp_path / "data")
        before = files_in(tmp_path / "data")
        export(ledger, tmp_path / "data", tmp_path / "small", max_side=100)
        assert files_in(tmp_path / "data") == before
    for picture in read_dataset(tmp_path / "small"):
        content = picture.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == picture.columns["sha256"]
        assert picture.path.stem == picture.columns["sha256"][:16]
        with Image.open(picture.path) as image:
            assert image.size == (100, 100)
        assert (picture.columns["width"], picture.columns["height"]) == ("100", "100")


def test_pictures_that_are_small_enough_stay_as_they_came(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path / "data") as ledger:
        collect(ledger, museum, tmp_path / "data")
        export(ledger, tmp_path / "data", tmp_path / "small", max_side=256)
    assert files_in(tmp_path / "small") == files_in(tmp_path / "data")


def test_exporting_with_another_size_replaces_the_copies(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path / "data") as ledger:
        collect(ledger, museum, tmp_path / "data")
        for side in (100, 50):
            export(ledger, tmp_path / "data", tmp_path / "small", max_side=side)
    rows = read_rows(tmp_path / "small")
    assert {row["width"] for row in rows} == {"50"}
    assert files_in(tmp_path / "small") == {row["file_name"] for row in rows}


def test_a_withdrawn_picture_leaves_an_earlier_export_too(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path / "data") as ledger:
        collect(ledger, museum, tmp_path / "data")
        export(ledger, tmp_path / "data", tmp_path / "small", max_side=100)
        ledger.withdraw("met:id-0")
        export(ledger, tmp_path / "data", tmp_path / "small", max_side=100)
    rows = read_rows(tmp_path / "small")
    assert [row["id"] for row in rows] == ["id-1"]
    assert files_in(tmp_path / "small") == {row["file_name"] for row in rows}


def test_originals_are_never_re_encoded(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        for target in (None, tmp_path):
            with pytest.raises(ValueError, match="a folder of their own"):
                export(ledger, tmp_path, target, max_side=100)
