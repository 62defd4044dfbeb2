"""Killed at any moment, a harvest loses what was in flight and nothing else."""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

from scraper.download import PUT_OFF
from scraper.flight import AHEAD
from tests.scraper.collecting import assert_consistent, files_in
from tests.scraper.museum import Museum

PICTURES = 400
KILLS = 20
AT_A_TIME = 4
IN_FLIGHT = (AHEAD + PUT_OFF + 1) * AT_A_TIME  # being fetched, in a batch, being looked at
SETTINGS = {
    "IDEITIFY_SCRAPER_HOST_DELAY": "0",
    "IDEITIFY_SCRAPER_HOST_CONCURRENCY": str(AT_A_TIME),
}

# Processes that have imported everything before they are forked, so that killing twenty is quick.
processes = multiprocessing.get_context("forkserver")
PRELOADED = ("__main__", "download", "find", "web", "report", "progress", "sources.urls")
processes.set_forkserver_preload([f"scraper.{name}" for name in PRELOADED])


def harvest(folder: Path, table: Path) -> None:
    """What `python -m scraper harvest` runs."""
    from scraper.__main__ import app

    os.environ |= SETTINGS
    command = ["harvest", "--class", "ganesha", "--source", f"urls={table}", "--allow-private"]
    app([*command, "--limit", str(PICTURES), "--out", str(folder)])


def settled(folder: Path) -> set[str]:
    """Paths of the pictures that the ledger is done with."""
    path = folder / "ledger.sqlite"
    if not path.exists():
        return set()
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'links'")
        if tables.fetchone() == (0,):
            return set()
        rows = connection.execute("SELECT url FROM links WHERE state != 'waiting'").fetchall()
    return {urlsplit(url).path for (url,) in rows}


def test_nothing_is_lost_nor_fetched_twice(tmp_path: Path) -> None:
    folder, table = tmp_path / "data", tmp_path / "pictures.csv"
    chance = random.Random(0)
    done_at: list[tuple[int, set[str]]] = []
    with Museum(pictures=PICTURES, latency=0.03) as museum:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["url", "license"], *([u, "CC0"] for u in museum.urls())])
        for _ in range(KILLS):
            enough = len(museum.requests) + chance.randrange(35)
            process = processes.Process(target=harvest, args=(folder, table))
            process.start()
            while len(museum.requests) < enough and process.is_alive():
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
            process.join()
            done = settled(folder)
            asked_for = {request.path for request in museum.requests} - {"/robots.txt"}
            assert len(asked_for - done) <= IN_FLIGHT
            done_at.append((len(museum.requests), done))
        assert 0 < len(done) < PICTURES  # the kills came in the middle

        process = processes.Process(target=harvest, args=(folder, table))
        process.start()
        process.join()
        assert process.exitcode == 0
        later = [request.path for request in museum.requests]
    for requests, done in done_at:
        assert done.isdisjoint(later[requests:])
    assert len(files_in(folder)) == PICTURES
    assert_consistent(folder)
