"""Pictures arrive whole, once, and only if they are wanted."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from scraper.download import download
from scraper.files import PARTIAL, run_in
from scraper.ledger.records import Selection
from scraper.web import PoliteWeb
from tests.scraper.collecting import (
    EVERYTHING,
    HURRIED,
    Tally,
    add,
    asked,
    assert_consistent,
    collection,
    fetch,
    files_in,
)
from tests.scraper.museum import Museum, picture
from tests.waiting import wait_until


def test_pictures_are_stored_as_they_came_by_their_hash(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()) as ledger:
        assert fetch(ledger, tmp_path) == {"stored": 20}
        stored = ledger.stored()
    contents = {(tmp_path / one.file_name).read_bytes() for one in stored}
    assert contents == {picture(number) for number in range(20)}
    assert {(one.width, one.height) for one in stored} == {(256, 256)}
    assert_consistent(tmp_path)


def test_a_second_run_asks_for_nothing(museum: Museum, tmp_path: Path) -> None:
    ways = ["picture/1.jpg", "status/404/2.jpg", "page/3.jpg", "noai/4.jpg", "copy/1.jpg"]
    with collection(tmp_path, map(museum.url, ways)) as ledger:
        fetch(ledger, tmp_path)
        before = asked(museum)
        assert fetch(ledger, tmp_path) == {}
    assert asked(museum) == before


@pytest.mark.parametrize("way", ["copy", "png"], ids=["same bytes", "same look"])
def test_a_picture_had_from_another_address_is_not_stored_twice(
    museum: Museum, tmp_path: Path, way: str
) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        add(ledger, [museum.url(f"{way}/0.jpg")])
        assert fetch(ledger, tmp_path) == {"duplicate": 1}
    assert len(files_in(tmp_path)) == 1
    assert_consistent(tmp_path)


def test_duplicates_that_arrive_at_the_same_time_are_stored_once(
    museum: Museum, tmp_path: Path
) -> None:
    urls = [museum.url(f"copy/{name}/7.jpg") for name in range(10)]
    with collection(tmp_path, urls) as ledger:
        assert fetch(ledger, tmp_path) == {"stored": 1, "duplicate": 9}
    assert_consistent(tmp_path)


@pytest.mark.parametrize(
    "way",
    [
        "picture/गणेश/1.jpg",
        "picture/%2e%2e/%2E%2E/%2e%2e/1.jpg",
        "picture/..%2F..%2Fetc%2Fpasswd/1.jpg",
        "named/1.jpg",
        "picture/a%00b/1.jpg",
        "picture-as-page/1.jpg",
        "chain/2/1.jpg",
    ],
)
def test_names_and_headers_never_decide_where_a_file_lies(
    museum: Museum, tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "deep" / "data"
    with collection(folder, [museum.url(way)]) as ledger:
        assert fetch(ledger, folder) == {"stored": 1}
        (stored,) = ledger.stored()
    assert stored.file_name == f"images/ganesha/{stored.sha256[:16]}.jpg"
    assert files_in(tmp_path) - {
        f"deep/data/{name}" for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")
    } == {f"deep/data/{stored.file_name}"}


@pytest.mark.parametrize(
    ("way", "outcome", "reason"),
    [
        ("status/404/1.jpg", "refused", "http_status"),
        ("status/500/1.jpg", "failed", "http_status"),
        ("page/1.jpg", "refused", "not_a_picture"),
        ("truncated/1.jpg", "failed", "truncated"),
        ("truncated-silently/1.jpg", "refused", "truncated"),
        ("bomb/1.jpg", "refused", "not_a_picture"),
        ("loop/1.jpg", "refused", "too_many_redirects"),
        ("noai/1.jpg", "refused", "opted_out"),
        ("hang-up/1.jpg", "failed", "bad_response"),
        ("closed/1.jpg", "failed", "rate_limited"),
    ],
)
def test_what_does_not_arrive_leaves_a_reason_and_no_file(
    museum: Museum, tmp_path: Path, way: str, outcome: str, reason: str
) -> None:
    with collection(tmp_path, [museum.url(way)]) as ledger:
        assert fetch(ledger, tmp_path) == {outcome: 1}
        ((was, why, count, sentence),) = ledger.failures()
    assert (was, why, count) == (outcome, reason, 1)
    assert sentence.endswith((".", ")"))
    assert_consistent(tmp_path)


def test_private_addresses_are_refused_unless_allowed(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        with PoliteWeb(HURRIED) as web:
            download(ledger, web, tmp_path, EVERYTHING, HURRIED, Tally())
        assert [reason for _, reason, *_ in ledger.failures()] == ["private_address"]
        assert fetch(ledger, tmp_path, replace(EVERYTHING, again=True)) == {"stored": 1}
    assert asked(museum) == {"/picture/0.jpg": 1}


def test_only_what_the_licence_permits_is_downloaded(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path) as ledger:
        add(ledger, [museum.url("picture/1.jpg")], rights="CC BY-NC 4.0")
        add(ledger, [museum.url("picture/2.jpg")], rights="All rights reserved")
        assert fetch(ledger, tmp_path, replace(EVERYTHING, permits={"open"})) == {}
        assert fetch(ledger, tmp_path, replace(EVERYTHING, permits={"noncommercial"})) == {
            "stored": 1
        }
    assert asked(museum) == {"/picture/1.jpg": 1}


def test_the_limit_counts_pictures_and_not_attempts(museum: Museum, tmp_path: Path) -> None:
    broken = [museum.url(f"status/404/{number}.jpg") for number in range(3)]
    with collection(tmp_path, [*broken, *museum.urls()]) as ledger:
        assert fetch(ledger, tmp_path, replace(EVERYTHING, limit=5)) == {"stored": 5, "refused": 3}


def test_what_failed_is_tried_again_in_the_next_run(museum: Museum, tmp_path: Path) -> None:
    impatient = HURRIED.model_copy(update={"retries": 0})
    with collection(tmp_path, [museum.url("healing/1.jpg")]) as ledger:
        for _ in range(2):
            assert fetch(ledger, tmp_path, settings=impatient) == {"failed": 1}
        assert fetch(ledger, tmp_path, settings=impatient) == {"stored": 1}


def test_a_slow_host_keeps_no_other_waiting(tmp_path: Path) -> None:
    """A queue of the slow host's that is longer than all that is in flight at a time."""
    settings = HURRIED.model_copy(update={"concurrency": 4, "host_concurrency": 1})
    with Museum(latency=0.1) as slow, Museum() as fast:
        with collection(tmp_path, [*slow.urls()[:15], *fast.urls()[:15]]) as ledger:
            assert fetch(ledger, tmp_path, settings=settings) == {"stored": 15, "duplicate": 15}
        assert fast.requests[-1].time < slow.requests[8].time


def test_two_runs_on_one_ledger_share_the_work(tmp_path: Path) -> None:
    with Museum(pictures=60, latency=0.02) as museum:
        with collection(tmp_path, museum.urls()) as one, collection(tmp_path) as other:
            runs = [
                threading.Thread(target=fetch, args=(ledger, tmp_path)) for ledger in (one, other)
            ]
            for run in runs:
                run.start()
            for run in runs:
                run.join()
            assert [outcome for *_, outcome, _ in one.counts()] == ["stored"]
        assert set(asked(museum).values()) == {1}
    assert_consistent(tmp_path)


def test_withdrawn_pictures_are_never_asked_for(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:2]) as ledger:
        ledger.withdraw(museum.url("picture/0.jpg"))
        assert fetch(ledger, tmp_path) == {"stored": 1}
    assert asked(museum) == {"/picture/1.jpg": 1}


def test_what_is_found_meanwhile_is_downloaded_meanwhile(museum: Museum, tmp_path: Path) -> None:
    """While one host is silent, and a search goes on."""
    impatient = HURRIED.model_copy(update={"idle_seconds": 6, "retries": 0})
    ended = threading.Event()

    def find_more() -> None:
        wait_until(lambda: museum.count("silence/1.jpg") > 0)
        add(ledger, museum.urls())
        ended.set()

    with collection(tmp_path, [museum.url("silence/1.jpg")]) as ledger:
        searcher = threading.Thread(target=find_more)
        searcher.start()
        tally = Tally()
        with PoliteWeb(impatient, allow_private=True) as web:
            download(
                ledger, web, tmp_path, EVERYTHING, impatient, tally,
                is_finding=lambda: not ended.is_set(),
            )  # fmt: skip
        searcher.join()
    assert list(tally.outcomes.items()) == [("stored", 20), ("failed", 1)]  # in this order


# Interrupted runs


def test_an_error_ends_the_run_and_frees_what_it_had(museum: Museum, tmp_path: Path) -> None:
    class Broken(Tally):
        def settle(self, settled: object) -> None:
            raise KeyboardInterrupt

    museum.latency = 0.05
    with collection(tmp_path, museum.urls()) as ledger:
        with pytest.raises(KeyboardInterrupt), PoliteWeb(HURRIED, allow_private=True) as web:
            download(ledger, web, tmp_path, EVERYTHING, HURRIED, Broken())
        assert list((tmp_path / PARTIAL).iterdir()) == []
        assert fetch(ledger, tmp_path)["stored"] >= 10
    assert_consistent(tmp_path)


def test_a_dead_run_s_pictures_are_moved_or_removed(museum: Museum, tmp_path: Path) -> None:
    """As if it was killed between writing the ledger and moving the file."""
    with collection(tmp_path, museum.urls()[:2]) as ledger:
        fetch(ledger, tmp_path)
        first, _ = ledger.stored()
        dead = tmp_path / PARTIAL / "dead"
        dead.mkdir()
        dead.with_suffix(".lock").touch()
        (tmp_path / first.file_name).rename(dead / f"{first.sha256}.0123456789abcdef.jpg")
        (dead / f"{'f' * 64}.0123456789abcdef.jpg").write_bytes(b"not in the ledger")
        (dead / ".random.partial").write_bytes(b"half")
        ledger.claim(ledger.plan(Selection(), set(), 1, ""), "dead")
        assert fetch(ledger, tmp_path) == {}
        assert (tmp_path / first.file_name).read_bytes() in {picture(0), picture(1)}
    assert_consistent(tmp_path)


def test_a_dead_run_s_claims_are_free(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()) as ledger:
        ledger.claim(ledger.plan(EVERYTHING.selection, EVERYTHING.permits, 100, "9"), "dead")
        (tmp_path / PARTIAL).mkdir()
        (tmp_path / PARTIAL / "dead.lock").touch()
        assert fetch(ledger, tmp_path) == {"stored": 20}


def test_what_a_dead_run_s_process_wrote_late_is_removed(tmp_path: Path) -> None:
    """Another run had tidied up behind it already."""
    late = tmp_path / PARTIAL / "dead"
    late.mkdir(parents=True)
    (late / ".random.partial").write_bytes(b"late")
    with collection(tmp_path) as ledger, run_in(tmp_path, ledger):
        assert not late.exists()
    assert list((tmp_path / PARTIAL).iterdir()) == []


def test_a_living_run_s_files_are_left_alone(tmp_path: Path) -> None:
    with collection(tmp_path) as ledger, run_in(tmp_path, ledger) as alive:
        half = alive.partial / ".random.partial"
        half.write_bytes(b"half")
        with run_in(tmp_path, ledger):
            assert half.exists()
        assert half.exists()
