"""What `met` asks and finds, from a server that answers as the museum does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.met import Met
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

OUR = answers("met")


@pytest.fixture
def met(site: Site, web: Web, settings: ScraperSettings) -> Met:
    source = Met(web, settings)
    source.api = site.url
    return source


def find(source: Met, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_all(site: Site) -> None:
    site.answer("/search", OUR["search"], q="Oshun statue", isPublicDomain="true", hasImages="true")
    site.answer("/objects/7001", OUR["work"])
    site.answer("/objects/7002", OUR["reserved"])
    site.answer("/objects/7003", OUR["bare"])


def test_works_in_the_public_domain_their_further_views_last(
    met: Met, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert [picture.id for picture in find(met, oshun)] == ["7001", "7003", "7001-EX2"]


def test_a_picture_comes_with_what_credits_it(met: Met, site: Site, oshun: Concept) -> None:
    give_all(site)
    picture = find(met, oshun)[0]
    assert picture == Found(
        source="met",
        id="7001",
        url="https://images.example.org/as/original/EX1.jpg",
        page="https://www.metmuseum.org/art/collection/search/7001",
        title="Standing Oshun",
        creator='Workshop of "Ade"',
        rights="CC0-1.0",
        rights_url="https://creativecommons.org/publicdomain/zero/1.0/",
        query="Oshun statue",
    )


def test_q_is_the_last_parameter_since_the_museum_forgets_those_before_it(
    met: Met, site: Site, oshun: Concept
) -> None:
    give_all(site)
    find(met, oshun)
    assert list(site.asked("/search")[0])[-1] == "q"


def test_objects_are_asked_for_until_the_limit_and_once(met: Met, site: Site) -> None:
    give_all(site)
    site.answer("/search", OUR["search"])
    concept = Concept("oshun", "Oshun", {"en": ("Oshun statue", "Oshun figure"), "yo": ("Ọ̀ṣun",)})
    assert len(find(met, concept, limit=1)) == 1
    assert [request.path for request in site.requests] == ["/search", "/objects/7001"]
    site.requests.clear()
    find(met, concept)
    assert len(site.asked("/search")) == 2, "its catalogue is English"
    assert len(site.requests) == 2 + 3


def test_a_catalogue_in_english_gets_other_languages_where_there_is_no_english(
    met: Met, site: Site
) -> None:
    site.answer("/search", OUR["nothing"])
    find(met, Concept("oshun", "Oshun", {"yo": ("Ọ̀ṣun",), "pt": ("Oxum",)}))
    assert [request["q"] for request in site.asked("/search")] == ["Ọ̀ṣun", "Oxum"]


def test_nothing_found_is_null(met: Met, site: Site, oshun: Concept) -> None:
    site.answer("/search", OUR["nothing"])
    assert find(met, oshun) == []


def test_an_object_that_is_gone_is_left_out(met: Met, site: Site, oshun: Concept) -> None:
    site.answer("/search", {"total": 3, "objectIDs": [1, 2, 7003]})
    site.answer("/objects/7003", OUR["bare"])
    assert [picture.id for picture in find(met, oshun)] == ["7003"]


def test_when_the_guard_blocks_us_the_search_ends_with_an_error(
    met: Met, site: Site, oshun: Concept
) -> None:
    site.answer("/search", {"total": 9, "objectIDs": [7001, 2, 3, 4, 5, 6, 7, 8, 9]})
    site.answer("/objects/7001", OUR["work"])
    for number in range(2, 10):
        site.answer(f"/objects/{number}", BLOCK_PAGE, status=403)
    found = met.search(oshun, 100)
    assert next(found).id == "7001"
    with pytest.raises(SourceError, match="403"):
        next(found)
    assert len(site.requests) == 1 + 1 + 3


def test_an_answer_without_what_is_needed_is_an_error(met: Met, site: Site, oshun: Concept) -> None:
    site.answer("/search", {"message": "Service is closed"})
    with pytest.raises(
        SourceError, match="the Met answered without 'objectIDs': Service is closed"
    ):
        find(met, oshun)


@needs_recordings
def test_a_recorded_object(met: Met, site: Site, oshun: Concept) -> None:
    answer = recorded("met")
    site.answer("/search", answer["search"])
    site.answer("/objects/65397", answer["object"])
    first, second = find(met, oshun)
    assert first.url == "https://images.metmuseum.org/CRDImages/as/original/DT11140.jpg"
    assert first.title == "Pensive bodhisattva"
    assert normalize(first.rights, first.rights_url).id == "CC0-1.0"
    assert second.id == "65397-DT5255"


@needs_recordings
def test_a_recorded_search_without_hits(met: Met, site: Site, oshun: Concept) -> None:
    site.answer("/search", recorded("met")["search_empty"])
    assert find(met, oshun) == []
