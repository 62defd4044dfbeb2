"""The data card and the Croissant file say what was measured, in the form that the Hub reads."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import mlcroissant
import pytest
import yaml
from huggingface_hub import DatasetCard
from PIL import Image

from data_prep.publish.card import description, front_matter, size_category
from data_prep.publish.croissant import REPOSITORY, croissant_file
from data_prep.publish.facts import Facts, measure
from data_prep.publish.publication import documents, file_size, sha256
from data_prep.publish.selection import Selection, select
from data_prep.state import Run, State, write_state
from tests.data_prep.publish.dataset import MIXED, write_dataset

PAGE = "https://huggingface.co/datasets/someone/deities"


def selected(folder: Path, *rows: dict[str, str]) -> tuple[Selection, Facts]:
    selection = select(write_dataset(folder, *rows), "open")
    return selection, measure(selection, folder)


def tables(card: str) -> list[list[list[str]]]:
    """Every table of a card as rows of cells, without its head."""
    found = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    return [[line.strip("| ").split(" | ") for line in t.splitlines()[2:]] for t in found]


def test_the_card_counts_what_goes(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, *MIXED)
    card = description(facts, "Deities", "Use it.")
    assert card.startswith("# Deities\n\n4 pictures of statues")
    assert "it shows none (1, category `none`)" in card
    splits, categories, sources, licenses = tables(card)
    assert splits == [["train", "2"], ["valid", "1"], ["test", "1"]]
    assert categories == [
        ["ganesha", "2", "museum (100 %)"],
        ["none", "1", "museum (100 %)"],
        ["shiva", "1", "commons (100 %)"],
    ]
    assert sources == [["museum", "3"], ["commons", "1"]]
    assert licenses == [["CC0-1.0", "2"], ["CC-BY-4.0", "1"], ["CC-BY-SA-4.0", "1"]]
    assert "human 3, scraper 1." in card
    assert "75% of all pictures come from one source, museum." in card


def test_splits_are_in_their_order_whatever_their_sizes(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, {"split": "test"}, {"split": "test"}, {"split": "train"})
    assert list(facts.splits.items()) == [("train", 1), ("test", 2)]


def test_a_card_without_splits_has_no_table_of_them(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, {"split": ""}, {"split": ""})
    assert len(tables(description(facts, "Deities", ""))) == 3


def test_the_card_tells_of_the_steps_that_ran_alone(tmp_path: Path) -> None:
    selection, _ = selected(tmp_path, {})
    now = "2025-06-01T10:00:00Z"
    runs = {
        "duplicates": Run.model_validate({"started": now, "finished": now}),
        "quality": Run.model_validate({"started": now}),
    }
    write_state(tmp_path, State(runs=runs))
    card = description(measure(selection, tmp_path), "Deities", "")
    assert "- copies and near-copies, of which the best is kept" in card
    assert "blurred" not in card


def test_markup_from_sources_stays_text(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, {"source": "a|b<script>"})
    assert r"a\|b\<script\>" in description(facts, "Deities", "")


def test_the_front_matter_is_what_the_hub_s_own_reader_reads(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, *MIXED)
    text = front_matter(facts, "Deities", "someone/deities", sizes_known=True)
    data = DatasetCard(text + "\n# Deities").data
    assert data.license == "other"
    assert data.license_link.endswith("/someone/deities/blob/main/ATTRIBUTION.md")
    assert data.size_categories == "n<1K"
    assert data.annotations_creators == ["crowdsourced", "found"]
    (config,) = yaml.safe_load(text.strip().strip("-"))["configs"]
    assert [files["split"] for files in config["data_files"]] == ["train", "validation", "test"]


def test_a_single_licence_is_named(tmp_path: Path) -> None:
    _, facts = selected(tmp_path, {"license": "CC0-1.0"}, {"license": "CC0-1.0"})
    data = DatasetCard(front_matter(facts, "Deities", "a/b", sizes_known=True)).data
    assert data.license == "cc0-1.0"


@pytest.mark.parametrize(
    ("pictures", "category"), [(999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K")]
)
def test_sizes_are_in_the_hub_s_words(pictures: int, category: str) -> None:
    assert size_category(pictures) == category


def test_sizes_of_files_are_in_words_that_people_use() -> None:
    assert [file_size(n) for n in (12, 20_480, 1_234_567, 345_678_901)] == [
        "1 kB", "20 kB", "1.2 MB", "346 MB",
    ]  # fmt: skip


def write_croissant(folder: Path, selection: Selection, facts: Facts) -> Path:
    """What the Hub would have, as far as the Croissant file speaks of it."""
    for picture in selection.pictures:
        path = folder / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.path.read_bytes())
    files = documents(selection)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    text = croissant_file(
        selection, facts, title="Deities, credited", page=PAGE, day=date(2025, 6, 1),
        metadata_sha256=sha256(files["metadata.csv"]),
    )  # fmt: skip
    (folder / "croissant.json").write_text(text, encoding="utf-8")
    return folder / "croissant.json"


def test_the_croissant_file_validates_without_a_warning(tmp_path: Path) -> None:
    selection, facts = selected(tmp_path / "here", *MIXED)
    path = write_croissant(tmp_path / "there", selection, facts)
    metadata = mlcroissant.Dataset(path).metadata
    assert metadata.issues.errors == set()
    assert metadata.issues.warnings == set()
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["version"] == "2025.6.1"
    assert len(content["license"]) == 3
    assert content["rai:dataBiases"] == facts.biases
    (table,) = [file for file in content["distribution"] if file["@id"] == "metadata.csv"]
    assert table["sha256"] == sha256(documents(selection)["metadata.csv"])


def test_the_croissant_file_reads_back_pictures_and_labels(tmp_path: Path) -> None:
    selection, facts = selected(tmp_path / "here", *MIXED)
    path = write_croissant(tmp_path / "there", selection, facts)
    dataset = mlcroissant.Dataset(path, mapping={REPOSITORY: tmp_path / "there"})
    read = {
        record["pictures/file_name"].decode(): (
            record["pictures/category"].decode(),
            record["pictures/image"].tobytes(),
        )
        for record in dataset.records("pictures")
    }
    assert read == {
        picture.name: (picture.row["category"], Image.open(picture.path).tobytes())
        for picture in selection.pictures
    }
    names = [record["categories/name"] for record in dataset.records("categories")]
    assert names == ["Ganesha", "No deity recognised", "Shiva"]
