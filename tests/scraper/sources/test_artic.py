"""What `artic` asks and finds, from a server that answers as the museum does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.artic import ArtInstituteOfChicago
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

SEARCH = "/artworks/search"
OUR = answers("artic")


@pytest.fixture
def artic(site: Site, web: Web, settings: ScraperSettings) -> ArtInstituteOfChicago:
    source = ArtInstituteOfChicago(web, settings)
    source.api = site.url
    return source


def find(source: ArtInstituteOfChicago, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_all(site: Site) -> None:
    site.answer(SEARCH, OUR["first"], page="1")
    site.answer(SEARCH, OUR["second"], page="2")


def test_works_in_the_public_domain_of_all_pages_their_further_views_last(
    artic: ArtInstituteOfChicago, site: Site, oshun: Concept
) -> None:
    give_all(site)
    found = find(artic, oshun)
    assert [picture.page.rpartition("/")[2] for picture in found] == ["8001", "8004", "8001"]
    assert [picture.url.split("/")[4][-1] for picture in found] == ["1", "4", "2"]
    assert len(site.requests) == 2
    assert site.requests[0].params["query[term][is_public_domain]"] == "true"


def test_a_picture_comes_in_the_museums_size_with_what_credits_it(
    artic: ArtInstituteOfChicago, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert find(artic, oshun)[0] == Found(
        source="artic",
        id="8001-11111111-aaaa-bbbb-cccc-000000000001",
        url="https://iiif.example.org/2/11111111-aaaa-bbbb-cccc-000000000001/full/843,/0/default.jpg",
        page="https://www.artic.edu/artworks/8001",
        title="Figure of Oshun",
        creator="Yoruba Nigeria",
        rights="CC0-1.0",
        rights_url="https://creativecommons.org/publicdomain/zero/1.0/",
        query="Oshun statue",
        width=843,
        height=1124,
    )


def test_the_limit_ends_the_search(
    artic: ArtInstituteOfChicago, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert len(find(artic, oshun, limit=1)) == 1
    assert len(site.requests) == 1


def test_nothing_found_is_nothing(artic: ArtInstituteOfChicago, site: Site, oshun: Concept) -> None:
    site.answer(SEARCH, OUR["nothing"])
    assert find(artic, oshun) == []


def test_data_may_be_null(artic: ArtInstituteOfChicago, site: Site, oshun: Concept) -> None:
    site.answer(SEARCH, {"data": None, "pagination": None, "config": None})
    assert find(artic, oshun) == []


def test_an_error_says_what_the_museum_says(
    artic: ArtInstituteOfChicago, site: Site, oshun: Concept
) -> None:
    site.answer(SEARCH, OUR["error"])
    with pytest.raises(SourceError, match="Invalid limit"):
        find(artic, oshun)


def test_a_page_of_html_is_an_error(
    artic: ArtInstituteOfChicago, site: Site, oshun: Concept
) -> None:
    site.answer(SEARCH, BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(artic, oshun)


@needs_recordings
def test_the_documented_answer(artic: ArtInstituteOfChicago, site: Site, oshun: Concept) -> None:
    answer = recorded("artic")
    detail = answer["detail_with_fields"]
    work = answer["search"]["data"][0] | detail["data"] | {"is_public_domain": True}
    site.answer(SEARCH, answer["search"] | {"data": [work]}, page="1")
    site.answer(SEARCH, OUR["nothing"])
    (picture,) = find(artic, oshun)
    assert picture.url == answer["image_url"]
    assert normalize(picture.rights, picture.rights_url).id == "CC0-1.0"
    assert (picture.width, picture.height) == (843, 810)
