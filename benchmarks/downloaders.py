"""One downloader at work, in a process of its own: started by `benchmarks.scraper`.

    python -m benchmarks.downloaders NAME URLS FOLDER AT_A_TIME

URLS is a file with an address per line. Prints as JSON the seconds from the call until its last
picture is in the folder, and the processor time of all that it started. Everything that a
downloader needs is imported inside it, before its clock starts: the peers live in a virtual
environment that lacks the project's libraries.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

CORES = os.cpu_count() or 1


def ours(urls: Path, folder: Path, at_a_time: int) -> Callable[[], None]:
    """What `python -m scraper download` runs: ledger, decoding, both hashes, atomic renames."""
    from rich.console import Console

    from ideitify.licenses import normalize
    from scraper.download import Wanted, download
    from scraper.ledger import LEDGER_NAME, Ledger
    from scraper.ledger.records import Selection
    from scraper.progress import Board
    from scraper.settings import ScraperSettings
    from scraper.source import Found
    from scraper.web import PoliteWeb

    addresses = urls.read_text().split()
    folder.mkdir(parents=True, exist_ok=True)
    settings = ScraperSettings(host_delay=0, host_concurrency=0, concurrency=at_a_time)
    wanted = Wanted(Selection(), {"open"}, len(addresses))
    ledger = Ledger(folder / LEDGER_NAME)
    ledger.add_concept("ganesha", "Ganesha", "")
    found = [Found("urls", url, url, rights="CC0") for url in addresses]
    ledger.record_finds("ganesha", [(one, normalize(one.rights)) for one in found])

    def run() -> None:
        with (
            ledger,
            PoliteWeb(settings, allow_private=True) as web,
            Board(Console(stderr=True)) as board,
        ):
            download(ledger, web, folder, wanted, settings, board)

    return run


def icrawler(urls: Path, folder: Path, at_a_time: int) -> Callable[[], None]:
    """Its own crawler for lists of addresses."""
    from icrawler.builtin import UrlListCrawler

    crawler = UrlListCrawler(
        downloader_threads=at_a_time,
        storage={"root_dir": str(folder)},
        log_level=logging.ERROR,
    )
    return lambda: crawler.crawl(str(urls), max_num=0)


def img2dataset(urls: Path, folder: Path, at_a_time: int) -> Callable[[], None]:
    """Storing what arrives as it is, with its sha256; a process per core shares the threads."""
    from img2dataset import download

    number = len(urls.read_text().split())
    return lambda: download(
        url_list=str(urls),
        output_folder=str(folder),
        processes_count=CORES,
        thread_count=at_a_time // CORES,
        number_sample_per_shard=-(-number // CORES),
        disable_all_reencoding=True,
        extract_exif=False,
        compute_hash="sha256",
    )


def one_by_one(urls: Path, folder: Path, at_a_time: int) -> Callable[[], None]:
    """As the original did: the next request when the picture before is stored."""
    import requests

    addresses = urls.read_text().split()
    folder.mkdir(parents=True, exist_ok=True)

    def run() -> None:
        for number, url in enumerate(addresses):
            (folder / f"{number}.jpg").write_bytes(requests.get(url, timeout=60).content)

    return run


DOWNLOADERS = {one.__name__: one for one in (ours, icrawler, img2dataset, one_by_one)}


def pictures_in(folder: Path) -> list[Path]:
    """Those that a downloader has stored, wherever in its folder."""
    return list(folder.rglob("*.jpg"))


def processor_seconds() -> float:
    """Used so far by this process and those of its own that have ended."""
    return sum(os.times()[:4])


def main() -> None:
    """Run one, and print how long it took."""
    name, urls, folder, at_a_time = sys.argv[1:]
    run = DOWNLOADERS[name](Path(urls), Path(folder), int(at_a_time))
    started, worked = time.time(), processor_seconds()
    run()
    # Not until the end of the call: icrawler's threads wait idly for more before they end.
    last = max(path.stat().st_mtime for path in pictures_in(Path(folder)))
    seconds = (time.time() if name == "ours" else last) - started
    print(json.dumps({"seconds": seconds, "processor_seconds": processor_seconds() - worked}))


if __name__ == "__main__":
    main()
