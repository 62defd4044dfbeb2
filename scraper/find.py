"""Run sources over concepts, a thread per source, and write down what they find."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from threading import Event
from typing import Protocol

from ideitify.licenses import normalize
from scraper.ledger import Ledger
from scraper.ledger.records import plain_name
from scraper.source import Concept, Found, Source, SourceError

BATCH = 100  # finds written at once ...
BATCH_SECONDS = 1.0  # ... or as many as came within this time: what a kill loses is little
GIVE_UP_AFTER = 3  # searches that fail one after the other; a source that blocks us is left alone


class Board(Protocol):
    """Who shows how far things are."""

    def search(self, source: str, slug: str) -> None: ...
    def find(self, source: str, count: int) -> None: ...
    def fail(self, source: str, message: str) -> None: ...


class Finding:
    """The searches under way."""

    def __init__(self, threads: Sequence[Future[None]]) -> None:
        self._futures = threads

    def is_alive(self) -> bool:
        """Whether more may still be found."""
        return not all(future.done() for future in self._futures)

    def wait(self) -> None:
        """Wait for the end of all; raises what one of them raised that was no `SourceError`."""
        for future in futures.wait(self._futures).done:
            future.result()


@contextmanager
def finding(
    ledger: Ledger,
    sources: Sequence[Source],
    concepts: Sequence[Concept],
    limit: int,
    board: Board,
    *,
    again: bool = False,
) -> Iterator[Finding]:
    """Search in the background while the context lasts; leaving it by an error ends the searches.

    Args:
        limit: pictures per concept and source.
        again: also searches that are complete in the ledger.
    """
    for concept in concepts:
        ledger.add_concept(concept.slug, concept.name, vocabulary(concept))
    stop = Event()
    threads = ThreadPoolExecutor(max(1, len(sources)))
    searches = Finding(
        [
            threads.submit(_search_all, ledger, source, concepts, limit, board, again, stop)
            for source in sources
        ]
    )
    try:
        yield searches
        searches.wait()
    except BaseException:  # a thread that waits for an answer ends when its `Web` is closed
        stop.set()
        threads.shutdown(wait=False)
        raise
    threads.shutdown()


def find(
    ledger: Ledger,
    sources: Sequence[Source],
    concepts: Sequence[Concept],
    limit: int,
    board: Board,
    *,
    again: bool = False,
) -> None:
    """Search all sources for all concepts; what is complete in the ledger is not repeated."""
    with finding(ledger, sources, concepts, limit, board, again=again):
        pass


def vocabulary(concept: Concept) -> str:
    """What is searched for, as text: it differs when an entry's search terms change."""
    return json.dumps(asdict(concept), ensure_ascii=False, sort_keys=True, default=dict)


def _search_all(
    ledger: Ledger,
    source: Source,
    concepts: Sequence[Concept],
    limit: int,
    board: Board,
    again: bool,
    stop: Event,
) -> None:
    name, failed = plain_name(source.name), 0
    is_told_what_to_read = name != source.name  # in a file, say, that may have changed since
    for concept in concepts:
        words = vocabulary(concept)
        if stop.is_set() or failed == GIVE_UP_AFTER:
            break
        is_done = ledger.is_searched(concept.slug, source.name, words, limit)
        if is_done and not (again or is_told_what_to_read):
            continue
        board.search(name, concept.slug)
        found, error = _search(ledger, source, concept, limit, board, stop)
        if stop.is_set():  # not complete, and no failure of the source
            break
        ledger.record_search(concept.slug, source.name, words, limit, found, error)
        failed = failed + 1 if error else 0
    if failed == GIVE_UP_AFTER:
        board.fail(source.name, f"left alone after {failed} failed searches")


def _search(
    ledger: Ledger, source: Source, concept: Concept, limit: int, board: Board, stop: Event
) -> tuple[int, str]:
    """Record what a source finds; returns how many, and why it broke off or ""."""
    name, count = plain_name(source.name), 0
    batch: list[Found] = []
    written = time.monotonic()

    def write() -> None:
        nonlocal batch, written
        ledger.record_finds(
            concept.slug, [(found, normalize(found.rights, found.rights_url)) for found in batch]
        )
        board.find(name, len(batch))
        batch, written = [], time.monotonic()

    try:
        for found in islice(source.search(concept, limit), limit):
            batch.append(found)
            count += 1
            if len(batch) >= BATCH or time.monotonic() - written > BATCH_SECONDS:
                write()
            if stop.is_set():
                break
    except SourceError as error:
        board.fail(source.name, f"{concept.slug}: {error}")
        return count, str(error)
    finally:
        write()
    return count, ""
