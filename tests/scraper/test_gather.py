"""What sources share: different pictures up to a limit, views last, patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.gather import all_phrases, each_answer, first_different, phrases_in, views_last
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError
from scraper.web import PoliteWeb
from tests.scraper.sources.site import serve

numbers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


def picture(identifier: object, address: object = None) -> Found:
    address = identifier if address is None else address
    return Found("test", str(identifier), f"https://example.org/{address}.jpg")


@given(numbers, st.integers(-1, 12))
def test_at_most_the_limit_in_order_each_once_and_no_more_read_than_needed(
    pairs: list[tuple[int, int]], limit: int
) -> None:
    read = []

    def all_of_them() -> Iterator[Found]:
        for identifier, address in pairs:
            read.append((identifier, address))
            yield picture(identifier, address)

    found = list(first_different(all_of_them(), limit))
    assert len(found) <= max(0, limit)
    assert len({each.id for each in found}) == len({each.url for each in found}) == len(found)
    assert found == [
        each for each in dict.fromkeys(picture(*pair) for pair in read) if each in found
    ]
    if len(found) == limit:
        assert not read or picture(*read[-1]) == found[-1]
    else:
        assert read == (pairs if limit > 0 else [])


def test_what_has_no_id_or_web_address_is_left_out() -> None:
    pictures = [
        picture(""),
        Found("test", "1", ""),
        Found("test", "2", "data:image/png;base64,AAAA"),
        Found("test", "3", "https://"),
        Found("test", "4", "https://[broken"),
        Found("test", "5", "file:///etc/passwd"),
        picture(6),
    ]
    assert [each.id for each in first_different(pictures, 9)] == ["6"]


def test_views_come_after_the_first_picture_of_every_object() -> None:
    objects = [[picture(1), picture(2)], [], [picture(3)], [picture(4), picture(5), picture(6)]]
    assert [each.id for each in views_last(objects)] == ["1", "3", "4", "2", "5", "6"]


def test_phrases_of_a_catalogue_in_one_language() -> None:
    terms = {"hi": ("गणेश",), "en-GB": ("Ganesha", "Ganesh"), "de": ("Ganescha", "Ganesha")}
    concept = Concept("ganesha", "Ganesha", terms)
    assert phrases_in(concept, "en") == ["Ganesha", "Ganesh"]
    assert phrases_in(concept, "ta") == all_phrases(concept)
    assert all_phrases(concept) == ["गणेश", "Ganesha", "Ganescha", "Ganesh"]


@pytest.mark.parametrize(
    ("there", "arrives"),
    [
        ([True, False, False, True, False, False, True], 3),
        ([True, False, False, False, True], None),
        ([False, False], 0),
    ],
)
def test_some_records_may_fail_but_not_three_in_a_row(
    there: list[bool], arrives: int | None
) -> None:
    settings = ScraperSettings(host_delay=0, host_concurrency=0, retries=0)
    with serve() as site, PoliteWeb(settings, allow_private=True) as web:
        for place, is_there in enumerate(there):
            if is_there:
                site.answer(f"/{place}", {"id": place})
        answers = each_answer(web, (f"{site.url}/{place}" for place in range(len(there))))
        if arrives is None:
            with pytest.raises(SourceError, match="404"):
                list(answers)
        else:
            assert len(list(answers)) == arrives
