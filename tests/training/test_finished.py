"""A run's bundle can be written again from its folder, and from no other."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ideitify.bundle import read_manifest, verify_bundle
from ideitify.dataset import read_rows
from ideitify.recognizer import Recognizer
from tests.training.conftest import BRIEF, Trained, regrouped, with_rows
from training.__main__ import app
from training.finished import load_finished, load_fitted
from training.run_folder import RunError
from training.settings import FitSettings
from training.split import split_pictures
from training.train import fit


def export(trained: Trained, out: Path, **options: str):
    given = {"--data": str(trained.data), "--backbone": trained.backbone, "--out": str(out)}
    arguments = [part for option in (given | options).items() for part in option]
    return CliRunner().invoke(app, ["export", str(trained.run), *arguments], env={"COLUMNS": "500"})


def test_the_bundle_of_a_run_is_written_again_without_training(
    trained: Trained, tmp_path: Path
) -> None:
    done = export(trained, tmp_path / "again")
    assert done.exit_code == 0, done.output
    first, again = verify_bundle(trained.bundle), verify_bundle(tmp_path / "again")
    assert again.training == first.training
    assert again.metrics == first.metrics
    photo = next((trained.data / "images" / "ganesha").iterdir())
    before = Recognizer(trained.bundle).recognize(photo)
    after = Recognizer(tmp_path / "again").recognize(photo)
    assert np.allclose(before.embedding, after.embedding, atol=1e-5)
    assert [c.deity for c in before.candidates] == [c.deity for c in after.candidates]


def test_a_run_from_before_a_setting_existed_is_exported_with_its_default(
    trained: Trained, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.run, run)
    facts = json.loads((run / "settings.json").read_text())
    del facts["settings"]["teacher_share"]
    (run / "settings.json").write_text(json.dumps(facts))
    older = Trained(trained.bundle, run, trained.data, trained.backbone)
    done = export(older, tmp_path / "again")
    assert done.exit_code == 0, done.output
    again = verify_bundle(tmp_path / "again")
    assert again.training == verify_bundle(trained.bundle).training


def test_a_fold_has_no_bundle_as_its_validation_side_is_not_that_of_fit(
    trained: Trained, tmp_path: Path
) -> None:
    settings = FitSettings.model_validate(BRIEF)
    fit(
        trained.data, trained.backbone, tmp_path / "run", settings, cache=tmp_path / "cache",
        choose_split=lambda pictures: split_pictures(pictures, 0.25, seed=5),
    )  # fmt: skip
    with pytest.raises(RunError, match="is a fold"):
        load_fitted(tmp_path / "run", trained.data, trained.backbone)


@pytest.mark.parametrize(
    ("run", "options", "words"),
    [
        ("{data}", {}, "is not the folder of a run"),
        (
            "{run}",
            {"--backbone": "resnet18"},
            "made from the backbone small, not from resnet18",
        ),
        ("{run}", {"--data": "{run}"}, "is not a dataset folder"),
    ],
)
def test_what_cannot_be_exported_is_said(
    trained: Trained, tmp_path: Path, run: str, options: dict[str, str], words: str
) -> None:
    places = {"run": trained.run, "data": trained.data}
    other = Trained(trained.bundle, Path(run.format(**places)), trained.data, trained.backbone)
    filled = {name: value.format(**places) for name, value in options.items()}
    result = export(other, tmp_path / "out", **filled)
    assert result.exit_code == 2
    assert words in result.output


def test_the_run_of_another_backbone_is_not_that_of_a_bundle(
    trained: Trained, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.run, tmp_path / "run")
    facts = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(facts | {"backbone": "resnet18"}))
    with pytest.raises(RunError, match="is not the run of this bundle, it has other backbone"):
        load_finished(run, read_manifest(trained.bundle), "resnet18")


def test_other_pictures_than_the_run_s_are_refused(trained: Trained, tmp_path: Path) -> None:
    rows = [row for row in read_rows(trained.data) if "/11." not in row["file_name"]]
    data = with_rows(trained.data, tmp_path / "data", rows)
    with pytest.raises(RunError, match="was trained on other pictures"):
        load_fitted(trained.run, data, trained.backbone)


def test_a_picture_that_was_trained_on_does_not_come_to_validate(
    trained: Trained, tmp_path: Path
) -> None:
    data = regrouped(trained.data, tmp_path / "data")
    done = export(trained, tmp_path / "out", **{"--data": str(data)})
    assert done.exit_code == 2
    assert "(sides of the split differ); name the folders that fit was given" in done.output


def test_a_table_in_another_order_is_the_same_data(trained: Trained, tmp_path: Path) -> None:
    data = with_rows(trained.data, tmp_path / "data", read_rows(trained.data)[::-1])
    fitted = load_fitted(trained.run, data, trained.backbone, cache=tmp_path / "cache")
    valid = {fitted.data.pictures[i].sha256[:12] for i in fitted.valid}
    assert valid.isdisjoint(read_manifest(trained.bundle).training["seen"])
