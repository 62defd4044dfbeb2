"""Sources are asked for every class, each at its own pace, and what they find is written down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scraper.find import GIVE_UP_AFTER, find, finding, vocabulary
from scraper.ledger import Ledger
from scraper.ledger.records import plain_name
from scraper.source import Concept, Found, SourceError
from tests.scraper.collecting import Tally, collection

GANESHA = Concept("ganesha", "Ganesha", {"en": ("Ganesha statue",), "hi": ("गणेश मूर्ति",)})
DURGA = Concept("durga", "Durga", {"en": ("Durga statue",)})


class Shelf:
    """A source that has so many pictures of everything, and breaks off where it is told to."""

    needs = note = ""
    by_default = True

    def __init__(self, name: str = "shelf", pictures: int = 10, breaks_at: int | None = None):
        self.name = name
        self.pictures = pictures
        self.breaks_at = breaks_at
        self.asked: list[str] = []

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        self.asked.append(concept.slug)
        for number in range(min(limit, self.pictures)):
            if number == self.breaks_at:
                raise SourceError(f"{self.name} answers with status 500")
            url = f"https://{self.name}.example/{concept.slug}/{number}.jpg"
            yield Found(self.name, f"{concept.slug}-{number}", url, rights="CC0")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with collection(tmp_path) as ledger:
        yield ledger


def found(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(slug, source): count for slug, source, _, _, count in ledger.counts()}


def test_every_source_is_asked_for_every_class(ledger: Ledger) -> None:
    tally = Tally()
    find(ledger, [Shelf("a", 3), Shelf("b", 9)], [GANESHA, DURGA], 5, tally)
    assert found(ledger) == {
        ("durga", "a"): 3,
        ("durga", "b"): 5,
        ("ganesha", "a"): 3,
        ("ganesha", "b"): 5,
    }
    assert tally.found == {"a": 6, "b": 10}


def test_licences_are_understood(ledger: Ledger) -> None:
    find(ledger, [Shelf(pictures=1)], [GANESHA], 1, Tally())
    assert [license_ for _, _, license_, _, _ in ledger.counts()] == ["CC0-1.0"]


def test_complete_searches_are_not_repeated_unless_asked(ledger: Ledger) -> None:
    shelf = Shelf()
    for _ in range(2):
        find(ledger, [shelf], [GANESHA], 5, Tally())
    assert shelf.asked == ["ganesha"]
    find(ledger, [shelf], [GANESHA], 5, Tally(), again=True)
    assert shelf.asked == ["ganesha", "ganesha"]


def test_more_is_searched_for_when_more_is_wanted(ledger: Ledger) -> None:
    shelf = Shelf(pictures=10)
    for limit in (5, 20, 30):
        find(ledger, [shelf], [GANESHA], limit, Tally())
    assert shelf.asked == ["ganesha", "ganesha"]  # the second time showed that there are only ten
    assert found(ledger) == {("ganesha", "shelf"): 10}


def test_new_search_terms_are_searched_for(ledger: Ledger) -> None:
    shelf = Shelf()
    find(ledger, [shelf], [GANESHA], 5, Tally())
    find(ledger, [shelf], [Concept("ganesha", "Ganesha", {"en": ("Ganapati",)})], 5, Tally())
    assert shelf.asked == ["ganesha", "ganesha"]


def test_a_source_that_is_told_what_to_read_reads_it_each_time(ledger: Ledger) -> None:
    shelf = Shelf("shelf=pictures.csv")
    for _ in range(2):
        find(ledger, [shelf], [GANESHA], 5, Tally())
    assert shelf.asked == ["ganesha", "ganesha"]
    assert plain_name(shelf.name) == "shelf"


def test_what_was_found_before_a_failure_stays(ledger: Ledger) -> None:
    tally = Tally()
    find(ledger, [Shelf(breaks_at=3), Shelf("other", 2)], [GANESHA], 5, tally)
    assert found(ledger) == {("ganesha", "other"): 2, ("ganesha", "shelf"): 3}
    assert tally.failures == ["shelf: ganesha: shelf answers with status 500"]
    assert ledger.failed_searches() == [("ganesha", "shelf", "shelf answers with status 500")]


def test_a_failed_search_is_repeated_by_the_next_run(ledger: Ledger) -> None:
    find(ledger, [Shelf(breaks_at=3)], [GANESHA], 5, Tally())
    find(ledger, [Shelf()], [GANESHA], 5, Tally())
    assert found(ledger) == {("ganesha", "shelf"): 5}
    assert ledger.failed_searches() == []


def test_a_source_that_keeps_failing_is_left_alone(ledger: Ledger) -> None:
    shelf = Shelf(breaks_at=0)
    concepts = [Concept(f"class-{number}", "Class", {}) for number in range(10)]
    tally = Tally()
    find(ledger, [shelf], concepts, 5, tally)
    assert len(shelf.asked) == GIVE_UP_AFTER
    assert "left alone" in tally.failures[-1]


def test_a_mistake_in_a_source_is_not_hidden_and_does_not_stop_the_others(ledger: Ledger) -> None:
    class Mistaken(Shelf):
        def search(self, concept: Concept, limit: int) -> Iterator[Found]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        find(ledger, [Mistaken(), Shelf("other")], [GANESHA, DURGA], 5, Tally())
    assert found(ledger) == {("durga", "other"): 5, ("ganesha", "other"): 5}


def test_finds_can_be_used_while_the_search_goes_on(ledger: Ledger) -> None:
    goes_on = threading.Event()

    class Slow(Shelf):
        def search(self, concept: Concept, limit: int) -> Iterator[Found]:
            for number, one in enumerate(super().search(concept, limit)):
                if number == 150:
                    assert goes_on.wait(60)
                yield one

    with finding(ledger, [Slow(pictures=200)], [GANESHA], 200, Tally()) as searches:
        while not found(ledger):
            assert searches.is_alive()
        goes_on.set()
    assert not searches.is_alive()
    assert found(ledger) == {("ganesha", "shelf"): 200}


def test_an_interrupted_search_is_not_taken_for_complete(ledger: Ledger) -> None:
    goes_on = threading.Event()

    class Slow(Shelf):
        def search(self, concept: Concept, limit: int) -> Iterator[Found]:
            for one in super().search(concept, limit):
                assert goes_on.wait(60)
                yield one

    with pytest.raises(KeyboardInterrupt), finding(ledger, [Slow()], [GANESHA], 5, Tally()) as run:
        raise KeyboardInterrupt
    goes_on.set()
    run.wait()
    assert len(found(ledger)) <= 1
    assert not ledger.is_searched("ganesha", "shelf", vocabulary(GANESHA), 5)
