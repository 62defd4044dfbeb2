"""Which pictures a bundle is judged on, and what is said where that is not known."""

import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import pytest

from ideitify.bundle import Manifest, read_manifest
from ideitify.dataset import DatasetError, fingerprint, read_dataset, read_rows
from tests.tiny import write_bundle
from tests.training.conftest import BRIEF, with_rows
from tests.training.test_evaluate import run, write_dataset
from training.export import export_bundle
from training.prototypes import small_categories
from training.settings import FitSettings
from training.sides import choose_side, seen_names
from training.train import Fitted, fit

# `data_prep` deals out whole sources; of Shiva too little is left to train on
HELD_OUT = {
    "ganesha": {"source-3"}, "none": {"source-3"}, "shiva": {"source-2", "source-3"},
}  # fmt: skip


@dataclass(frozen=True)
class HeldOut:
    """A fit on a data set with a side for tests."""

    data: Path
    bundle: Path
    fitted: Fitted
    said: str

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.bundle)


@pytest.fixture(scope="module")
def held_out(
    drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory
) -> HeldOut:
    folder = tmp_path_factory.mktemp("held_out")
    rows = [
        row | {"split": "test" if row["group"] in HELD_OUT[row["category"]] else "train"}
        for row in read_rows(drawn_dataset)
    ]
    data = with_rows(drawn_dataset, folder / "data", rows)
    settings = FitSettings.model_validate(BRIEF)
    with redirect_stderr(io.StringIO()) as said:
        fitted = fit(data, tiny_backbone, folder / "run", settings, cache=folder / "cache")
    export_bundle(fitted, folder / "bundle", "tiny")
    return HeldOut(data, folder / "bundle", fitted, said.getvalue())


def names_held_out(data: Path) -> list[str]:
    return [row["file_name"] for row in read_rows(data) if row["split"] == "test"]


def test_fit_says_how_many_pictures_it_holds_out(held_out: HeldOut) -> None:
    assert held_out.said.count("12 pictures with split 'test' are kept out") == 1


def test_a_bundle_is_made_of_nothing_that_was_held_out(held_out: HeldOut) -> None:
    data, names = held_out.fitted.data, set(names_held_out(held_out.data))
    pictures = [p for p in read_dataset(held_out.data) if p.columns["file_name"] in names]
    few = small_categories(held_out.fitted)
    facts = held_out.manifest.training
    assert data.labels == ["ganesha", "none"]
    assert {picture.category for picture in few} == {"shiva"}
    assert names.isdisjoint(p.columns["file_name"] for p in [*data.pictures, *few])
    assert set(seen_names(pictures)).isdisjoint(facts["seen"])
    assert facts["fingerprint"] == fingerprint(data.pictures)
    assert facts["pictures"] == {"train": 12, "valid": 6, "synthetic": 0}


def test_what_was_held_out_is_there_to_judge_the_bundle_on(held_out: HeldOut) -> None:
    judged = choose_side(held_out.data, held_out.manifest, "test")
    assert sorted(p.columns["file_name"] for p in judged.pictures + judged.unknown) == sorted(
        names_held_out(held_out.data)
    )
    said = run("evaluate", held_out.bundle, "--data", held_out.data, "--split", "test")
    assert f"{len(judged.pictures)} pictures: pictures with split 'test' in metadata.csv" in said
    assert "flatter" not in said


def test_its_validation_side_is_that_of_the_fit_and_holds_none_of_them(held_out: HeldOut) -> None:
    judged = choose_side(held_out.data, held_out.manifest, "valid")
    fitted = held_out.fitted
    assert {p.path for p in judged.pictures if p.category in fitted.data.labels} == {
        fitted.data.pictures[i].path for i in fitted.valid
    }


@pytest.mark.parametrize(
    ("splits", "side", "what"),
    [
        (None, None, "12 pictures: all pictures"),
        (["train", "valid", "test"], None, "4 pictures: pictures with split 'valid'"),
        (["train", "valid", "test"], "test", "4 pictures: pictures with split 'test'"),
    ],
)
def test_a_bundle_that_remembers_no_picture_is_not_called_new_to_any(
    tmp_path: Path, splits: list[str] | None, side: str | None, what: str
) -> None:
    """As `training convert` writes it, of a learner that comes without its pictures."""
    data = write_dataset(tmp_path / "data", splits)
    facts = {"converted_from": "model.pkl"}
    bundle = write_bundle(tmp_path / "bundle", name="old", training=facts)
    chosen = ["--split", side] if side else []
    said = run("evaluate", bundle, "--data", data, *chosen, "--out", tmp_path / "out")
    doubt = "it is not known which pictures old was trained on: figures may flatter"
    assert what in said
    assert doubt in said
    assert doubt in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert doubt in run("compare", bundle, bundle, "--data", data, *chosen)


def test_a_bundle_made_of_other_pictures_is_in_no_doubt(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", ["train", "valid", "test"])
    bundle = write_bundle(tmp_path / "bundle", training={"seen": ["0" * 12]})
    assert "flatter" not in run("evaluate", bundle, "--data", data)


def test_a_side_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    manifest = read_manifest(write_bundle(tmp_path / "bundle", training={}))
    with pytest.raises(DatasetError, match="no picture with split 'valid', and it is not known"):
        choose_side(data, manifest, "valid")
