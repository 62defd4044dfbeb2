"""A bundle is put where nothing is lost."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tiny import write_bundle
from training.__main__ import app
from training.export import ExportError, check_place


def test_a_new_or_empty_folder_or_an_older_bundle_may_be_written_to(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "bundle")
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")
    check_place(write_bundle(tmp_path / "older"))


@pytest.mark.parametrize("kind", ["folder", "bundles", "file", "bundle with more"])
def test_a_place_that_holds_anything_else_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "folder":
        (place / "thesis").mkdir(parents=True)
    elif kind == "bundles":
        write_bundle(place / "mine")
    elif kind == "file":
        place.write_text("thesis")
    else:
        write_bundle(place)
        (place / "thesis.txt").write_text("thesis")
    with pytest.raises(ExportError, match=r"thesis|mine|place"):
        check_place(place)


def test_fit_says_so_before_it_trains_and_leaves_everything(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    arguments = [
        "fit", "--data", str(drawn_dataset), "--backbone", tiny_backbone, "--out", str(tmp_path),
        "--run", str(tmp_path / "run"), "--no-wandb",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert "holds 'thesis.txt', so it is not only a bundle" in result.output
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "run").exists()
