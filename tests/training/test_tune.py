"""A real, tiny search: cut off, gone on with, pruned, and its best settings used."""

import json
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from typer.testing import CliRunner

from tests.training.conftest import regrouped
from training.__main__ import app
from training.backbone import BackboneError
from training.record import read_record
from training.settings import FitSettings, load_settings
from training.train import fit
from training.tune import SEARCH_SPACE, Judge, OutOfTime, TuneError, open_study, tune, write_results

TINY = FitSettings(
    epochs=2, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25
)
BOUNDS = {name: bounds for name, (bounds, _) in SEARCH_SPACE.items()}


@pytest.fixture(scope="module")
def search(drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory):
    """A search of which the first trial was cut off after one of its two epochs."""
    folder = tmp_path_factory.mktemp("tune")
    out, arguments = folder / "tune", (drawn_dataset, tiny_backbone, folder / "tune", TINY)
    tune(*arguments, trials=0, minutes=1, cache=folder)  # makes the study
    study = optuna.load_study(study_name="ideitify", storage=f"sqlite:///{out / 'study.db'}")
    trial = study.ask(BOUNDS)
    with pytest.raises(OutOfTime):
        fit(
            drawn_dataset, tiny_backbone, out / "trials" / "0", TINY, cache=folder,
            callbacks=[Judge(trial, deadline=0)],
        )  # fmt: skip
    cut_off = read_record(out / "trials" / "0")["epochs"]
    study = tune(*arguments, trials=2, minutes=60, cache=folder)
    return arguments, study, cut_off


def test_a_cut_off_trial_goes_on_and_no_epoch_is_trained_again(search) -> None:
    (*_, out, _), study, cut_off = search
    assert [trial.state for trial in study.trials] == [
        TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE,
    ]  # fmt: skip
    epochs = read_record(out / "trials" / "0")["epochs"]
    assert len(cut_off) == 1
    assert epochs[0] == cut_off[0]
    assert [row["epoch"] for row in epochs] == [0, 1]


def test_the_first_trial_is_the_settings_as_they_are(search) -> None:
    _, study, _ = search
    assert study.trials[1].params == {name: getattr(TINY, name) for name in BOUNDS}


def test_optuna_is_told_every_epoch_and_the_end(search) -> None:
    (*_, out, _), study, _ = search
    for trial in study.trials[1:]:
        record = read_record(out / "trials" / trial.user_attrs.get("run", str(trial.number)))
        losses = [row["negative_log_likelihood"] for row in record["epochs"]]
        assert list(trial.intermediate_values.values()) == pytest.approx(losses)
        assert trial.value == record["final"]["negative_log_likelihood"]


def test_the_same_call_goes_on_where_the_search_is(search) -> None:
    arguments, study, _ = search
    again = tune(*arguments, trials=2, minutes=60, cache=arguments[2].parent)
    assert len(again.trials) == len(study.trials)


def test_without_time_nothing_is_tried(search) -> None:
    arguments, study, _ = search
    again = tune(*arguments, trials=99, minutes=0, cache=arguments[2].parent)
    assert len(again.trials) == len(study.trials)


@pytest.mark.parametrize(("joined", "runs"), [(True, 1), (False, 2)])
def test_several_trainings_are_refused_before_any_work(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, joined: bool, runs: int
) -> None:
    backbone = f"{tiny_backbone}+{tiny_backbone}" if joined else tiny_backbone
    settings = TINY.model_copy(update={"runs": runs})
    with pytest.raises(TuneError, match="one backbone and one run"):
        tune(drawn_dataset, backbone, tmp_path / "tune", settings, trials=1, minutes=0)
    assert not (tmp_path / "tune").exists()


def test_other_settings_are_refused(search, tmp_path: Path) -> None:
    (data, backbone, out, _), *_ = search
    with pytest.raises(TuneError, match="other settings; go on with the same"):
        tune(data, backbone, out, FitSettings(), trials=2, minutes=1)


def test_other_sides_of_the_split_are_refused(search, tmp_path: Path) -> None:
    (data, backbone, out, settings), *_ = search
    other = regrouped(data, tmp_path / "data")
    with pytest.raises(TuneError, match="other sides of the split; go on with the same"):
        tune(other, backbone, out, settings, trials=2, minutes=1)


def test_other_data_backbone_or_bounds_are_refused(search) -> None:
    (*_, out, _), study, _ = search
    facts = study.user_attrs["facts"]
    for name in ("fingerprint", "backbone", "bounds"):
        with pytest.raises(TuneError, match=f"with other {name}"):
            open_study(out, facts | {name: "something else"})


def test_the_best_settings_are_a_file_for_fit(search) -> None:
    (*_, out, _), study, _ = search
    text = write_results(study, out)
    assert (out / "best.toml").read_text() == text
    settings = load_settings(out / "best.toml", {})
    assert settings == TINY.model_copy(update=study.best_params)
    assert f"{study.best_value:.4f}" in text


def test_the_page_has_optunas_plots_and_fetches_nothing(search) -> None:
    (*_, out, _), study, _ = search
    write_results(study, out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert page.count('class="plotly-graph-div"') >= 3
    assert "src=" not in page[page.index("<body>") :]


def test_a_hopeless_trial_is_stopped_at_an_epoch(
    search, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    arguments, study, _ = search
    out = tmp_path / "tune"
    study = open_study(out, study.user_attrs["facts"])
    for _ in range(5):  # five trials that nothing real can keep up with
        study.add_trial(create_trial(
            params=search[1].best_params, distributions=BOUNDS, value=0.0,
            intermediate_values={0: 0.0, 1: 0.0},
        ))  # fmt: skip
    study = tune(
        drawn_dataset, tiny_backbone, out, TINY, trials=6, minutes=60, cache=arguments[2].parent
    )
    (pruned,) = study.get_trials(states=[TrialState.PRUNED])
    assert list(pruned.intermediate_values) == [0]
    assert len(list((out / "trials").glob("*/history.csv"))) == 1
    assert not list((out / "trials").glob("*/checkpoint.pth"))


@pytest.mark.filterwarnings("ignore:Fixed parameter")  # it is out of the bounds on purpose
def test_a_trial_that_diverges_counts_and_the_search_goes_on(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, settings = tmp_path / "tune", TINY.model_copy(update={"learning_rate": 1e20})
    arguments = (drawn_dataset, tiny_backbone, out, settings)
    study = tune(*arguments, trials=1, minutes=60, cache=tmp_path)
    assert "no longer finite" in capsys.readouterr().err
    with pytest.raises(TuneError, match="more --trials"):
        write_results(study, out)
    study = tune(*arguments, trials=2, minutes=60, cache=tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
    write_results(study, out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "stopped after 0 epochs: the training has diverged" in page


def test_a_cut_off_trial_that_was_damaged_counts_and_the_search_goes_on(
    search, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    out = tmp_path / "tune"
    study = open_study(out, search[1].user_attrs["facts"])
    study.ask(BOUNDS)  # cut off, as no one tells how it ended
    shutil.copytree(search[0][2] / "trials" / "0", out / "trials" / "0")
    (out / "trials" / "0" / "checkpoint.pth").write_bytes(b"half a file")
    study = tune(drawn_dataset, tiny_backbone, out, TINY, trials=2, minutes=60, cache=tmp_path)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE]
    assert "checkpoint.pth is damaged" in study.trials[1].user_attrs["reason"]


def test_a_size_that_the_backbone_does_not_take_is_refused_before_any_work(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match="does not take photos of 64 pixels"):
        tune(drawn_dataset, "mixer_b16_224", tmp_path / "tune", TINY, trials=1, minutes=1)
    assert not (tmp_path / "tune").exists()


def test_a_search_without_a_whole_trial_has_no_best(search, tmp_path: Path) -> None:
    study = open_study(tmp_path, search[1].user_attrs["facts"])
    with pytest.raises(TuneError, match="more --minutes"):
        write_results(study, tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"--data": "/nowhere"}, "metadata.csv"),
        ({"--backbone": "no-such-network"}, "no backbone"),
        ({"--epochs": "3"}, "other settings"),
        ({"--trials": "0"}, "--trials"),
    ],
)
def test_wrong_use_is_explained_with_exit_status_2(
    search, tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    (data, backbone, out, _), *_ = search
    settings = tmp_path / "settings.toml"
    values = TINY.model_dump(mode="json", exclude_unset=True)
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in values.items()))
    options = {
        "--data": str(data), "--backbone": backbone, "--out": str(out), "--trials": "2",
        "--minutes": "1", "--settings": str(settings),
    } | change  # fmt: skip
    arguments = [part for option in options.items() for part in option]
    result = CliRunner().invoke(app, ["tune", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert reason in result.output


def test_the_command_prints_the_best_settings(search, tmp_path: Path) -> None:
    (data, backbone, out, _), study, _ = search
    settings = tmp_path / "settings.toml"
    values = TINY.model_dump(mode="json", exclude_unset=True)
    settings.write_text("\n".join(f"{name} = {json.dumps(v)}" for name, v in values.items()))
    result = CliRunner().invoke(app, [
        "tune", "--data", str(data), "--backbone", backbone, "--out", str(out), "--trials", "2",
        "--minutes", "1", "--settings", str(settings),
    ])  # fmt: skip
    assert result.exit_code == 0, result.output
    assert f"negative_log_likelihood {study.best_value:.4f}" in result.output
