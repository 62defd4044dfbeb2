"""W&B's own file of an offline run, read back: nothing is missing, nothing is there twice."""

import io
import json
import warnings
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
from fastai.callback.core import Callback
from PIL import Image
from wandb.proto.wandb_internal_pb2 import Record

from ideitify.bundle import read_manifest
from ideitify.dataset import fingerprint, read_dataset
from tests.waiting import wait_until
from training.record import read_record
from training.settings import FitSettings
from training.tracking import WandbRun, has_key
from training.train import fit

DEFAULT_BUNDLE = Path(__file__).parents[2] / "models" / "default"
TINY = FitSettings(
    epochs=3, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25
)
FIGURES = {
    "epoch", "train_loss", "valid_loss", "accuracy", "top_3_accuracy", "top_5_accuracy", "macro_f1",
    "negative_log_likelihood", "learning_rate_head", "learning_rate_body", "pictures_per_second",
    "peak_memory_mib",
}  # fmt: skip
BLOCK, FILE_HEADER, CHUNK_HEADER = 32768, 7, 7


def records(run: Path, wandb_id: str = "*") -> list[Record]:
    """Every record of a run's offline files, oldest first; of one of its trainings by its id.

    The format is LevelDB's log (blocks of 32 KiB; chunks with checksum, length and type, where 1 is
    a whole record and 4 the last part of one) of protocol buffers, after a header of seven bytes.
    """
    found = []
    for path in sorted(run.glob(f"wandb/offline-run-*/run-{wandb_id}.wandb")):
        content, at, parts = path.read_bytes(), FILE_HEADER, b""
        while at + CHUNK_HEADER <= len(content):
            left = BLOCK - at % BLOCK
            if left < CHUNK_HEADER:
                at += left
                continue
            length = int.from_bytes(content[at + 4 : at + 6], "little")
            kind, at = content[at + 6], at + CHUNK_HEADER
            if at + length > len(content):  # is being written
                break
            parts += content[at : at + length]
            at += length
            if kind in (1, 4):
                found.append(Record.FromString(parts))
                parts = b""
    return found


def history(run: Path, wandb_id: str = "*") -> list[dict[str, object]]:
    """The logged rows, each with the step that W&B knows it by."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
        for row in (record.history for record in records(run, wandb_id))
        if row.item
    ]


def summary(run: Path, wandb_id: str = "*") -> dict[str, object]:
    """The figures of a run as a whole."""
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for record in records(run, wandb_id)
        for item in record.summary.update
    }


class KilledAfter(Callback):
    """Stops a run the hard way, right after an epoch was checkpointed and before it is logged."""

    order = 105

    def __init__(self, epoch: int) -> None:
        self.last = epoch

    def after_epoch(self) -> None:
        if self.epoch == self.last:
            raise KeyboardInterrupt


def no_account(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """No key, no netrc, and W&B's caches in a folder of the test."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        patch.delenv(name, raising=False)
    patch.setenv("NETRC", str(folder / "netrc"))
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        patch.setenv(name, str(folder / "wandb"))


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_account(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def tracked(drawn_dataset: Path, tiny_backbone: str, tmp_path_factory: pytest.TempPathFactory):
    """The folder of a run that is killed after its second epoch and resumed, without a key."""
    folder = tmp_path_factory.mktemp("tracked")
    run = folder / "mine"
    with pytest.MonkeyPatch.context() as patch:
        no_account(patch, folder)
        with pytest.raises(KeyboardInterrupt), WandbRun(run, drawn_dataset, "a-project") as wandb:
            fit(
                drawn_dataset, tiny_backbone, run, TINY, cache=folder,
                callbacks=[KilledAfter(1), wandb],
            )  # fmt: skip
        said = io.StringIO()
        with (
            warnings.catch_warnings(record=True) as warned,
            redirect_stderr(said),
            WandbRun(run, drawn_dataset, "a-project") as wandb,
        ):
            fitted = fit(
                drawn_dataset,
                tiny_backbone,
                run,
                TINY,
                cache=folder,
                resume=True,
                callbacks=[wandb],
            )
            wandb.finish(fitted, read_manifest(DEFAULT_BUNDLE), DEFAULT_BUNDLE)
    (folder / "said.txt").write_text(said.getvalue())
    (folder / "warned.txt").write_text("\n".join(str(each.message) for each in warned))
    # W&B's own process writes the last records after `finish` has returned
    wait_until(lambda: sum(r.WhichOneof("record_type") == "exit" for r in records(run)) == 2)
    return run


def test_every_figure_is_logged_under_its_name_once_for_every_epoch(tracked) -> None:
    rows = [row for row in history(tracked) if "epoch" in row]
    assert [row["_step"] for row in rows] == [0, 1, 2]
    for row, known in zip(rows, read_record(tracked)["epochs"], strict=True):
        assert set(row) >= FIGURES
        assert {name: row[name] for name in known} == known


def test_a_resumed_run_is_the_same_run(tracked) -> None:
    runs = [record.run for record in records(tracked) if record.run.run_id]
    assert len(list(tracked.glob("wandb/offline-run-*"))) == 2
    assert len({run.run_id for run in runs}) == 1
    assert {run.project for run in runs} == {"a-project"}


def test_settings_and_fingerprint_are_the_config(tracked, drawn_dataset: Path) -> None:
    config = {
        item.key: json.loads(item.value_json)
        for record in records(tracked)
        for item in [*record.run.config.update, *record.config.update]
        if item.key
    }
    assert config["settings"]["epochs"] == 3
    assert config["fingerprint"] == fingerprint(read_dataset(drawn_dataset))


def artifact_files(run: Path, kind: str) -> dict[str, Path]:
    """The files of a run's artifacts of one type: path in the artifact -> where it waits."""
    return {
        entry.path: Path(entry.local_path)
        for record in records(run)
        for entry in record.artifact.manifest.contents
        if record.artifact.type == kind
    }


def test_the_table_of_the_data_set_and_the_bundle_are_artifacts_without_pictures(tracked) -> None:
    assert set(artifact_files(tracked, "dataset")) == {"metadata.csv"}
    bundle = artifact_files(tracked, "model")
    assert set(bundle) == {path.name for path in DEFAULT_BUNDLE.iterdir()}


def test_the_worst_pictures_come_with_heat_map_truth_and_prediction(tracked) -> None:
    files = artifact_files(tracked, "run_table")
    table = json.loads(files["worst_pictures.table.json"].read_text())
    losses = [row[table["columns"].index("loss")] for row in table["data"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == read_record(tracked)["final"]["pictures"]
    for row in table["data"]:
        shown = dict(zip(table["columns"], row, strict=True))
        assert {shown["truth"], shown["prediction"]} <= {"ganesha", "none", "shiva"}
        assert shown["file"].startswith("images/")
        with Image.open(files[shown["heat map"]["path"]]) as image:
            assert image.size == (96, 80)


def test_confusions_and_final_figures_are_logged(tracked) -> None:
    assert any("confusion" in key for row in history(tracked) for key in row)
    metrics = read_manifest(DEFAULT_BUNDLE).metrics
    assert summary(tracked)["final/accuracy"] == read_record(tracked)["final"]["accuracy"]
    assert summary(tracked)["validation/accuracy"] == metrics["validation"]["accuracy"].value


def test_of_several_trainings_each_is_a_run_with_every_epoch_and_all_are_one_group(
    tracked, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run, settings = tmp_path / "both", TINY.model_copy(update={"epochs": 2, "runs": 2})
    with WandbRun(run, drawn_dataset, "a-project") as wandb:
        fitted = fit(
            drawn_dataset, tiny_backbone, run, settings, cache=tracked.parent, callbacks=[wandb]
        )
        wandb.finish(fitted, read_manifest(DEFAULT_BUNDLE), DEFAULT_BUNDLE)
    wait_until(lambda: sum(r.WhichOneof("record_type") == "exit" for r in records(run)) == 3)
    folders = {"both": run, "both/seed-0": run / "seed-0", "both/seed-1": run / "seed-1"}
    ids = {name: json.loads((f / "wandb.json").read_text())["id"] for name, f in folders.items()}
    runs = {each.run.display_name: each.run for each in records(run) if each.run.run_id}
    assert {name: each.run_id for name, each in runs.items()} == ids
    assert {each.run_group for each in runs.values()} == {"both"}
    said = capfd.readouterr().err.replace("\n", "")
    for name, folder in folders.items():
        rows = [row for row in history(run, ids[name]) if "epoch" in row]
        known = read_record(folder)
        epochs = known.get("epochs", [])  # none of the mean of both
        assert [{key: row[key] for key in epochs[0]} for row in rows] == epochs
        assert summary(run, ids[name])["final/accuracy"] == known["final"]["accuracy"]
        assert f"{run}/wandb/offline-run-*-{ids[name]}" in said
    assert "validation/accuracy" in summary(run, ids["both"])


def test_the_command_that_uploads_it_later_is_printed(tracked) -> None:
    state = json.loads((tracked / "wandb.json").read_text())
    said = (tracked.parent / "said.txt").read_text().replace("\n", "")
    assert f"wandb sync {tracked}/wandb/offline-run-*-{state['id']}" in said


def test_an_offline_run_is_not_asked_for_its_address(tracked) -> None:
    assert "URL not available" not in (tracked.parent / "said.txt").read_text()


def test_no_attribute_hides_one_of_fastais(tracked) -> None:
    assert "shadowing" not in (tracked.parent / "warned.txt").read_text()


def test_a_run_that_is_disabled_says_so_and_leaves_nothing(
    tracked, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run, settings = tmp_path / "run", TINY.model_copy(update={"epochs": 1})
    with WandbRun(run, drawn_dataset, "a-project") as wandb:
        fitted = fit(
            drawn_dataset, tiny_backbone, run, settings, cache=tracked.parent, callbacks=[wandb]
        )
        wandb.finish(fitted, read_manifest(DEFAULT_BUNDLE), DEFAULT_BUNDLE)
    said = capfd.readouterr().err
    assert said.count("W&B: disabled by WANDB_MODE") == 1
    assert "offline" not in said
    assert "sync" not in said
    assert not (run / "wandb").exists()
    assert not (run / "wandb.json").exists(), "a later call would think that epochs are logged"


def test_a_service_out_of_reach_is_a_line_and_the_figures_are_kept(
    tracked, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # discard: nobody listens there
    run, settings = tmp_path / "run", TINY.model_copy(update={"epochs": 1})
    with WandbRun(run, drawn_dataset, "a-project") as wandb:
        fit(drawn_dataset, tiny_backbone, run, settings, cache=tracked.parent, callbacks=[wandb])
    assert "W&B cannot be reached, logging offline" in capfd.readouterr().err
    assert list(run.glob("wandb/offline-run-*/run-*.wandb")), "to be synced later"
    assert [row["epoch"] for row in read_record(run)["epochs"]] == [0]


def test_a_folder_that_cannot_be_written_does_not_stop_the_training(
    tracked, drawn_dataset: Path, tiny_backbone: str, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"
    (run / "wandb.json").mkdir(parents=True)  # where the id should go
    with WandbRun(run, drawn_dataset, "a-project") as wandb:
        fitted = fit(
            drawn_dataset, tiny_backbone, run, TINY.model_copy(update={"epochs": 1}),
            cache=tracked.parent, callbacks=[wandb],
        )  # fmt: skip
    assert "W&B: starting failed, the training goes on" in capfd.readouterr().err
    assert np.isfinite(fitted.logits).all()


def test_a_key_is_found_in_the_environment_and_in_netrc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not has_key()
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {'k' * 40}\n")
    assert has_key()
    (tmp_path / "netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert has_key()
