"""Machine-made variants train beside their originals, and are counted and judged nowhere."""

from pathlib import Path

import numpy as np
import pytest
from fastai.callback.core import Callback, CancelFitException
from PIL import Image, ImageOps
from typer.testing import CliRunner

from ideitify.bundle import verify_bundle
from ideitify.dataset import DatasetError, Picture, read_dataset, read_rows, write_rows
from tests.training.conftest import BRIEF, Trained
from training.__main__ import app
from training.data import choose_pictures
from training.settings import FitSettings
from training.split import Split, split_pictures
from training.synthetic import add_variants
from training.train import fit


def write_variants(folder: Path, originals: list[Picture], **columns: str) -> Path:
    """A folder as `synthesize` writes it: the mirror image stands for what a model would make."""
    rows = []
    for number, original in enumerate(originals):
        name = f"images/{original.category}/{number}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        ImageOps.mirror(Image.open(original.path)).save(folder / name)
        rows.append({
            "file_name": name, "category": original.category, "source": "synthetic",
            "group": original.group, "split": "train", "original": original.sha256,
            "status": "kept", "license": "CC-BY-NC-4.0", **columns,
        })  # fmt: skip
    write_rows(folder, rows)
    return folder


@pytest.fixture
def variants(drawn_dataset: Path, tmp_path: Path) -> Path:
    """A variant of every picture, also of those that validate."""
    return write_variants(tmp_path / "variants", read_dataset(drawn_dataset))


def sides(folder: Path) -> tuple[list[Picture], Split]:
    pictures = choose_pictures(folder)
    return pictures, split_pictures(pictures, share=0.25)


def test_no_variant_validates_nor_is_one_of_a_validation_picture(
    drawn_dataset: Path, variants: Path
) -> None:
    pictures, split = sides(drawn_dataset)
    joined, joined_split = add_variants(pictures, split, variants)
    added = np.array([picture.is_synthetic for picture in joined])
    assert added.sum() == split.is_train.sum()
    assert not joined_split.is_valid[added].any()
    assert not joined_split.is_unseen_group[added].any()
    assert np.array_equal(joined_split.is_valid[~added], split.is_valid)
    validating = {p.sha256 for p, valid in zip(pictures, split.is_valid, strict=True) if valid}
    assert not {p.columns["original"] for p in joined if p.is_synthetic} & validating


def test_nor_of_a_picture_that_is_kept_from_both_sides(drawn_dataset: Path, variants: Path) -> None:
    pictures, split = sides(drawn_dataset)
    tested = Split(split.is_valid, split.is_unseen_group, [], is_test=~split.is_valid)
    joined, joined_split = add_variants(pictures, tested, variants)
    assert len(joined) == len(pictures) == len(joined_split.is_train)


def test_a_variant_of_a_picture_relabelled_since_is_left_out(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    pictures, split = sides(drawn_dataset)
    folder = write_variants(tmp_path / "old", pictures, category="agni")
    assert add_variants(pictures, split, folder)[0] == pictures


def test_a_folder_without_variants_is_refused(drawn_dataset: Path) -> None:
    with pytest.raises(DatasetError, match="lists no machine-made picture"):
        add_variants(*sides(drawn_dataset), drawn_dataset)


def test_variants_in_the_dataset_itself_make_no_class_larger(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    few = [p for p in read_dataset(drawn_dataset) if p.category != "ganesha"]
    agni = [Picture(p.path, "agni", p.group, p.columns) for p in few[:5]]
    folder = write_variants(tmp_path / "all", [*few, *agni], source="museum")
    made = write_variants(tmp_path / "made", agni * 3)
    for row in read_rows(made):
        path = folder / "images" / "agni" / f"made-{Path(row['file_name']).name}"
        (made / row["file_name"]).rename(path)
        row["file_name"] = path.relative_to(folder).as_posix()
        write_rows(folder, [*read_rows(folder), row])
    assert {picture.category for picture in choose_pictures(folder, 6)} == {"none", "shiva"}


class BreakOff(Callback):
    """End a training after its first epoch, once the checkpoint is written."""

    order = 200

    def after_epoch(self) -> None:
        raise CancelFitException


def test_a_run_with_variants_broken_off_is_exported_and_says_both(
    trained: Trained, tmp_path: Path
) -> None:
    variants = write_variants(tmp_path / "variants", read_dataset(trained.data))
    fit(
        trained.data, trained.backbone, tmp_path / "run",
        FitSettings.model_validate({**BRIEF, "epochs": 3}),
        cache=tmp_path / "cache", synthetic=variants, callbacks=[BreakOff()],
    )  # fmt: skip
    common = ["--data", str(trained.data), "--backbone", trained.backbone]
    export = ["export", str(tmp_path / "run"), *common, "--out", str(tmp_path / "bundle")]

    refused = CliRunner().invoke(app, export, env={"COLUMNS": "500"})
    assert refused.exit_code == 2
    assert "was trained on other pictures (synthetic differ)" in refused.output

    done = CliRunner().invoke(app, [*export, "--synthetic", str(variants)])
    assert done.exit_code == 0, done.output
    without, manifest = verify_bundle(trained.bundle), verify_bundle(tmp_path / "bundle")
    train, valid = (without.training["pictures"][side] for side in ("train", "valid"))
    assert without.training["pictures"]["synthetic"] == 0
    assert manifest.training["pictures"] == {"train": train, "valid": valid, "synthetic": train}
    assert manifest.training["epochs"] == 1
    for same in ("fingerprint", "pictures_per_class"):
        assert manifest.training[same] == without.training[same]
    assert manifest.metrics["validation"]["accuracy"].pictures == valid
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert f"{train} machine-made variants" in card
    assert "broken off after 1 of 3 epochs" in card
    assert "CC-BY-NC-4.0" not in card  # the variants' own
    plain = (trained.bundle / "README.md").read_text(encoding="utf-8")
    assert "machine-made" not in plain
    assert "broken off" not in plain
