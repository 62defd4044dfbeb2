"""Downloading 2,000 pictures: ours against icrawler, img2dataset and one by one.

    python -m benchmarks.scraper
    python -m benchmarks.scraper --pictures 200 --rounds 1

Every downloader gets a museum (`tests.scraper.museum`) of its own, with the same pictures and the
same 100 ms before each answer, and as many requests at a time; nobody has a limit per host. Both
run in processes of their own. Ours does what it always does: robots.txt, ledger, decoding, both
hashes, and no file before it is whole. icrawler does none of these; img2dataset computes one hash,
and writes two more files a picture. Where the machine has other work, processor time tells more
than pictures per second. The peers live in `runs/benchmark-peers`, a virtual environment that is
made at first: the libraries that they ask for are older than the project's.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import run_command
from benchmarks.downloaders import DOWNLOADERS, pictures_in

PROJECT = Path(__file__).parents[1]
PEERS = PROJECT / "runs" / "benchmark-peers"
LATENCY = 0.1  # seconds before each answer
LARGE = 3_000_000  # bytes of a picture where memory is measured
SAMPLE_SECONDS = 0.05
NAMES = list(DOWNLOADERS)

console = Console()


@dataclass
class Course:
    """How one downloader went.

    Attributes:
        seconds: from its call until its last picture is there; only if it came to its end.
        processor_seconds: the time that processors worked for it meanwhile.
        memory: resident memory of the process and its children in MiB, sampled in turn while
            pictures were arriving.
        killed_at: requests that the museum had seen when it was killed.
    """

    seconds: float
    processor_seconds: float
    memory: list[float]
    killed_at: int = 0


@dataclass
class Museum:
    """The one under `url`, and the file that lists its pictures."""

    url: str
    urls: Path

    def counts(self) -> dict[str, int]:
        """How often each picture was asked for."""
        counts = httpx.get(f"{self.url}counts", trust_env=False, timeout=60).json()
        return {path: n for path, n in counts.items() if path.startswith("/picture/")}


@contextmanager
def museum(folder: Path, pictures: int, size: int) -> Iterator[Museum]:
    """Open a museum in a process of its own."""
    command = [sys.executable, "-m", "tests.scraper.museum", "--pictures", str(pictures)]
    process = subprocess.Popen(
        [*command, "--bytes", str(size), "--latency", str(LATENCY)],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = process.stdout.readline().strip()
        urls = folder / "urls.txt"
        urls.write_text("\n".join(f"{url}picture/{number}.jpg" for number in range(pictures)))
        yield Museum(url, urls)
    finally:
        process.kill()
        process.wait()


def python_of(name: str) -> Path:
    """The interpreter whose environment has a downloader."""
    if name not in {"icrawler", "img2dataset"}:
        return Path(sys.executable)
    python = PEERS / "bin" / "python"
    if not (PEERS / "done").exists():
        console.print(f"icrawler and img2dataset get a virtual environment of their own: {PEERS}")
        venv.create(PEERS, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "icrawler", "img2dataset"]
        subprocess.run(install, check=True)
        (PEERS / "done").touch()
    return python


def run(name: str, hall: Museum, folder: Path, at_a_time: int, kill_at: int = 0) -> Course:
    """Let a downloader fetch all pictures; or SIGKILL it at its `kill_at`-th request.

    Raises:
        RuntimeError: it failed, or pictures are missing.
    """
    command = [python_of(name), "-m", "benchmarks.downloaders", name, hall.urls, folder]
    with (folder.parent / f"{name}.log").open("w+") as log:
        process = subprocess.Popen(
            [*map(str, command), str(at_a_time)], cwd=PROJECT, stdout=subprocess.PIPE, stderr=log,
            text=True, start_new_session=True,
        )  # fmt: skip
        memory = []
        while process.poll() is None:
            if kill_at and (seen := sum(hall.counts().values())) >= kill_at:
                for one in tree(process.pid):
                    one.send_signal(signal.SIGKILL)
                process.wait()
                return Course(0, 0, memory, seen)
            memory.append(resident(process.pid))
            time.sleep(SAMPLE_SECONDS)
        output = process.stdout.read()
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{name} failed:\n{log.read()[-2000:]}")
    return Course(**json.loads(output.splitlines()[-1]), memory=memory)


def tree(pid: int) -> list[psutil.Process]:
    """A process and those that it started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident(pid: int) -> float:
    """Resident memory of a process and its children in MiB."""
    size = 0
    for process in tree(pid):
        try:
            size += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return size / 2**20


def measure(name: str, folder: Path, pictures: int, size: int, at_a_time: int) -> Course:
    """Let a downloader fetch all pictures of a museum into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch) / "data"
        with museum(Path(scratch), pictures, size) as hall:
            course = run(name, hall, target, at_a_time)
        if len(pictures_in(target)) != pictures:
            raise RuntimeError(f"{name} has {len(pictures_in(target))} of {pictures} pictures")
    return course


def speed(folder: Path, names: list[str], pictures: int, at_a_time: int, rounds: int) -> Table:
    """Pictures per second; downloaders take turns, and one by one has a single round."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    work: dict[str, list[float]] = {name: [] for name in names}  # milliseconds a picture
    for number in range(rounds):
        for name in names:
            if number == 0 or name != "one_by_one":
                course = measure(name, folder, pictures, 0, at_a_time)
                rates[name].append(pictures / course.seconds)
                work[name].append(1000 * course.processor_seconds / pictures)
                said = f"{rates[name][-1]:.1f} pictures/s, {work[name][-1]:.2f} ms of a processor"
                console.print(f"  {name}: {said}", style="dim")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    table = Table(title=f"{pictures} pictures, {at_a_time} at a time, no limit per host")
    for column in (
        "",
        "pictures/s",
        "slowest to fastest",
        "rounds",
        "ours is faster by",
        "CPU ms each",
    ):
        table.add_column(column, justify="right" if column else "left")
    for name, values in rates.items():
        span = f"{min(values):.1f} to {max(values):.1f}"
        ratio = f"{medians[names[0]] / medians[name]:.2f}"
        cost = f"{statistics.median(work[name]):.2f}"
        table.add_row(name, f"{medians[name]:.1f}", span, str(len(values)), ratio, cost)
    return table


def memory(folder: Path, names: list[str], pictures: int, at_a_time: int) -> Table:
    """Resident memory; flat means that the last quarter of the time is as the second is."""
    title = f"Memory in MiB, {pictures} pictures of {LARGE / 1e6:g} MB, {at_a_time} at a time"
    table = Table(title=title)
    for column in ("", "most", "second quarter", "last quarter", "growth", "pictures/s"):
        table.add_column(column, justify="right" if column else "left")
    for name in names:
        course = measure(name, folder, pictures, LARGE, at_a_time)
        quarter = max(1, len(course.memory) // 4)
        second = statistics.median(course.memory[quarter : 2 * quarter])
        last = statistics.median(course.memory[-quarter:])
        cells = [max(course.memory), second, last, last - second, pictures / course.seconds]
        table.add_row(name, *(f"{cell:.0f}" for cell in cells))
        console.print(f"  {name}: at most {max(course.memory):.0f} MiB", style="dim")
    return table


def killed(folder: Path, names: list[str], pictures: int, at_a_time: int) -> Table:
    """What is fetched twice after SIGKILL half way."""
    table = Table(title=f"After SIGKILL half way through {pictures} pictures and a second run")
    for column in ("", "requests before", "fetched twice", "of these in flight", "besides"):
        table.add_column(column, justify="right" if column else "left")
    for name in names:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            target = Path(scratch) / "data"
            with museum(Path(scratch), pictures, 0) as hall:
                course = run(name, hall, target, at_a_time, kill_at=pictures // 2)
                before = set(hall.counts())
                in_flight = before - done(target) if name == "ours" else None
                run(name, hall, target, at_a_time)
                twice = {path for path, times in hall.counts().items() if times > 1}
            flying = min(at_a_time, len(twice)) if in_flight is None else len(twice & in_flight)
            most = "at most " if in_flight is None else ""
            cells = [course.killed_at, len(twice), f"{most}{flying}", len(twice) - flying]
            table.add_row(name, *map(str, cells))
    return table


def done(folder: Path) -> set[str]:
    """Paths of the pictures that our ledger is done with."""
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        rows = connection.execute("SELECT url FROM links WHERE state != 'waiting'").fetchall()
    return {urlsplit(url).path for (url,) in rows}


def main(
    pictures: Annotated[int, typer.Option(help="in each museum")] = 2000,
    at_a_time: Annotated[int, typer.Option(help="requests, of every downloader but one")] = 64,
    rounds: Annotated[int, typer.Option(help="of the first measurement")] = 3,
    only: Annotated[str, typer.Option(help="speed, memory or killed")] = "",
    who: Annotated[list[str] | None, typer.Option(help=f"of {', '.join(NAMES)}")] = None,
) -> None:
    """Print three tables; the pictures and everything else go to a temporary folder."""
    names = [name for name in NAMES if name in (who or NAMES)]
    for name in names:
        python_of(name)
    several = [name for name in names if name != "one_by_one"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if only in {"", "speed"}:
            console.print(speed(folder, names, pictures, at_a_time, rounds))
        if only in {"", "killed"}:
            console.print(killed(folder, several, pictures, at_a_time))
        if only in {"", "memory"}:
            console.print(memory(folder, names, pictures, at_a_time))


if __name__ == "__main__":
    run_command(main)
