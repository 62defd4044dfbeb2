"""What the ledger remembers, and what it plans from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ideitify.licenses import normalize
from scraper.ledger import Ledger
from scraper.ledger.database import Database, LedgerError
from scraper.ledger.records import (
    ALL,
    Arrived,
    Attempt,
    Health,
    Item,
    Outcome,
    Selection,
    file_name_of,
    now,
)
from scraper.source import Found
from tests.postgres import needs_postgres, new_database

EVERYTHING = {"open", "noncommercial", "restricted", "unknown"}


ON_POSTGRES = [needs_postgres, pytest.mark.xdist_group("postgres")]  # one server is enough


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=ON_POSTGRES)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a ledger can be: a file, or an empty database of a real server."""
    if request.param == "sqlite":
        return tmp_path / "ledger.sqlite"
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Ledger]:
    with Ledger(place) as ledger:
        for slug in ("durga", "ganesha"):
            ledger.add_concept(slug, slug.title(), "words")
        yield ledger


def found(number: int = 1, source: str = "met", **changes: str) -> Found:
    plain = Found(
        source=source,
        id=f"id-{number}",
        url=f"https://images.example/{number}.jpg",
        page=f"https://{source}.example/{number}",
        title=f"Picture {number}",
        creator="Unknown",
        rights="CC0",
    )
    return replace(plain, **changes)


def record(ledger: Ledger, *finds: Found, slug: str = "ganesha") -> None:
    ledger.record_finds(slug, [(one, normalize(one.rights, one.rights_url)) for one in finds])


def plan(
    ledger: Ledger,
    selection: Selection = ALL,
    permits: set[str] = EVERYTHING,
    limit: int = 100,
    since: str = "",
    again: bool = False,
) -> list[Item]:
    return ledger.plan(selection, permits, limit, since or now(), again=again)


def arrived(number: int = 1, **changes: str) -> Arrived:
    """What is known of a picture; those of different numbers look different."""
    plain = Arrived(
        url=f"https://images.example/{number}.jpg",
        sha256=f"{number:016x}" * 4,
        perceptual_hash=f"{number:016x}",
        suffix=".jpg",
        size=1000,
        width=640,
        height=480,
        etag='"tag"',
    )
    return replace(plain, **changes)


def settle(ledger: Ledger, item: Item, picture: Arrived | None, **why: object) -> Outcome:
    (settled,) = ledger.settle([Attempt(item, now(), picture, **why)])  # type: ignore[arg-type]
    return settled.outcome


def store(ledger: Ledger, number: int = 1, slug: str = "ganesha") -> str:
    """Find and store a picture; returns its file name."""
    record(ledger, found(number), slug=slug)
    (item,) = [item for item in plan(ledger) if item.url == found(number).url]
    assert settle(ledger, item, arrived(number)) is Outcome.STORED
    return file_name_of(slug, f"{number:016x}" * 4, ".jpg")


def store_planned(ledger: Ledger) -> str:
    """Store the one find that is planned; returns its file name."""
    (item,) = plan(ledger)
    assert settle(ledger, item, arrived()) is Outcome.STORED
    return ledger.stored()[0].file_name


def outcomes(ledger: Ledger) -> list[tuple[str, int]]:
    return [(outcome, count) for *_, outcome, count in ledger.counts()]


# Finding


def test_a_find_is_planned_once_however_often_it_is_found(ledger: Ledger) -> None:
    record(ledger, found(), found())
    record(ledger, found())
    assert [item.url for item in plan(ledger)] == [found().url]


def test_a_find_keeps_its_newest_credits(ledger: Ledger) -> None:
    record(ledger, found(rights="who knows", creator="A. Nonymous"))
    record(ledger, found(rights="CC BY 4.0", creator="Ana"))
    (item,) = plan(ledger, permits={"open"})
    settle(ledger, item, arrived())
    (stored,) = ledger.stored()
    assert (stored.found.creator, stored.license.id) == ("Ana", "CC-BY-4.0")


def test_text_that_databases_cannot_hold_is_cleaned(ledger: Ledger) -> None:
    record(ledger, found(title="half a \ud83d pair, and a \0 byte"))
    store(ledger)
    assert ledger.stored()[0].found.title == "Picture 1"  # the newest
    record(ledger, found(2, title="half a \ud83d pair, and a \0 byte"))
    settle(ledger, plan(ledger)[0], arrived(2))
    assert ledger.stored()[1].found.title == "half a ? pair, and a  byte"


def test_a_search_is_complete_when_it_gave_enough_or_all(ledger: Ledger) -> None:
    assert not ledger.is_searched("ganesha", "met", "words", limit=10)
    ledger.record_search("ganesha", "met", "words", wanted=10, found=10)
    assert ledger.is_searched("ganesha", "met", "words", limit=10)
    assert not ledger.is_searched("ganesha", "met", "words", limit=11)
    ledger.record_search("ganesha", "met", "words", wanted=11, found=10)
    assert ledger.is_searched("ganesha", "met", "words", limit=1000)


def test_other_words_need_another_search(ledger: Ledger) -> None:
    ledger.record_search("ganesha", "met", "words", wanted=10, found=10)
    assert not ledger.is_searched("ganesha", "met", "better words", limit=10)


def test_a_search_that_failed_is_not_complete(ledger: Ledger) -> None:
    ledger.record_search("ganesha", "met", "words", 10, 10, error="met.example answers with 500")
    assert not ledger.is_searched("ganesha", "met", "words", limit=10)
    assert ledger.failed_searches() == [("ganesha", "met", "met.example answers with 500")]


# Planning


def test_a_plan_keeps_to_the_selection(ledger: Ledger) -> None:
    record(ledger, found(1), found(2, source="artic"))
    record(ledger, found(3), slug="durga")
    classes = plan(ledger, Selection(classes=("durga",)))
    assert [item.category for item in classes] == ["durga"]
    sources = plan(ledger, Selection(sources=("artic",)))
    assert [item.source for item in sources] == ["artic"]


def test_a_plan_keeps_to_what_licences_permit(ledger: Ledger) -> None:
    record(ledger, found(1, rights="CC BY-SA 4.0"), found(2, rights="All rights reserved"))
    assert [item.url for item in plan(ledger, permits={"open"})] == [found(1).url]


def test_an_address_found_twice_is_planned_once_for_the_find_that_may(ledger: Ledger) -> None:
    record(ledger, found(1, source="bing", rights=""))
    record(ledger, found(1, source="met"))
    assert [item.source for item in plan(ledger, permits={"open"})] == ["met"]
    assert [item.source for item in plan(ledger)] == ["bing"]


def test_a_plan_is_what_is_missing_to_the_limit_per_class_and_source(ledger: Ledger) -> None:
    record(ledger, *map(found, range(5)), found(7, source="artic"))
    assert len(plan(ledger, limit=3)) == 3 + 1
    for number, item in enumerate(plan(ledger, Selection(sources=("met",)), limit=2)):
        settle(ledger, item, arrived(number))
    assert [item.source for item in plan(ledger, limit=3)] == ["met", "artic"]


def test_a_failure_leaves_its_place_to_the_next_find(ledger: Ledger) -> None:
    record(ledger, *map(found, range(3)))
    since = now()
    (item,) = plan(ledger, limit=1, since=since)
    settle(ledger, item, None, reason="timeout", retry=True)
    assert [item.url for item in plan(ledger, limit=1, since=since)] == [found(1).url]


def test_what_failed_is_tried_again_by_the_next_run_only(ledger: Ledger) -> None:
    record(ledger, found())
    since = now()
    settle(ledger, plan(ledger)[0], None, reason="timeout", retry=True)
    assert outcomes(ledger) == [("failed", 1)]
    assert plan(ledger, since=since) == []
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert len(plan(ledger, since=tomorrow)) == 1


def test_what_was_refused_is_tried_again_only_if_asked(ledger: Ledger) -> None:
    record(ledger, found())
    settle(ledger, plan(ledger)[0], None, reason="robots", detail="robots.txt says no")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert outcomes(ledger) == [("refused", 1)]
    assert plan(ledger, since=tomorrow) == []
    assert len(plan(ledger, since=tomorrow, again=True)) == 1


# Claims


def test_a_claimed_item_is_nobody_else_s(ledger: Ledger) -> None:
    record(ledger, *map(found, range(3)))
    items = plan(ledger)
    assert ledger.claim(items[:2], "first") == items[:2]
    assert ledger.claim(items, "second") == items[2:]
    assert plan(ledger) == []


def test_a_released_run_s_items_are_free_again(ledger: Ledger) -> None:
    record(ledger, found())
    items = plan(ledger)
    ledger.claim(items, "first")
    ledger.release("first")
    assert ledger.claim(items, "second") == items


def test_what_is_settled_cannot_be_claimed(ledger: Ledger) -> None:
    record(ledger, found())
    items = plan(ledger)
    settle(ledger, items[0], arrived())
    assert ledger.claim(items, "late") == []


def test_threads_never_claim_the_same_item(ledger: Ledger) -> None:
    record(ledger, *map(found, range(200)))
    items = plan(ledger, limit=200)
    with ThreadPoolExecutor(8) as threads:
        shares = list(threads.map(lambda run: ledger.claim(items, f"run {run}"), range(8)))
    claimed = [item.key for share in shares for item in share]
    assert sorted(claimed) == sorted(item.key for item in items)


# Settling


def test_a_picture_is_stored_with_its_credits(ledger: Ledger) -> None:
    name = store(ledger)
    (stored,) = ledger.stored()
    assert stored.file_name == name == "images/ganesha/0000000000000001.jpg"
    assert (stored.width, stored.height, stored.etag) == (640, 480, '"tag"')
    assert stored.found == found()
    assert stored.license.id == "CC0-1.0"
    assert ledger.file_name(stored.sha256) == name


@pytest.mark.parametrize("changes", [{}, {"sha256": "f" * 64}], ids=["same bytes", "same look"])
def test_a_picture_had_from_another_address_is_a_duplicate(
    ledger: Ledger, changes: dict[str, str]
) -> None:
    store(ledger)
    record(ledger, found(2))
    assert settle(ledger, plan(ledger)[0], arrived(1, **changes)) is Outcome.DUPLICATE
    assert outcomes(ledger) == [("duplicate", 1), ("stored", 1)]
    assert len(ledger.stored()) == 1


def test_of_duplicates_that_arrive_together_the_first_is_stored(ledger: Ledger) -> None:
    record(ledger, found(1), found(2))
    tried = [Attempt(item, now(), arrived(1)) for item in plan(ledger)]
    assert [one.outcome for one in ledger.settle(tried)] == [Outcome.STORED, Outcome.DUPLICATE]


def test_a_picture_found_for_two_classes_is_stored_for_the_first(ledger: Ledger) -> None:
    store(ledger, slug="ganesha")
    record(ledger, found(), slug="durga")
    assert plan(ledger) == []
    assert [(slug, outcome) for slug, _, _, outcome, _ in ledger.counts()] == [
        ("durga", "duplicate"),
        ("ganesha", "stored"),
    ]
    assert ledger.stored()[0].also_found_for == ("durga",)


def test_a_download_repeated_after_a_crash_is_still_stored(ledger: Ledger) -> None:
    record(ledger, found())
    (item,) = plan(ledger)
    assert settle(ledger, item, arrived()) is Outcome.STORED
    assert settle(ledger, item, arrived()) is Outcome.STORED


def test_failures_are_counted_by_reason(ledger: Ledger) -> None:
    record(ledger, *map(found, range(3)))
    for item in plan(ledger):
        settle(ledger, item, None, reason="robots", detail="example asks not to")
    assert ledger.failures() == [("refused", "robots", 3, "example asks not to")]


def test_many_are_settled_at_once(ledger: Ledger) -> None:
    numbers = range(1000)
    record(ledger, *map(found, numbers))
    items = plan(ledger, limit=1000)
    tried = [Attempt(item, now(), arrived(n)) for n, item in zip(numbers, items, strict=True)]
    assert {one.outcome for one in ledger.settle(tried)} == {Outcome.STORED}
    assert outcomes(ledger) == [("stored", 1000)]


# Withdrawing


@pytest.mark.parametrize(
    "which",
    [
        "https://images.example/1.jpg",
        "https://images.example/1.jpg#top",
        "https://met.example/1",
        "met:id-1",
        "id-1",
        "images/ganesha/0000000000000001.jpg",
        "0000000000000001" * 4,
    ],
    ids=["picture", "fragment", "page", "source and id", "id", "file", "sha256"],
)
def test_a_picture_is_withdrawn_by_whatever_names_it(ledger: Ledger, which: str) -> None:
    name = store(ledger)
    assert ledger.withdraw(which) == [name]
    assert ledger.stored() == []
    assert ledger.withdrawn_files() == [name]
    assert outcomes(ledger) == [("withdrawn", 1)]


def test_a_withdrawn_picture_is_never_planned_again(ledger: Ledger) -> None:
    store(ledger)
    ledger.withdraw("id-1")
    record(ledger, found(), found(2, url=found().url, source="artic"))
    assert plan(ledger, again=True) == []


@pytest.mark.parametrize("changes", [{}, {"sha256": "f" * 64}], ids=["same bytes", "same look"])
def test_a_withdrawn_picture_does_not_come_back_from_another_address(
    ledger: Ledger, changes: dict[str, str]
) -> None:
    store(ledger)
    ledger.withdraw("id-1")
    record(ledger, found(2))
    assert settle(ledger, plan(ledger)[0], arrived(1, **changes)) is Outcome.WITHDRAWN
    assert ledger.stored() == []


@pytest.mark.parametrize(
    ("look", "outcome"),
    [("000000000000001e", Outcome.WITHDRAWN), ("800000000000001e", Outcome.STORED)],
    ids=["4 bits", "5 bits"],
)
def test_what_looks_nearly_like_a_withdrawn_picture_is_withdrawn_too(
    ledger: Ledger, look: str, outcome: Outcome
) -> None:
    record(ledger, found(1), found(2), found(3))
    first, second, third = plan(ledger)
    settle(ledger, first, arrived(perceptual_hash="0" * 16))
    ledger.withdraw("id-1")
    assert settle(ledger, second, arrived(2, perceptual_hash=look)) is outcome
    ledger.withdraw("id-2")
    assert settle(ledger, third, arrived(2, perceptual_hash=look)) is Outcome.WITHDRAWN
    assert ledger.stored() == []


def test_nearly_the_look_of_a_picture_that_is_there_is_another(ledger: Ledger) -> None:
    record(ledger, found(1), found(2))
    for number, item in enumerate(plan(ledger)):
        picture = arrived(number, perceptual_hash=f"{number:016x}")
        assert settle(ledger, item, picture) is Outcome.STORED


@pytest.mark.parametrize(
    ("page", "which"),
    [
        ("https://met.example/object/1/", "https://met.example/object/1"),
        ("https://met.example/object/1", "http://met.example/object/1/"),
        ("http://met.example/object/1", "https://www.met.example/object/1"),
        ("https://www.met.example/object/1", "https://Met.example:443/object/1#image"),
        ("https://met.example/object/1", "https://met.example/object/1?utm_source=x&utm_id=2"),
        ("https://met.example/?id=1", "https://met.example?id=1&utm_source=x"),
        ("https://met.example/G%C3%A4nesha", "https://met.example/Gänesha"),
        ("https://met.example/#/object/1", "https://www.met.example/#/object/1"),
    ],
    ids=["slash", "http", "www", "host", "utm", "query", "percent", "script"],
)
def test_a_page_is_withdrawn_however_it_is_spelt(ledger: Ledger, page: str, which: str) -> None:
    record(ledger, found(1, page=page))
    name = store_planned(ledger)
    assert ledger.is_known(which)
    assert ledger.withdraw(which) == [name]
    record(ledger, found(2, page=page))
    assert plan(ledger) == []


@pytest.mark.parametrize(
    "which",
    [
        "https://met.example/object/12",
        "https://met.example/object",
        "https://met.example/object/1?view=2",
        "https://met.example/object/1#/2",
        "https://other.met.example/object/1",
        "https://met.example:8080/object/1",
        "https://",
        "http://[met.example/object/1",
    ],
)
def test_other_pages_are_left_alone(ledger: Ledger, which: str) -> None:
    record(ledger, found(1, page="https://met.example/object/1"))
    store_planned(ledger)
    record(ledger, found(2, page=""))
    assert not ledger.is_known(which)
    assert ledger.withdraw(which) == []
    assert outcomes(ledger) == [("stored", 1), ("waiting", 1)]


COMMONS = "https://upload.wikimedia.org/wikipedia/commons"


@pytest.mark.parametrize(
    ("url", "which"),
    [
        ("thumb/a/ab/Ganesha.jpg/1280px-Ganesha.jpg", "a/ab/Ganesha.jpg"),
        ("a/ab/Ganesha.jpg", "thumb/a/ab/Ganesha.jpg/330px-Ganesha.jpg"),
    ],
)
def test_a_file_of_commons_is_withdrawn_in_any_size(ledger: Ledger, url: str, which: str) -> None:
    record(ledger, found(1, url=f"{COMMONS}/{url}"))
    name = store_planned(ledger)
    assert ledger.withdraw(f"{COMMONS}/{which}") == [name]


def test_an_address_nothing_is_known_by_has_others_like_it(ledger: Ledger) -> None:
    pages = ["https://met.example/en/object/1", "https://www.met.example/de/object/1/"]
    record(ledger, *(found(n, page=page) for n, page in enumerate(pages)))
    record(ledger, found(2, page="https://artic.example/object/1"))
    assert not ledger.is_known("https://met.example/object/1")
    assert ledger.addresses_like("https://met.example/object/1") == pages
    ledger.withdraw("https://met.example/object/1")
    assert not ledger.is_known("https://met.example/object/1")


def test_an_address_never_seen_can_be_withdrawn(ledger: Ledger) -> None:
    assert ledger.withdraw(found().url) == []
    record(ledger, found())
    assert plan(ledger) == []


def test_a_withdrawn_page_stays_withdrawn_whatever_is_shown_there(ledger: Ledger) -> None:
    ledger.withdraw("https://met.example/1")
    record(ledger, found(1), found(2), found(3, page="https://met.example/1"))
    assert [item.url for item in plan(ledger)] == [found(2).url]


def test_what_leads_to_a_withdrawn_address_is_withdrawn(ledger: Ledger) -> None:
    ledger.withdraw("https://elsewhere.example/original.jpg")
    record(ledger, found())
    picture = arrived(1, url="https://elsewhere.example/original.jpg")
    assert settle(ledger, plan(ledger)[0], picture) is Outcome.WITHDRAWN


def test_a_picture_withdrawn_while_it_is_in_flight_is_not_stored(ledger: Ledger) -> None:
    record(ledger, found())
    (item,) = ledger.claim(plan(ledger), "run")
    ledger.withdraw("met:id-1")
    assert settle(ledger, item, arrived()) is Outcome.WITHDRAWN
    assert ledger.stored() == []


def test_other_addresses_of_a_withdrawn_picture_are_withdrawn_too(ledger: Ledger) -> None:
    store(ledger)
    record(ledger, found(2))
    settle(ledger, plan(ledger)[0], arrived(1))
    ledger.withdraw(found(2).url)
    assert outcomes(ledger) == [("withdrawn", 2)]


def test_withdrawing_twice_names_the_files_again(ledger: Ledger) -> None:
    name = store(ledger)
    ledger.withdraw("id-1")
    assert ledger.withdraw("id-1") == [name]


def test_an_id_that_nothing_has_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no picture has the id 'id-9'"):
        ledger.withdraw("id-9")


def test_an_id_of_several_sources_asks_which(ledger: Ledger) -> None:
    record(ledger, found(1), found(1, source="artic", url="https://artic.example/1.jpg"))
    with pytest.raises(LedgerError, match="say which of met:id-1, artic:id-1"):
        ledger.withdraw("id-1")
    ledger.withdraw("artic:id-1")
    assert [item.source for item in plan(ledger)] == ["met"]


# Checking


def test_what_was_checked_the_longest_ago_is_due_first(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        store(ledger, number)
    ledger.record_check(found(1).url, Health.ALIVE)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    due = ledger.due(Selection(), soon, limit=10)
    assert [one.url for one in due] == [found(n).url for n in (2, 3, 1)]
    assert ledger.due(Selection(), datetime.now(UTC) - timedelta(minutes=1), limit=10) == []
    assert ledger.health() == {("ganesha", "met", "alive"): 1}


# Hosts


def test_host_events_add_up(ledger: Ledger) -> None:
    ledger.record_host_events([("met.example", "retry_after", 2, "for 5 s")])
    ledger.record_host_events([("met.example", "retry_after", 1, "for 9 s")])
    ((host, event, times, detail, _),) = ledger.host_events()
    assert (host, event, times, detail) == ("met.example", "retry_after", 3, "for 9 s")


# The database


def test_it_is_a_sqlite_file_in_wal_mode_and_survives_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    for _ in range(2):
        with Ledger(path) as ledger:
            ledger.add_concept("ganesha", "Ganesha", "words")
            record(ledger, found())
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM finds").fetchone() == (1,)


@pytest.mark.parametrize("name", ["q?x", "q%20x", "q#x", "q x", "q&mode=ro"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.add_concept("ganesha", "Ganesha", "words")
        file_name = store(ledger)
    with Ledger(folder / "ledger.sqlite") as ledger:
        assert [stored.file_name for stored in ledger.stored()] == [file_name]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (folder / "ledger.sqlite").is_file()


def test_an_error_names_the_file_as_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "q?x%20" / "ledger.sqlite"
    with pytest.raises(LedgerError) as refusal:
        Ledger(path)
    assert str(path) in str(refusal.value)


# Ledgers once listed every attempt, too.
OLD_TABLE = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, link VARCHAR(64) NOT NULL REFERENCES links (key),
    started_at VARCHAR(32) NOT NULL, seconds FLOAT NOT NULL, outcome VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, size INTEGER
)
"""
OLD_ROWS = "INSERT INTO attempts SELECT 1, key, '2026', 0.5, state, '', '', 1000 FROM links"


def test_a_ledger_with_a_table_of_attempts_goes_on(place: Path | str) -> None:
    with Ledger(place) as ledger:
        ledger.add_concept("ganesha", "Ganesha", "words")
        name = store(ledger)
    database = Database(place)
    with database.write() as connection:
        for statement in (OLD_TABLE, OLD_ROWS):
            connection.exec_driver_sql(statement)
    database.close()
    with Ledger(place) as ledger:
        assert [stored.file_name for stored in ledger.stored()] == [name]
        store(ledger, 2)
        assert ledger.withdraw("id-1") == [name]
        assert outcomes(ledger) == [("stored", 1), ("withdrawn", 1)]


def test_two_ledgers_at_one_place_can_write_at_the_same_time(place: Path | str) -> None:
    with Ledger(place) as one, Ledger(place) as other:
        one.add_concept("ganesha", "Ganesha", "words")

        def write(number: int) -> None:
            record(one if number % 2 else other, found(number))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(100)))
        assert outcomes(one) == outcomes(other) == [("waiting", 100)]


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("a diary, and quite a long one, " * 100)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="unable to open"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")


@pytest.mark.parametrize("place", ["mysql://host/name", "postgresql+nodriver://host/name", "a://"])
def test_other_databases_are_refused(place: str) -> None:
    with pytest.raises(LedgerError):
        Ledger(place)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(LedgerError) as refusal:
        Ledger("oracle://me:secret@host/name")
    assert "secret" not in str(refusal.value)
