"""The command line: what programs may rely on, and what people read."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from ideitify.__main__ import app
from tests.tiny import BLUE, GREY, RED, VIOLET, png, write_bundle

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command in an empty folder with the tiny bundle, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        if arguments[:1] in {("identify",), ("info",)} and "--bundle" not in arguments:
            arguments = (*arguments, "--bundle", str(tiny_bundle))
        done = CliRunner().invoke(app, arguments, prog_name="python -m ideitify")
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def run_process(tiny_bundle: Path, tmp_path: Path):
    """The same as a process of its own, for what only a process has.

    `shell` is what a shell does with the program, which it knows as "$@".
    """

    def run_process(
        *arguments: str | bytes, stdin: bytes = b"", shell: str = '"$@"', **environment: str
    ) -> Done:
        done = subprocess.run(
            ["sh", "-c", shell, "sh", sys.executable, "-m", "ideitify", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "IDEITIFY_BUNDLE": str(tiny_bundle),
                 **environment},
            input=stdin,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run_process


def records(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(done: Done) -> str:
    """The sentence of a refusal, without answers and without a traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_one_photo_as_json(run_process, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(RED))
    done = run_process("identify", "photo.png", "--json")
    assert done.returncode == 0, done.stderr
    (record,) = records(done)
    assert record.pop("milliseconds") > 0
    assert record == {
        "file": "photo.png",
        "verdict": "deity",
        "candidates": [
            {"deity": "ganesha", "probability": 0.999664},
            {"deity": "krishna", "probability": 0.0},
            {"deity": "shiva", "probability": 0.0},
        ],
        "none_probability": 0.000335,
    }


def test_folders_are_walked_and_broken_files_do_not_stop_the_others(run, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name, data in {
        "b/गणेश [1] *.png": png(RED),
        "a.JPG": png(BLUE),
        "broken.jpg": b"\xff\xd8\xff broken",
        "c/.thumbnail.png": png(RED),
        ".trash/old.png": png(RED),
        "notes.txt": b"not a photo by its name",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    done = run("identify", "photos", "missing.jpg", "photos/notes.txt", "--json")
    assert done.returncode == 1
    answers = {record["file"]: record for record in records(done)}
    assert list(answers) == [
        "photos/a.JPG", "photos/b/गणेश [1] *.png", "photos/broken.jpg", "missing.jpg",
        "photos/notes.txt",
    ]  # fmt: skip
    assert answers["photos/a.JPG"]["candidates"][0]["deity"] == "krishna"
    assert answers["photos/b/गणेश [1] *.png"]["candidates"][0]["deity"] == "ganesha"
    assert set(answers["photos/broken.jpg"]) == {"file", "error"}
    assert answers["missing.jpg"]["error"].startswith("There is no file missing.jpg")
    assert "not an image" in answers["photos/notes.txt"]["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes only there")
def test_a_name_that_is_not_utf_8_comes_out_as_it_went_in(run_process, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(png(RED))
    (record,) = records(run_process("identify", name, "--json"))
    assert os.fsencode(record["file"]) == name


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("https://example.org/a.jpg", "Addresses are not fetched here: download the picture, or"),
        ("", "The name of the photo is empty: "),
    ],
)
def test_what_names_no_file_is_told_why(run, name: str, error: str) -> None:
    done = run("identify", name, "--json")
    assert done.returncode == 1
    (record,) = records(done)
    assert record["file"] == name
    assert record["error"].startswith(error)


def test_an_empty_folder_is_reported(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("identify", "empty", "--json")
    assert done.returncode == 1
    (record,) = records(done)
    assert record["file"] == "empty"
    assert record["error"].startswith("There is no photo in this folder")


def test_a_photo_from_standard_input(run_process) -> None:
    done = run_process("identify", "-", "--json", "--heatmap", "heat", stdin=png(RED))
    (record,) = records(done)
    assert (record["file"], record["verdict"]) == ("-", "deity")
    assert record["heatmap"] == "heat/stdin.ganesha.png"


def test_the_answer_in_words(run, tmp_path: Path) -> None:
    for name, colour in {"red": RED, "violet": VIOLET, "grey": GREY}.items():
        (tmp_path / f"{name}.png").write_bytes(png(colour))
    (tmp_path / "broken.png").write_bytes(b"")
    done = run("identify", "red.png", "violet.png", "grey.png", "broken.png", "--top", "2")
    assert done.returncode == 1
    assert "red.png: This looks like Ganesha.\n over 99 %  Ganesha (ganesha)" in done.stdout
    assert "violet.png: Could be Ganesha or Krishna.\n      49 %  " in done.stdout
    assert "grey.png: I see no deity that I know here.\n" in done.stdout
    assert "shiva" not in done.stdout, "the third"
    assert done.stdout.endswith("\n      71 %  no deity that I know\n")
    assert done.stderr == "broken.png: The file is empty: choose the photo again.\n"


def test_the_csv_has_a_row_for_each_file(run, tmp_path: Path) -> None:
    (tmp_path / "a, b.png").write_bytes(png(RED))
    (tmp_path / "broken.png").write_bytes(b"")
    assert run("identify", "a, b.png", "broken.png", "--csv", "out.csv").returncode == 1
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["file"] == "a, b.png"
    assert first["deity_1"] == "ganesha"
    assert float(first["probability_1"]) == 0.999664
    assert first["error"] == ""
    assert second["verdict"] == second["deity_1"] == ""
    assert second["error"] == "The file is empty: choose the photo again."
    assert not list(tmp_path.glob(".*")), "no half-written file is left"


def test_a_csv_is_kept_when_the_new_one_fails(run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(RED))
    (tmp_path / "heat").mkdir()
    (tmp_path / "heat" / "a.ganesha.png").mkdir()  # where the heat map is to be written
    (tmp_path / "out.csv").write_text("old")
    done = run("identify", "a.png", "--csv", "out.csv", "--heatmap", "heat")
    assert "Error: cannot write heat/a.ganesha.png: Is a directory" in refused(done)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not list(tmp_path.glob(".*"))


def test_heat_maps_of_photos_with_one_name(run, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "photo.png").write_bytes(png(RED, BLUE, BLUE))
    done = run("identify", "one", "two", "--json", "--heatmap", "new/heat")
    names = [record["heatmap"] for record in records(done)]
    assert names == ["new/heat/photo.krishna.png", "new/heat/photo-2.krishna.png"]
    with Image.open(tmp_path / names[0]) as overlay:
        assert overlay.size == (64, 64)


def test_the_heat_map_of_a_photo_with_a_very_long_name(run, tmp_path: Path) -> None:
    long = "ग" * 83 + ".png"  # 253 bytes; with the deity there would be more than the 255 allowed
    for name in (long, "short.png"):
        (tmp_path / name).write_bytes(png(RED))
    done = run("identify", long, "short.png", "--json", "--heatmap", "heat")
    assert done.returncode == 0, done.stderr
    names = [record["heatmap"] for record in records(done)]
    assert names == [f"heat/{'ग' * 50}.ganesha.png", "heat/short.ganesha.png"]
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["identify"], "Missing argument 'FILES'"),
        (["identify", "a.png", "--top", "0"], "--top"),
        (["identify", "a.png", "--surprise"], "No such option"),
        (["identify", "a.png", "--bundle", "nowhere"], "there is no bundle folder nowhere"),
        (["identify", "a.png", "--bundle", "."], "is not a model bundle"),
        (["identify", "a.png", "--bundle", "ftp://x/y"], "is not a bundle"),
        (["identify", "a.png", "--csv", "no/such/out.csv"], "cannot write no/such/out.csv: "),
        (["identify", "a.png", "--csv", "."], "is a directory"),
        (["identify", "a.png", "--heatmap", "a.png"], "is a file"),
        (["info", "--bundle", "nowhere"], "there is no bundle folder nowhere"),
        (["deity"], "Missing argument"),
        (["deity", "ganehsa"], "there is no entry 'ganehsa': did you mean ganesha"),
        (["deity", "Saturn"], "there is no entry 'Saturn': did you mean kronos or shani?"),
        (["deity", "../README"], "there is no entry '../README'"),
        (["deity", "zzzzzz"], "knowledge/ lists them all"),
        (["surprise"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(run, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "a.png").write_bytes(png(RED))
    assert sentence in " ".join(refused(run(*arguments)).split())


def test_a_damaged_bundle_is_refused_in_a_sentence(run, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "model.onnx").write_bytes(b"changed")
    message = refused(run("identify", "a.png", "--bundle", str(bundle)))
    assert "model.onnx is damaged or was changed" in message


@pytest.mark.parametrize("command", [["settings"], ["info"], ["identify", "a.png"]])
def test_bad_settings_are_refused_by_name(run_process, command: list[str]) -> None:
    assert "max_bytes" in refused(run_process(*command, IDEITIFY_MAX_BYTES="many"))


def test_deity_tells_the_entry(run) -> None:
    done = run("deity", "ganesha")
    assert done.returncode == 0
    assert done.stdout.startswith("Ganesha\n=======\ndeity · Hinduism · ")
    for text in ("गणेश", "Look for", "elephant head", "Often confused with", "Sources"):
        assert text in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 88


@pytest.mark.parametrize(
    ("text", "name"),
    [("Kali", "Kali"), ("GANESHA", "Ganesha"), ("गणेश", "Ganesha"), ("Ganapati", "Ganesha")],
)
def test_deity_takes_a_name_too(run, text: str, name: str) -> None:
    done = run("deity", text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name}\n====")


def test_info_tells_the_bundle(run, tiny_bundle: Path) -> None:
    done = run("info")
    assert done.returncode == 0
    for text in ("tiny", str(tiny_bundle), "32 × 32", "4: ganesha, krishna, none, shiva",
                 "Measured on validation", "0.900  (95 % interval 0.800 to 0.950, 100 pictures)",
                 "worked out by hand"):  # fmt: skip
        assert text in done.stdout


def test_info_tells_the_labels_known_from_few_pictures_apart(run, tmp_path: Path) -> None:
    write_bundle(tmp_path / "few", prototypes=["shiva"])
    done = run("info", "--bundle", "few")
    assert "4: ganesha, krishna, none\n" in done.stdout
    assert "1 of the labels, known from few pictures: shiva\n" in done.stdout


def test_a_name_known_from_few_pictures_is_said_to_be(run, tmp_path: Path) -> None:
    write_bundle(tmp_path / "few", prototypes=["ganesha"])
    (tmp_path / "red.png").write_bytes(png(RED))
    said, *_ = run("identify", "red.png", "--bundle", "few").stdout.splitlines()
    assert said == "red.png: This looks like Ganesha. I know Ganesha from few pictures only."
    told = json.loads(run("identify", "red.png", "--bundle", "few", "--json").stdout)
    marked = [candidate["deity"] for candidate in told["candidates"] if "few_pictures" in candidate]
    assert marked == ["ganesha"]
    assert told["candidates"][0]["few_pictures"] is True


@pytest.mark.parametrize(
    ("colours", "sentence"),
    [
        ((VIOLET,), "Could be Ganesha or Krishna."),
        ((RED, GREY), "Perhaps Ganesha."),
        ((GREY,), "Perhaps nobody that I know, or "),
    ],
)
@pytest.mark.parametrize("top", ["1", "5"])
def test_an_unsure_answer_claims_no_more_than_it_knows(
    run, tmp_path: Path, colours, sentence: str, top: str
) -> None:
    never = {"deity": 1.0, "none": 1.0, "operating_point": "test"}
    write_bundle(tmp_path / "unsure", thresholds=never)
    (tmp_path / "a.png").write_bytes(png(*colours))
    arguments = ["identify", "a.png", "--bundle", "unsure", "--top", top]
    first, *shares, nobody = run(*arguments).stdout.splitlines()
    assert first.startswith(f"a.png: {sentence}")
    assert len(shares) == min(int(top), 3)
    assert nobody.endswith(" %  no deity that I know")
    (record,) = records(run(*arguments, "--json"))
    assert len(record["candidates"]) == len(shares)


UNSURE = {"deity": 0.6, "none": 0.5, "broader": 0.9, "operating_point": "test"}


def test_an_unsure_answer_names_its_circle(run, tmp_path: Path) -> None:
    write_bundle(tmp_path / "broader", thresholds=UNSURE)
    (tmp_path / "violet.png").write_bytes(png(VIOLET))
    arguments = ["identify", "violet.png", "--bundle", "broader"]
    said = run(*arguments).stdout.splitlines()
    assert said[0] == "violet.png: This looks like a figure of Hinduism."
    assert said[1].endswith(" %  a figure of Hinduism")
    (record,) = records(run(*arguments, "--json", "--csv", "answers.csv"))
    assert record["broader"]["name"] == "Hinduism"
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["broader"] == "Hinduism"
    assert float(row["broader_probability"]) == record["broader"]["probability"]


def test_settings_tell_every_option_and_what_differs(run_process) -> None:
    done = run_process("settings", IDEITIFY_MAX_BYTES="5000")
    assert "IDEITIFY_MAX_BYTES = 5000  (by default 20971520)\n    largest photo" in done.stdout
    assert "IDEITIFY_MAX_FRAMES = 1000\n" in done.stdout


@pytest.mark.parametrize("command", [[], ["identify"], ["deity"], ["info"], ["settings"]])
def test_help_shows_what_there_is(run, command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: python -m ideitify")
    if command in (["identify"], ["deity"]):
        assert f"\n    python -m ideitify {command[0]} " in done.stdout, "an example"


def test_a_reader_that_has_seen_enough_is_no_error(run_process, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(png(RED))
    done = run_process("identify", ".", "--json", shell='"$@" | head -n 1')
    (record,) = records(done)
    assert record["file"] == "0.png"
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_does_not_stop_the_others(run_process, tmp_path: Path, closed: str) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(RED))
    arguments = ["identify", "a.png", "b.png", "--json", "--csv", "out.csv"]
    done = run_process(*arguments, shell=f'"$@" {closed}')
    assert (done.returncode, done.stderr) == (0, "")
    assert len(records(done)) == (2 if closed == "2>&-" else 0)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["deity_1"] for row in csv.DictReader(file)] == ["ganesha", "ganesha"]


def test_a_closed_input_holds_no_photo(run_process) -> None:
    (record,) = records(run_process("identify", "-", "--json", shell='"$@" <&-'))
    assert record["error"] == "The file is empty: choose the photo again."


def test_a_very_large_photo_is_answered_without_a_warning(run_process, tmp_path: Path) -> None:
    Image.new("L", (12_000, 9000), 128).save(tmp_path / "large.jpg")  # Pillow would warn
    done = run_process("identify", "large.jpg", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert records(done)[0]["verdict"] == "no_deity"


@pytest.mark.parametrize("module", ["ideitify", "ideitify.__main__", "ideitify.hub"])
def test_importing_is_light(module: str) -> None:
    heavy = {"torch", "fastai", "timm", "streamlit", "pandas", "selenium"}
    unneeded = {"huggingface_hub", "httpx", "rich", "starlette", "yaml"}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & (heavy | unneeded)


def test_identifying_is_light_too(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(RED))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ideitify", "identify", tmp_path, "--json",
         "--bundle", tiny_bundle],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "onnxruntime" in imported
    assert not imported & {
        "torch",
        "pandas",
        "streamlit",
        "huggingface_hub",
        "httpx",
        "rich",
        "yaml",
    }
