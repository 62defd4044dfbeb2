"""Steps run when their input changed, on the table as if later ones had never run; nothing is lost.

The steps are the real ones that need no model: enrol, decisions, validate, balance.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import filelock
import pandas as pd
import pytest
from PIL import Image

from data_prep.prepare import Outcome, run_steps, standings
from data_prep.steps import find_step
from data_prep.table import read_table
from ideitify.dataset import DatasetError, write_rows
from ideitify.decisions import Action, Decision, append_decisions
from tests.data_prep.pictures import save_dataset, scene
from tests.waiting import wait_until

PROJECT = Path(__file__).parents[2]
NAMES = [f"ganesha/{number}.png" for number in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sound pictures and a tiny one."""
    sizes = [(200, 150), (200, 150), (200, 150), (90, 120)]
    pictures = {name: scene(n).resize(sizes[n]) for n, name in enumerate(NAMES)}
    save_dataset(tmp_path / "heap", pictures, {NAMES[0]: {"title": 'एक, "दो"\r\nतीन'}})
    return tmp_path / "heap"


def prepare(
    folder: Path, *names: str, settings: str = "", force: bool = False
) -> dict[str, Outcome]:
    file = folder.parent / "settings.toml"
    file.write_text(settings)
    steps = [find_step(name) for name in names or ("enrol", "decisions", "validate", "balance")]
    options = {"workers": 1}
    outcomes = run_steps(folder, steps, file, force=force, options=options)
    return {outcome.step: outcome for outcome in outcomes}


def decide(folder: Path, name: str, action: Action, category: str) -> None:
    when = "2026-01-01T00:00:00Z"
    append_decisions(folder, [Decision(when, "Asha", f"images/{name}", action, category)])


def set_by_hand(folder: Path, name: str, status: str) -> None:
    table = read_table(folder)
    table.rows.loc[f"images/{name}", "status"] = status
    table.save()


def statuses(folder: Path) -> list[str]:
    return list(read_table(folder).rows["status"])


def content(folder: Path) -> pd.DataFrame:
    return read_table(folder).rows.sort_index(axis=1)


def test_every_step_runs_once(folder: Path) -> None:
    assert {o.reason for o in prepare(folder).values()} == {"never ran"}
    assert statuses(folder) == ["kept", "kept", "kept", "review"]
    written = (folder / "metadata.csv").stat().st_mtime_ns
    assert {o.reason for o in prepare(folder).values()} == {""}
    assert (folder / "metadata.csv").stat().st_mtime_ns == written
    assert {o.reason for o in prepare(folder, force=True).values()} == {"forced"}


def test_nothing_but_the_steps_columns_changes(folder: Path) -> None:
    before = read_table(folder).rows
    prepare(folder)
    after = read_table(folder).rows
    assert list(after["title"]) == list(before["title"])
    changed = [c for c in before if list(before[c]) != list(after[c])]
    assert changed == ["status", "reject_reason"]


def test_a_picture_that_changed_is_looked_at_again(folder: Path) -> None:
    prepare(folder)
    scene(9, (200, 150)).save(folder / "images" / NAMES[3])
    outcomes = prepare(folder)
    assert outcomes["validate"].reason == "the files changed"
    assert statuses(folder)[3] == "review", "content changed"
    assert read_table(folder).rows["reject_reason"].iloc[3].startswith("content changed")


def test_a_picture_that_was_added_runs_all_again(folder: Path) -> None:
    prepare(folder)
    scene(5).save(folder / "images/ganesha/new.png")
    outcomes = prepare(folder)
    assert outcomes["enrol"].reason == "the files changed"
    assert outcomes["validate"].reason == "stands on an earlier step that ran again"
    assert statuses(folder) == ["kept", "kept", "kept", "review", "review"]
    assert {o.reason for o in prepare(folder).values()} == {""}


def test_another_threshold_takes_the_old_one_s_verdicts_back(folder: Path) -> None:
    prepare(folder)
    assert prepare(folder, settings="[validate]\ntiny_side = 40")["validate"].reason == (
        "the settings changed"
    )
    assert statuses(folder) == ["kept"] * 4
    assert read_table(folder).rows["reject_reason"].iloc[3] == ""


def test_going_on_gives_what_starting_anew_gives(folder: Path) -> None:
    anew = Path(shutil.copytree(folder, folder.parent / "anew"))
    prepare(folder, settings="[validate]\ntiny_side = 180")
    prepare(folder, settings="[validate]\nuseless_side = 100")
    prepare(folder, settings="[validate]\ntiny_side = 100")
    prepare(anew, settings="[validate]\ntiny_side = 100")
    pd.testing.assert_frame_equal(content(folder), content(anew))


def test_steps_after_one_with_the_same_result_stand(folder: Path) -> None:
    prepare(folder)
    os.utime(folder / "images" / NAMES[0])
    outcomes = prepare(folder)
    assert outcomes["validate"].reason == "the files changed"
    assert outcomes["balance"].reason == ""
    assert {o.reason for o in prepare(folder).values()} == {""}


def test_steps_after_one_with_another_result_are_to_run_again(folder: Path) -> None:
    prepare(folder)
    outcomes = prepare(folder, "validate", settings="[validate]\ntiny_side = 180")
    assert outcomes["validate"].undone == ["balance"]
    _, stands = standings(folder)
    stale = {stand.step: stand.stale for stand in stands}
    assert stale["validate"] == ""
    assert stale["balance"] == "stands on an earlier step that ran again"


def test_what_a_person_decides_stays_and_can_be_undone(folder: Path) -> None:
    prepare(folder)
    name = f"images/{NAMES[3]}"
    decision = Decision("2026-01-01T00:00:00Z", "Asha", name, "keep", "ganesha", "")
    append_decisions(folder, [decision])
    assert prepare(folder)["decisions"].reason == "the files changed"
    assert statuses(folder) == ["kept"] * 4
    undo = Decision("2026-01-02T00:00:00Z", "Asha", name, "undo", "", "")
    append_decisions(folder, [undo])
    prepare(folder)
    assert statuses(folder)[3] == "review"
    assert read_table(folder).rows["decided_by"].iloc[3] == ""


@pytest.mark.parametrize(("decided", "first"), [(True, "decisions"), (False, "validate")])
def test_an_older_table_that_is_put_back_is_prepared_again(
    folder: Path, decided: bool, first: str
) -> None:
    older = (folder / "metadata.csv").read_bytes()
    if decided:
        decide(folder, NAMES[0], "reject", "")
        decide(folder, NAMES[1], "relabel", "shiva")
    prepare(folder)
    prepared = content(folder)
    (folder / "metadata.csv").write_bytes(older)
    _, stands = standings(folder)
    stale = {stand.step: stand.stale for stand in stands}
    assert stale[first] == "its result is no longer in the table"
    prepare(folder)
    pd.testing.assert_frame_equal(content(folder), prepared)
    assert {o.reason for o in prepare(folder).values()} == {""}


def test_a_decision_that_was_set_back_in_the_table_is_applied_again(folder: Path) -> None:
    for name in NAMES[:2]:
        decide(folder, name, "reject", "")
    prepare(folder)
    set_by_hand(folder, NAMES[0], "kept")
    assert prepare(folder)["decisions"].reason == "its result is no longer in the table"
    assert statuses(folder)[:2] == ["rejected", "rejected"]


def test_what_a_step_said_can_be_set_back_by_hand(folder: Path) -> None:
    prepare(folder)
    set_by_hand(folder, NAMES[3], "kept")
    assert prepare(folder)["validate"].reason == ""
    assert statuses(folder)[3] == "kept"


def test_a_folder_that_is_moved_or_called_by_another_path_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(folder, NAMES[0], "keep", "ganesha")
    prepare(folder)
    monkeypatch.chdir(folder.parent)
    assert {o.reason for o in prepare(Path("heap")).values()} == {""}
    moved = folder.rename(folder.parent / "moved")
    assert {o.reason for o in prepare(moved).values()} == {""}


def test_a_picture_that_vanishes_is_rejected_and_the_others_go_on(
    folder: Path, tiny_bundle: Path
) -> None:
    steps, options = (
        [find_step(n) for n in ("validate", "quality", "duplicates")],
        {"workers": 1, "bundle": str(tiny_bundle)},
    )
    list(run_steps(folder, steps, options=options))
    (folder / "images" / NAMES[0]).unlink()
    list(run_steps(folder, steps, options=options))
    rows = read_table(folder).rows
    assert rows["reject_reason"].iloc[0] == "file is missing"
    assert list(rows["dark_score"] == "") == [True, False, False, False]


def test_without_its_notes_a_folder_starts_from_what_its_table_says(folder: Path) -> None:
    prepare(folder)
    before = content(folder)
    shutil.rmtree(folder / ".data_prep")
    prepare(folder)
    pd.testing.assert_frame_equal(content(folder), before)


def test_a_table_that_someone_else_wrote_meanwhile_is_not_overwritten(folder: Path) -> None:
    outcomes = run_steps(folder, [find_step("enrol"), find_step("validate")])
    next(outcomes)
    records = read_table(folder).rows.reset_index().to_dict("records")
    write_rows(folder, [*records, {"file_name": "images/a.png", "category": "shiva"}])
    with pytest.raises(DatasetError, match="was changed by someone else meanwhile: run this again"):
        next(outcomes)
    assert len(read_table(folder).rows) == 5
    prepare(folder)
    assert statuses(folder)[-1] == "rejected", "its file is missing"


def test_two_runs_at_once_are_refused(folder: Path) -> None:
    prepare(folder)
    with (
        filelock.FileLock(folder / ".data_prep/lock"),
        pytest.raises(DatasetError, match="another run is at work"),
    ):
        prepare(folder)


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "data_prep", *arguments, str(folder)]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_run_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    scenes = [scene(n, (1200, 900)) for n in range(5)]
    folder = tmp_path / "heap"
    save_dataset(folder, {f"ganesha/{n}.jpg": scenes[n % 5] for n in range(100)})
    unbroken = Path(shutil.copytree(folder, tmp_path / "unbroken"))
    before = (folder / "metadata.csv").read_bytes()

    def measured() -> int:
        try:
            with closing(sqlite3.connect(folder / ".data_prep/pixels.sqlite")) as cache:
                return int(cache.execute("SELECT count(*) FROM pixels").fetchone()[0])
        except sqlite3.Error:
            return 0

    process = subprocess.Popen(
        [*command(folder, "validate"), "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: measured() > 0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    known = measured()
    assert 0 < known < 100
    assert (folder / "metadata.csv").read_bytes() == before

    said = run(command(folder, "status"))
    assert said.returncode == 0, said.stderr
    assert "validate" in said.stdout
    assert "was interrupted" in said.stdout

    assert prepare(folder, "validate")["validate"].reason == "was interrupted"
    assert prepare(unbroken, "validate")["validate"].reason == "never ran"
    assert (folder / "metadata.csv").read_bytes() == (unbroken / "metadata.csv").read_bytes()


# What is wrong with the folder.


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        (None, "has no metadata.csv"),
        ("", "lists no picture: run python -m scraper harvest first"),
        ("file_name,category\n", "lists no picture"),
        ("file_name,title\na.jpg,x\n", "lacks the column(s) category"),
        ("category\nganesha\n", "lacks the column(s) file_name"),
        ("file_name,category\n../a.jpg,x\n", "must be a path inside the folder"),
        ("file_name,category\n/etc/passwd,x\n", "must be a path inside the folder"),
        ("file_name,category\na.jpg,x\na.jpg,y\n", "has two rows for a.jpg; keep one"),
        ("file_name,category\na.jpg\n", "has not as many fields as the header"),
    ],
)
@pytest.mark.parametrize("name", ["prepare", "status"])
def test_a_folder_that_is_no_dataset(
    tmp_path: Path, metadata: str | None, sentence: str, name: str
) -> None:
    if metadata is not None:
        (tmp_path / "metadata.csv").write_text(metadata)
    with pytest.raises(DatasetError) as raised:
        standings(tmp_path) if name == "status" else prepare(tmp_path)
    assert sentence in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"metadata.csv", "settings.toml"}


def test_a_table_that_is_not_utf_8_is_left_as_it_is(tmp_path: Path) -> None:
    data = "file_name,category\nimages/a.jpg,é\n".encode("latin-1")
    (tmp_path / "metadata.csv").write_bytes(data)
    with pytest.raises(DatasetError, match="is not UTF-8"):
        prepare(tmp_path)
    assert (tmp_path / "metadata.csv").read_bytes() == data


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "is not a dataset folder" in refused(run(command(tmp_path / "nowhere", "prepare")))
    assert not (tmp_path / "nowhere").exists()


def test_two_columns_are_enough_and_others_stay(tmp_path: Path) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("category,file_name,mood\nganesha,a.png,calm\n")
    prepare(tmp_path)
    row = read_table(tmp_path).rows.iloc[0]
    assert (row["mood"], row["status"], row["format"]) == ("calm", "kept", "PNG")


def test_rows_without_files_and_files_without_rows(folder: Path) -> None:
    (folder / "images" / NAMES[0]).rename(folder / "images/ganesha/moved.png")
    scene(9).save(folder / "images/ganesha/new.png")
    prepare(folder)
    rows = read_table(folder).rows
    assert list(rows["status"]) == ["rejected", "kept", "kept", "review", "kept", "review"]
    assert rows["reject_reason"].iloc[0] == "file is missing"
    assert rows["reject_reason"].iloc[4] == ""  # the same picture, with all that its row told
    assert rows["reject_reason"].iloc[5] == "file without a row in metadata.csv"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("[validate", "cannot be read as TOML settings"),
        ("[validat]\n", "has a section 'validat', which is no step"),
        ("[validate]\ntiny = 3\n", "section [validate]: tiny: Extra inputs are not permitted"),
        ("[validate]\ntiny_side = 'x'\n", "tiny_side: Input should be a valid integer"),
    ],
)
def test_settings_that_cannot_be_used(folder: Path, settings: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="settings") as raised:
        prepare(folder, settings=settings)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (folder / ".data_prep").exists()


def test_a_bundle_that_is_not_there_is_said_before_any_step_runs(folder: Path) -> None:
    message = refused(run([*command(folder, "prepare"), "--bundle", str(folder / "nowhere")]))
    assert "there is no bundle folder" in message
    assert not (folder / ".data_prep").exists()


def bound(arguments: list[str]) -> list[str]:
    """Root may write anywhere, unless it gives up that power."""
    if os.geteuid() == 0:
        return ["setpriv", "--bounding-set", "-dac_override", "--", *arguments]
    return arguments


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"
    }  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="permissions of Linux")
@pytest.mark.parametrize("ran_before", [False, True])
def test_a_disk_that_cannot_be_written(folder: Path, ran_before: bool) -> None:
    if ran_before:
        prepare(folder)
        shutil.copy(folder / "images" / NAMES[0], folder / "images/ganesha/new.png")
    before = snapshot(folder)
    places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for place in places:
        place.chmod(0o555)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    try:
        message = refused(run(bound(command(folder, "validate"))))
        said = run(bound(command(folder, "status")))
    finally:
        for place in places:
            place.chmod(0o755)
    assert message.startswith(f"Error: cannot read or write {folder}/.data_prep")
    assert "Permission denied" in message
    assert said.returncode == 0, said.stderr
    assert "4 pictures" in said.stdout
    assert snapshot(folder) == before


FULL = """
import resource, runpy, sys
limit, *arguments = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.argv = ["data_prep", *arguments]
runpy.run_module("data_prep", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("limit", [100, 1000, 20_000])
def test_a_disk_that_is_full(folder: Path, limit: int) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of writing."""
    table = (folder / "metadata.csv").read_bytes()
    arguments = [str(limit), "validate", str(folder), "--workers", "1"]
    message = refused(run([sys.executable, "-c", FULL, *arguments]))
    assert message.startswith("Error: cannot read or write")
    assert (folder / "metadata.csv").read_bytes() == table
    assert not list(folder.rglob("*.partial"))
    assert run(command(folder, "status")).returncode == 0
    done = run(command(folder, "validate"))
    assert done.returncode == 0, done.stderr
    assert statuses(folder) == ["kept", "kept", "kept", "review"]


def test_state_that_is_damaged_is_told_and_nothing_runs(folder: Path) -> None:
    prepare(folder)
    table = (folder / "metadata.csv").read_bytes()
    (folder / ".data_prep/state.json").write_text(json.dumps({"runs": 3}))
    for name in ("validate", "status"):
        assert "is damaged: delete it" in refused(run(command(folder, name)))
    assert (folder / "metadata.csv").read_bytes() == table
