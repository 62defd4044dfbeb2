"""Folds that share no source, folds that really train, and folds that go on where they stopped."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ideitify.dataset import Picture, read_rows
from tests.training.conftest import regrouped, with_rows
from training.__main__ import app
from training.backbone import BackboneError
from training.crossvalidate import (
    CrossValidationError,
    Folds,
    Plan,
    assign_folds,
    crossvalidate,
    fold_split,
)
from training.fold_report import report
from training.record import read_record, tempered_loss
from training.settings import FitSettings
from training.split import near_duplicate_clusters

TINY = FitSettings(
    epochs=3, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25
)
PLAN = Plan(folds=3, patience=1, monitor="accuracy", heatmaps=4)


def pictures(**sources_of: list[str]) -> list[Picture]:
    """One picture for each source named, by category; hashes far apart."""
    rng = np.random.default_rng(0)
    return [
        Picture(
            Path(f"{category}-{n}.jpg"), category, source,
            {"perceptual_hash": f"{rng.integers(2**63):016x}"},
        )
        for category, sources in sources_of.items()
        for n, source in enumerate(sources)
    ]  # fmt: skip


def test_no_source_is_in_two_folds_and_every_class_is_in_all() -> None:
    chosen = pictures(ganesha=[*"abcdefghij"] * 2, none=[*"bdfhjklmno"] * 3)
    folds = assign_folds(chosen, 5)
    homes = defaultdict(set)
    for picture, fold in zip(chosen, folds.fold_of, strict=True):
        homes[picture.group].add(fold)
    assert all(len(home) == 1 for home in homes.values())
    assert folds.is_unseen_group.all()
    assert folds.split_by_near_duplicates == []
    for category in ("ganesha", "none"):
        held = [f for p, f in zip(chosen, folds.fold_of, strict=True) if p.category == category]
        assert set(held) == set(range(5))


def test_a_class_of_one_source_is_split_by_near_duplicate_group() -> None:
    chosen = pictures(ganesha=["shop"] * 12, none=[*"abcdefghij"] * 2)
    chosen[1].columns["perceptual_hash"] = chosen[0].columns["perceptual_hash"]
    folds = assign_folds(chosen, 3)
    assert folds.split_by_near_duplicates == ["ganesha"]
    assert np.bincount(folds.fold_of[:12]).max() <= 5
    assert not folds.is_unseen_group[:12].any()
    assert folds.is_unseen_group[12:].all()
    clusters = near_duplicate_clusters([p.columns["perceptual_hash"] for p in chosen[:12]])
    assert clusters[0] == clusters[1]
    assert folds.fold_of[0] == folds.fold_of[1]


def test_the_order_of_the_pictures_does_not_matter() -> None:
    chosen = pictures(ganesha=["shop"] * 12, none=[*"abcdefghij"] * 2)
    folds = assign_folds(chosen, 3)
    assert folds.split_by_near_duplicates == ["ganesha"]
    order = np.random.default_rng(1).permutation(len(chosen))
    again = assign_folds([chosen[i] for i in order], 3)
    assert (again.fold_of == folds.fold_of[order]).all()
    assert (again.is_unseen_group == folds.is_unseen_group[order]).all()


def test_a_class_of_near_duplicates_alone_is_refused() -> None:
    chosen = pictures(ganesha=["shop"] * 9, none=[*"abcdefghij"] * 2)
    for picture in chosen[:9]:
        picture.columns["perceptual_hash"] = "0" * 16
    with pytest.raises(CrossValidationError, match="'ganesha' are all near-duplicates"):
        assign_folds(chosen, 3)


def test_more_folds_than_pictures_are_refused() -> None:
    with pytest.raises(CrossValidationError, match="fewer --folds"):
        assign_folds(pictures(ganesha=[*"abc"], none=[*"de"]), 10)


def test_early_stopping_never_sees_the_test_side() -> None:
    chosen = pictures(ganesha=[*"abcdefghij"] * 2, none=[*"bdfhjklmno"] * 3)
    folds = assign_folds(chosen, 5)
    for number in range(5):
        split = fold_split(chosen, folds, number, TINY)
        sides = np.stack([split.is_train, split.is_valid, split.is_test])
        assert (sides.sum(axis=0) == 1).all()
        assert (split.is_test == (folds.fold_of == number)).all()
        assert split.is_valid.any()


def test_without_early_stopping_all_of_the_training_side_is_trained_on() -> None:
    folds = Folds(np.array([0, 1, 1, 2]), np.ones(4, bool), [])
    split = fold_split(pictures(ganesha=[*"ab"], none=[*"cd"]), folds, 1, None)
    assert split.is_train.tolist() == [True, False, False, True]
    assert split.is_valid.tolist() == [False, True, True, False]


@pytest.fixture(scope="module")
def out(drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-validation that was interrupted in its second fold, and gone on with."""
    folder = tmp_path_factory.mktemp("folds")
    arguments = (drawn_dataset, tiny_backbone, folder / "cv", TINY, PLAN)
    crossvalidate(*arguments, cache=folder)
    second = folder / "cv" / "fold-2"  # as if killed before its test, the first fold being done
    (second / "test_predictions.csv").unlink()
    (folder / "before.json").write_text(json.dumps(read_record(second)))
    crossvalidate(*arguments, cache=folder)
    report(folder / "cv")
    return folder / "cv"


def tables(out: Path) -> list[list[dict[str, str]]]:
    paths = sorted(out.glob("fold-*/test_predictions.csv"))
    return [list(csv.DictReader(path.open(encoding="utf-8"))) for path in paths]


def test_every_picture_is_judged_once(out: Path, drawn_dataset: Path) -> None:
    judged = [row["picture"] for table in tables(out) for row in table]
    known = [row["file_name"] for row in csv.DictReader((drawn_dataset / "metadata.csv").open())]
    assert sorted(judged) == sorted(known)


def test_the_likeliest_labels_come_first_with_their_probabilities(out: Path) -> None:
    for row in (row for table in tables(out) for row in table):
        probabilities = [float(row[f"probability_{place}"]) for place in (1, 2, 3)]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        place = [row[f"prediction_{place}"] for place in (1, 2, 3)].index(row["truth"])
        assert float(row["truth_probability"]) == probabilities[place]


def test_a_fold_keeps_the_best_epoch_and_stops_after_its_patience(out: Path) -> None:
    for fold in sorted(out.glob("fold-*")):
        record = read_record(fold)
        accuracies = [row["accuracy"] for row in record["epochs"]]
        best = int(np.argmax(accuracies))
        assert record["final"]["accuracy"] == pytest.approx(accuracies[best], abs=1e-6)
        assert len(accuracies) == min(best + 1 + PLAN.patience, TINY.epochs)
        assert (fold / "checkpoint.pth").is_file()
        assert (fold / "history.csv").is_file()


def test_an_interrupted_fold_trains_no_epoch_again(out: Path) -> None:
    before = json.loads((out.parent / "before.json").read_text())
    assert read_record(out / "fold-2")["epochs"] == before["epochs"]
    assert read_record(out / "fold-2")["final"] == pytest.approx(before["final"])


def test_heat_maps_are_named_by_truth_and_prediction(out: Path) -> None:
    for fold, table in zip(sorted(out.glob("fold-*")), tables(out), strict=True):
        names = {path.name for path in (fold / "heatmaps").iterdir()}
        answers = {
            f"{row['truth']}--{row['prediction_1']}--{Path(row['picture']).stem}.jpg"
            for row in table
        }
        assert len(names) == PLAN.heatmaps
        assert names <= answers
        with Image.open(fold / "heatmaps" / names.pop()) as image:
            assert image.size == (96, 80)


def test_the_summary_is_that_of_the_tables(out: Path) -> None:
    summary = json.loads((out / "crossvalidation.json").read_text())
    hits = [[row["truth"] == row["prediction_1"] for row in table] for table in tables(out)]
    shares = [np.mean(fold) for fold in hits]
    assert summary["pictures"] == 36
    assert summary["mean"]["accuracy"]["mean"] == pytest.approx(np.mean(shares))
    assert summary["mean"]["accuracy"]["sd"] == pytest.approx(np.std(shares, ddof=1))
    pooled = summary["pooled"]["all"]["accuracy"]
    assert pooled["value"] == pytest.approx(np.mean(np.concatenate(hits)), abs=1e-4)
    assert pooled["low"] <= pooled["value"] <= pooled["high"]
    assert pooled["pictures"] == 36
    assert {label: row["recall"]["pictures"] for label, row in summary["per_class"].items()} == {
        "ganesha": 12, "none": 12, "shiva": 12,
    }  # fmt: skip


def test_the_likelihood_of_a_fold_is_defined_as_that_of_its_epochs(out: Path) -> None:
    summary = json.loads((out / "crossvalidation.json").read_text())
    for fold, row, table in zip(
        sorted(out.glob("fold-*")), summary["folds"], tables(out), strict=True
    ):
        logits = np.load(fold / "test_logits.npy")
        targets = np.array([["ganesha", "none", "shiva"].index(line["truth"]) for line in table])
        assert row["negative_log_likelihood"] == pytest.approx(tempered_loss(logits, targets))
    mean = np.mean([row["negative_log_likelihood"] for row in summary["folds"]])
    assert summary["mean"]["negative_log_likelihood"]["mean"] == pytest.approx(mean)


def test_the_page_is_one_file_that_fetches_nothing(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert page.count('class="plotly-graph-div"') == 4
    body = page[page.index("<body>") :]
    assert "src=" not in body
    assert "ganesha" in body


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"--folds": "4"}, "was started with other folds"),
        ({"--patience": "2"}, "was started with other patience"),
        ({"--monitor": "bogus"}, "no figure 'bogus'"),
        ({"--data": "/nowhere"}, "metadata.csv"),
        ({"--folds": "1"}, "--folds"),
    ],
)
def test_wrong_use_is_explained_with_exit_status_2(
    out: Path, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    change: dict[str, str], reason: str,
) -> None:  # fmt: skip
    settings = tmp_path / "settings.toml"
    values = TINY.model_dump(mode="json", exclude_unset=True)
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in values.items()))
    options = {
        "--data": str(drawn_dataset), "--backbone": tiny_backbone, "--out": str(out),
        "--folds": "3", "--patience": "1", "--monitor": "accuracy", "--settings": str(settings),
    } | change  # fmt: skip
    arguments = [part for option in options.items() for part in option]
    result = CliRunner().invoke(app, ["crossvalidate", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert reason in result.output


def test_folds_of_other_sources_are_not_taken_for_those_that_are_finished(
    out: Path, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    before = (out / "plan.json").read_bytes()
    reordered = with_rows(drawn_dataset, tmp_path / "reordered", read_rows(drawn_dataset)[::-1])
    crossvalidate(reordered, tiny_backbone, out, TINY, PLAN, cache=tmp_path)
    assert (out / "plan.json").read_bytes() == before
    data = regrouped(drawn_dataset, tmp_path / "data")
    with pytest.raises(CrossValidationError, match="was started with other sides of the split; go"):
        crossvalidate(data, tiny_backbone, out, TINY, PLAN, cache=tmp_path)
    assert (out / "plan.json").read_bytes() == before


def test_a_damaged_plan_is_named(drawn_dataset: Path, tiny_backbone: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"folds": 3')
    with pytest.raises(CrossValidationError, match=r"plan\.json is damaged: .* another --out"):
        crossvalidate(drawn_dataset, tiny_backbone, tmp_path, TINY, PLAN, cache=tmp_path)


def test_a_size_that_the_backbone_does_not_take_is_refused_before_any_work(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match="does not take photos of 64 pixels"):
        crossvalidate(drawn_dataset, "mixer_b16_224", tmp_path / "out", TINY, PLAN, cache=tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_mean_and_spread(
    out: Path, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    values = TINY.model_dump(mode="json", exclude_unset=True)
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in values.items()))
    result = CliRunner().invoke(app, [
        "crossvalidate", "--data", str(drawn_dataset), "--backbone", tiny_backbone,
        "--out", str(out), "--folds", "3", "--patience", "1", "--monitor", "accuracy",
        "--settings", str(settings),
    ])  # fmt: skip
    assert result.exit_code == 0, result.output
    mean = json.loads((out / "crossvalidation.json").read_text())["mean"]["accuracy"]
    assert f"{mean['mean']:.3f} ± {mean['sd']:.3f}" in result.output
