"""What `openverse` asks and finds, from a server that answers as Openverse does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.openverse import Openverse
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

API = "/v1/images/"
OUR = answers("openverse")


@pytest.fixture
def openverse(site: Site, web: Web, settings: ScraperSettings) -> Openverse:
    source = Openverse(web, settings)
    source.api = site.url + API
    return source


def find(source: Openverse, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_all(site: Site) -> None:
    site.answer(API, OUR["first"], page="1", q="Oshun statue")
    site.answer(API, OUR["second"], page="2", q="Oshun statue")


def test_search_terms_find_pictures_on_all_pages(
    openverse: Openverse, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert [picture.id[-1] for picture in find(openverse, oshun)] == ["1", "2", "3"]
    assert len(site.requests) == 2
    assert int(site.requests[0].params["page_size"]) <= 20, "more is not given without a key"


def test_a_picture_comes_from_its_own_site_with_what_credits_it(
    openverse: Openverse, site: Site, oshun: Concept
) -> None:
    give_all(site)
    found = find(openverse, oshun)
    assert found[0] == Found(
        source="openverse",
        id="00000000-0000-0000-0000-000000000001",
        url="https://live.example.org/1_b.jpg",
        page="https://photos.example.org/ade/1",
        title="Oshun festival",
        creator="Ade",
        rights="by-sa 2.0",
        rights_url="https://creativecommons.org/licenses/by-sa/2.0/",
        query="Oshun statue",
        width=1024,
        height=768,
    )
    assert [normalize(p.rights, p.rights_url).id for p in found] == [
        "CC-BY-SA-2.0",
        "CC0-1.0",
        "CC-BY-NC-ND-4.0",
    ]


@pytest.mark.parametrize(
    ("license", "identifier"),
    [
        ("by", "CC-BY-2.0"),
        ("by-nc", "CC-BY-NC-2.0"),
        ("by-nd", "CC-BY-ND-2.0"),
        ("by-nc-sa", "CC-BY-NC-SA-2.0"),
        ("sampling+", "unknown"),
    ],
)
def test_licences_without_a_link(
    openverse: Openverse, site: Site, oshun: Concept, license: str, identifier: str
) -> None:
    picture = {"id": "1", "url": "https://example.org/1", "license": license}
    site.answer(API, {"page_count": 1, "results": [picture | {"license_version": "2.0"}]})
    (found,) = find(openverse, oshun)
    assert normalize(found.rights, found.rights_url).id == identifier


def test_the_limit_ends_the_search(openverse: Openverse, site: Site, oshun: Concept) -> None:
    give_all(site)
    assert len(find(openverse, oshun, limit=1)) == 1
    assert len(site.requests) == 1


def test_nothing_found_is_nothing(openverse: Openverse, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["nothing"])
    assert find(openverse, oshun) == []
    assert len(site.requests) == 1


def test_an_error_says_what_openverse_says(
    openverse: Openverse, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["error"])
    with pytest.raises(SourceError, match="page_size may not exceed 20"):
        find(openverse, oshun)


def test_a_page_of_html_is_an_error(openverse: Openverse, site: Site, oshun: Concept) -> None:
    site.answer(API, BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(openverse, oshun)


def test_it_is_off_by_default_since_its_terms_forbid_to_harvest(openverse: Openverse) -> None:
    assert not openverse.by_default


@needs_recordings
@pytest.mark.parametrize(
    ("name", "licenses"),
    [
        ("search_200_full_item", ["CC0-1.0"]),
        ("search_200_recorded", ["CC-BY-4.0", "CC-BY-SA-2.0"]),
    ],
)
def test_recorded_answers(
    openverse: Openverse, site: Site, oshun: Concept, name: str, licenses: list[str]
) -> None:
    site.answer(API, recorded("openverse")[name])
    found = find(openverse, oshun)
    assert [normalize(p.rights, p.rights_url).id for p in found] == licenses
    assert all(picture.page and picture.creator and picture.width for picture in found)


@needs_recordings
@pytest.mark.parametrize("name", ["error_400", "page_too_big", "detail_404"])
def test_recorded_errors(openverse: Openverse, site: Site, oshun: Concept, name: str) -> None:
    site.answer(API, recorded("openverse")[name])
    with pytest.raises(SourceError, match="Openverse answered without 'results': "):
        find(openverse, oshun)
