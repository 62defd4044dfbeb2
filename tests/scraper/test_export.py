"""What was collected becomes a dataset folder that others can read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from ideitify.dataset import COLUMNS, read_dataset, read_rows, write_rows
from ideitify.licenses import normalize
from scraper.export import export
from scraper.ledger import Ledger
from scraper.source import Found
from tests.scraper.collecting import add, collection, fetch, files_in
from tests.scraper.museum import Museum


def collect(ledger: Ledger, museum: Museum, folder: Path, pictures: int = 2) -> None:
    """Store pictures with credits; those of a museum that is 256 pixels wide."""
    ledger.add_concept("ganesha", "Ganesha", "words")
    found = [
        Found(
            "met", f"id-{n}", museum.url(f"picture/{n}.jpg"), page=f"https://met.example/{n}",
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
