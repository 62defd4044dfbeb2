"""`python -m scraper`, as it is typed."""

from __future__ import annotations

import csv
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from ideitify.dataset import read_dataset
from ideitify.knowledge import knowledge
from scraper.__main__ import app
from scraper.settings import scraper_settings
from tests.scraper.collecting import asked, assert_consistent, files_in
from tests.scraper.museum import Museum
from tests.waiting import wait_until

PROJECT = Path(__file__).parents[2]
SETTINGS = {
    "IDEITIFY_SCRAPER_HOST_DELAY": "0",
    "IDEITIFY_SCRAPER_HOST_CONCURRENCY": "8",
    "IDEITIFY_SCRAPER_BACKOFF_SECONDS": "0.05",
}
PRIVATE = "--allow-private"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, and hurried settings."""
    for name, value in {**SETTINGS, "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    scraper_settings.cache_clear()
    yield tmp_path
    scraper_settings.cache_clear()


@pytest.fixture
def pictures(museum: Museum, folder: Path) -> Path:
    """A CSV file of the museum's pictures, under three licences."""
    rights = ["CC0"] * 10 + ["CC BY-NC 4.0"] * 5 + ["All rights reserved"] * 5
    return write_csv(folder / "pictures.csv", dict(zip(museum.urls(), rights, strict=True)))


def write_csv(path: Path, rights: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["url", "license"], *rights.items()])
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def harvest(*words: object, source: str = "urls=pictures.csv", limit: int = 10) -> Result:
    common = ["--class", "ganesha", "--source", source, "--limit", limit, PRIVATE]
    return run("harvest", *common, *words)


def start(
    *words: object, project: Path = PROJECT, preexec_fn: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "scraper", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(project)}, preexec_fn=preexec_fn, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


# From nothing to a data set


def test_harvest_finds_downloads_and_sums_up(pictures: Path, folder: Path) -> None:
    done = harvest()
    assert done.exit_code == 0, done.output
    assert re.search(r"ganesha\W+10\W+10\W+0\W+10\W+$", done.stdout)
    assert len(files_in(folder / "data")) == 10
    assert_consistent(folder / "data")


def test_find_and_download_apart_do_the_same(pictures: Path, folder: Path, museum: Museum) -> None:
    common = ["--class", "ganesha", "--limit", "10"]
    found = run("find", *common, "--source", "urls=pictures.csv")
    assert found.exit_code == 0, found.output
    assert asked(museum) == {}
    done = run("download", *common, PRIVATE)
    assert done.exit_code == 0, done.output
    assert len(files_in(folder / "data")) == 10


def test_export_makes_it_a_data_set(pictures: Path, folder: Path) -> None:
    harvest()
    assert "10 pictures" in run("export").stdout
    assert {picture.category for picture in read_dataset(folder / "data")} == {"ganesha"}
    done = run("export", "--to", "small", "--max-side", "64")
    assert done.exit_code == 0, done.output
    assert {picture.columns["width"] for picture in read_dataset(folder / "small")} == {"64"}


def test_a_tradition_names_all_its_classes(pictures: Path) -> None:
    done = run("find", "--tradition", "zulu RELIGION", "--source", "urls=pictures.csv")
    members = {entry.slug for entry in knowledge().values() if entry.tradition == "Zulu religion"}
    assert set(re.findall(r"^\W*([a-z-]+)\W+20\W+0\W+20\W+100", done.stdout, re.M)) == members
    assert members


def test_all_names_every_class(pictures: Path) -> None:
    done = run("find", "--class", "all", "--source", "urls=pictures.csv", "--limit", 1)
    assert done.exit_code == 0, done.output
    assert set(re.findall(r"^\W*([a-z-]+)\W+1\W+0\W+1\W+1\W+$", done.stdout, re.M)) == {
        *knowledge()
    }


def test_a_second_harvest_asks_for_nothing(pictures: Path, museum: Museum) -> None:
    harvest()
    before = asked(museum)
    assert harvest().exit_code == 0
    assert asked(museum) == before


@pytest.mark.parametrize(("policy", "count"), [("open", 10), ("noncommercial", 15), ("any", 20)])
def test_the_licence_policy_decides_what_is_downloaded(
    pictures: Path, folder: Path, policy: str, count: int
) -> None:
    harvest("--license-policy", policy, limit=20)
    assert len(files_in(folder / "data")) == count


# Exit status


def test_a_class_that_stays_short_is_status_1(pictures: Path) -> None:
    done = harvest(limit=11)
    assert done.exit_code == 1
    assert "short" in done.stdout
    assert "--license-policy" in done.stdout


def test_a_source_that_fails_is_status_1_and_named(pictures: Path, folder: Path) -> None:
    write_csv(folder / "broken.csv", {"not an address": "CC0"})
    done = harvest("--source", "urls=broken.csv")
    assert done.exit_code == 1
    assert "broken.csv" in done.output


def test_what_failed_is_listed_with_its_reason(museum: Museum, folder: Path) -> None:
    ways = ("status/404/1.jpg", "noai/2.jpg", "truncated/3.jpg", "page/4.jpg")
    write_csv(folder / "pictures.csv", {museum.url(way): "CC0" for way in ways})
    done = harvest()
    assert done.exit_code == 1
    for reason in ("http_status", "opted_out", "truncated", "not_a_picture"):
        assert reason in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["harvest"], "say which classes"),
        (["harvest", "--class", "ganesha", "--source", "flickr"], "there is no source 'flickr'"),
        (["harvest", "--class", "ganesha", "--source", "urls"], "urls="),
        (["download", "--source", "comons"], "there is no source 'comons'; there are artic"),
        (["check", "--source", "comons"], "there is no source 'comons'"),
        (["status", "--source", "comons"], "there is no source 'comons'"),
        (["harvest", "--class", "ganesha", "--limit", "0"], "limit"),
        (["harvest", "--class", "ganesha", "--license-policy", "free"], "license-policy"),
        (["harvest", "--tradition", "Jedi"], "Buddhism"),
        (["harvest", "--class", "ganesha", "--ledger", "mysql://host/name"], "postgresql"),
        (["find", "ganesha"], "unexpected extra argument"),
        (["download"], "nothing was collected in data yet"),
        (["status"], "nothing was collected in data yet"),
        (["check"], "nothing was collected in data yet"),
        (["export"], "nothing was collected in data yet"),
        (["withdraw", "https://example.org/1.jpg"], "nothing was collected in data yet"),
        (["export", "--max-side", "100"], "--to"),
        (["harvest", "--class", "ganesha", "--out", "file"], "file"),
        (["harvest", "--class", "ganesha", "--out", "file/data"], "Not a directory"),
        (["new", "ganesha", "--name", "Ganesha"], "is there already"),
        (["new", "New Class", "--name", "New"], "no slug"),
        (["sell"], "No such command"),
    ],
)
def test_wrong_usage_is_status_2_and_leaves_nothing(
    folder: Path, words: list[str], complaint: str
) -> None:
    (folder / "file").touch()
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert complaint.casefold() in done.stderr.casefold()
    assert "Traceback" not in done.output
    assert files_in(folder) == {"file"}


def test_a_class_without_an_entry_is_told_how_to_add_it(folder: Path) -> None:
    done = run("harvest", "--class", "pachamama")
    assert done.exit_code == 2
    assert 'python -m scraper new pachamama --name "Pachamama"' in done.stderr
    assert "knowledge/ganesha.md" in done.stderr


def test_a_class_that_is_misspelt_is_guessed(folder: Path) -> None:
    assert "Did you mean ganesha?" in run("harvest", "--class", "Ganesh").stderr
    assert "new mahishi-x --name" in run("harvest", "--class", "Mahishi X").stderr


def test_settings_that_cannot_be_used_are_named(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEITIFY_SCRAPER_RETRIES", "many")
    done = harvest()
    assert done.exit_code == 2
    assert "retries" in done.stderr


def test_a_new_class_takes_two_commands(museum: Museum, folder: Path) -> None:
    """In a copy of the project, for a new class is a new file of it."""
    for package in ("ideitify", "scraper", "knowledge"):
        shutil.copytree(PROJECT / package, folder / package)
    write_csv(folder / "pictures.csv", dict.fromkeys(museum.urls(), "CC0"))
    words = [
        "harvest",
        "--class",
        "pachamama",
        "--source",
        "urls=pictures.csv",
        "--limit",
        20,
        PRIVATE,
    ]
    for command in (["new", "pachamama", "--name", "Pachamama"], words, ["export"]):
        with start(*command, project=folder) as process:
            said = process.communicate()
        assert process.returncode == 0, said
    assert {picture.category for picture in read_dataset(folder / "data")} == {"pachamama"}


# Looking


def test_status_counts_by_class_source_licence_and_outcome(pictures: Path) -> None:
    harvest(limit=20)
    shown = run("status").stdout
    assert re.search(r"ganesha\W+urls\W+CC0-1\.0\W+10\W+10", shown)
    assert re.search(r"ganesha\W+urls\W+CC-BY-NC-4\.0\W+5\W+5", shown)
    assert "rightsstatements.org" in shown


def test_status_shows_what_politeness_did(museum: Museum, folder: Path) -> None:
    museum.robots = "User-agent: *\nDisallow: /picture/\nCrawl-delay: 0.1"
    ways = ("picture/1.jpg", "noai/2.jpg", "busy-seconds/3.jpg")
    write_csv(folder / "pictures.csv", {museum.url(way): "CC0" for way in ways})
    harvest()
    shown = run("status").stdout
    for event in ("robots disallowed", "opted out", "retry after", "crawl delay"):
        assert event in shown
    assert f"127.0.0.1:{museum.port}" in shown


def test_status_of_one_class_shows_no_other(pictures: Path) -> None:
    harvest()
    assert "Nothing was found" in run("status", "--class", "durga").stdout


def test_check_tells_what_changed(pictures: Path, museum: Museum) -> None:
    harvest()
    assert "10 of 10" in run("check", "--older-than", "0", PRIVATE).stdout
    assert "0 of 0" in run("check", PRIVATE).stdout
    museum.pictures = 9
    done = run("check", "--older-than", "0", PRIVATE)
    assert done.exit_code == 1
    assert f"dead: {museum.url('picture/9.jpg')}" in done.stdout
    assert "9 alive, 1 dead" in run("status").stdout


def test_sources_are_listed_with_what_they_need() -> None:
    shown = run("sources").stdout
    assert re.search(r"commons\W+on", shown)
    assert re.search(r"google\W+off", shown)
    assert "urls=" in shown
    assert "IDEITIFY_SCRAPER_EUROPEANA_KEY" in shown


@pytest.mark.parametrize(
    "command",
    ["harvest", "find", "download", "status", "check", "withdraw", "export", "sources", "new"],
)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    shown = run(command, "--help").stdout
    assert f"python -m scraper {command}" in shown


@pytest.mark.parametrize("command", ["status", "check", "download"])
def test_commands_on_what_was_found_say_that_they_take_all_unless_told(command: str) -> None:
    shown = run(command, "--help").stdout
    assert "Only from this source" in shown
    assert "By default" not in shown


def documented_commands() -> list[str]:
    text = (PROJECT / "docs" / "collecting.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^ +python -m scraper (.+)$", text, re.MULTILINE)))


@pytest.mark.parametrize("command", documented_commands())
def test_documented_commands_exist_with_their_options(command: str) -> None:
    name, *words = shlex.split(command)
    shown = run(name, "--help").stdout
    assert shown
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


# Taking out


def test_withdraw_takes_a_picture_out_for_good(
    pictures: Path, folder: Path, museum: Museum
) -> None:
    harvest()
    run("export")
    url = museum.url("picture/3.jpg")
    done = run("withdraw", url)
    assert done.exit_code == 0, done.output
    assert "never be fetched again" in done.stdout
    assert len(read_dataset(folder / "data")) == 9
    harvest("--again", limit=20)
    assert museum.count("picture/3.jpg") == 1
    assert len(files_in(folder / "data")) == 9


def test_an_id_that_nothing_has_is_refused(pictures: Path) -> None:
    harvest()
    assert run("withdraw", "met:1").exit_code == 2


# What can go wrong


def test_a_file_that_is_no_ledger_is_refused(pictures: Path, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "ledger.sqlite").write_text("my diary, " * 100)
    done = harvest()
    assert done.exit_code == 2
    assert "not a database" in done.stderr


def test_a_folder_that_cannot_be_written_is_refused(
    pictures: Path, folder: Path, museum: Museum
) -> None:
    harvest()  # so that everything is imported before other folders become unreadable
    folder.chmod(0o555)
    with as_somebody_else():
        done = harvest("--out", "other")
    assert done.exit_code == 2
    assert done.stderr == "Error: other: Permission denied\n"


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write anywhere; become nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("limit", [50_000, 500_000], ids=["the ledger", "a picture"])
def test_a_disk_that_is_full_ends_the_run_and_a_later_one_goes_on(folder: Path, limit: int) -> None:
    """Files cannot grow beyond a limit, which the system reports as it reports a full disk."""
    words = ["harvest", "--class", "ganesha", "--source", "urls=p.csv", "--limit", 20, PRIVATE]
    with Museum(bytes_each=600_000) as museum:
        write_csv(folder / "p.csv", dict.fromkeys(museum.urls(), "CC0"))

        def fill_the_disk() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        with start(*words, preexec_fn=fill_the_disk) as process:
            _, said = process.communicate()
        assert process.returncode == 2, said
        assert {50_000: "disk", 500_000: "the disk is full: make room"}[limit] in said
        assert "Traceback" not in said
        with start(*words) as process:
            _, said = process.communicate()
        assert process.returncode == 0, said
    assert_consistent(folder / "data")


def test_a_worker_that_is_killed_takes_no_picture_along(pictures: Path, folder: Path) -> None:
    """As the system does where memory is short; here as soon as there is one."""
    with ThreadPoolExecutor(1) as beside:
        killing = beside.submit(wait_until, kill_a_worker)
        done = harvest()
        killing.result()
    assert done.exit_code == 0, done.output
    assert "10 found, 10 stored" in done.output
    assert "Traceback" not in done.output
    assert list((folder / "data" / ".partial").iterdir()) == []
    assert_consistent(folder / "data")


def kill_a_worker() -> bool:
    """Kill one if there is one; tell whether there was."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any("spawn_main" in word for word in child.cmdline()):
                child.kill()
                return True
    return False


@pytest.mark.parametrize("moment", ["finding", "downloading"])
def test_ctrl_c_ends_it_tidily_and_the_same_command_goes_on(folder: Path, moment: str) -> None:
    words = ["harvest", "--class", "ganesha", "--source", "urls=p.csv", "--limit", 200, PRIVATE]
    with Museum(pictures=200, latency=0.1) as museum:
        write_csv(folder / "p.csv", dict.fromkeys(museum.urls(), "CC0"))
        with start(*words) as process:
            enough = {"finding": 1, "downloading": 30}[moment]
            wait_until(lambda: len(museum.requests) >= enough)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate()
        assert process.returncode == 130, said
        assert "the same command goes on" in said
        assert "Traceback" not in said
        assert list((folder / "data" / ".partial").iterdir()) == []
        assert_consistent(folder / "data")
        museum.latency = 0
        assert run(*words).exit_code == 0
    assert len(files_in(folder / "data")) == 200


# Progress


def test_in_a_log_progress_is_plain_lines(pictures: Path) -> None:
    with start(
        "harvest", "--class", "ganesha", "--source", "urls=pictures.csv", PRIVATE
    ) as process:
        _, said = process.communicate()
    assert "urls: 20 found, 10 stored" in said
    assert "\x1b" not in said
