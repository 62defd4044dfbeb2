"""What `cleveland` asks and finds, from a server that answers as the museum does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.cleveland import Cleveland
from tests.scraper.sources.site import (
    BLOCK_PAGE,
    Site,
    answers,
    needs_recordings,
    recorded,
    recorded_raw,
)

API = "/api/artworks/"
OUR = answers("cleveland")


@pytest.fixture
def cleveland(site: Site, web: Web, settings: ScraperSettings) -> Cleveland:
    source = Cleveland(web, settings)
    source.api = site.url + API
    return source


def find(source: Cleveland, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_all(site: Site) -> None:
    site.answer(API, OUR["first"], skip="0", cc0="1", has_image="1", q="Oshun statue")
    site.answer(API, OUR["second"], skip="2", cc0="1", has_image="1", q="Oshun statue")


def test_works_of_all_pages_their_further_views_last(
    cleveland: Cleveland, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert [picture.id for picture in find(cleveland, oshun)] == [
        "1900.1.a",
        "1901.2",
        "1900.1.a-1",
    ]
    assert len(site.requests) == 2


def test_a_picture_comes_in_print_size_with_what_credits_it(
    cleveland: Cleveland, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert find(cleveland, oshun)[0] == Found(
        source="cleveland",
        id="1900.1.a",
        url="https://cdn.example.org/1900.1.a_print.jpg",
        page="https://museum.example.org/art/1900.1.a",
        title="Oshun Staff",
        creator="Ade (Nigerian, 1860–1920)",
        rights="CC0",
        query="Oshun statue",
        width=2422,
        height=3400,
    )


def test_a_work_says_itself_whether_it_is_free(
    cleveland: Cleveland, site: Site, oshun: Concept
) -> None:
    give_all(site)
    picture = find(cleveland, oshun)[1]
    assert normalize(picture.rights).permits == "restricted"
    assert (picture.title, picture.width, picture.height) == ("", None, None)


def test_the_limit_ends_the_search(cleveland: Cleveland, site: Site, oshun: Concept) -> None:
    give_all(site)
    assert len(find(cleveland, oshun, limit=2)) == 2
    assert len(site.requests) == 1


def test_nothing_found_is_nothing(cleveland: Cleveland, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["nothing"])
    assert find(cleveland, oshun) == []
    assert len(site.requests) == 1


def test_an_answer_without_data_or_of_html_is_an_error(
    cleveland: Cleveland, site: Site, oshun: Concept
) -> None:
    site.answer(API, {"error": {"message": "q is too long"}})
    with pytest.raises(SourceError, match="q is too long"):
        find(cleveland, oshun)
    site.answer(API, BLOCK_PAGE, q="Oshun statue")
    with pytest.raises(SourceError):
        find(cleveland, oshun)


@needs_recordings
def test_a_recorded_answer(cleveland: Cleveland, site: Site, oshun: Concept) -> None:
    answer = recorded("cleveland")
    site.answer(API, answer | {"info": {"total": 1}})
    (picture,) = find(cleveland, oshun)
    assert picture.url == (
        "https://openaccess-cdn.clevelandart.org/1916.586.a/1916.586.a_print.jpg"
    )
    assert normalize(picture.rights).id == "CC0-1.0"
    assert (picture.width, picture.height) == (2422, 3400)


@needs_recordings
@pytest.mark.parametrize(
    ("sizes", "suffix"), [("full", "_full.tif"), ("print", "_print.jpg"), ("web", "_print.jpg")]
)
def test_recorded_pictures_in_some_sizes(
    cleveland: Cleveland, site: Site, oshun: Concept, sizes: str, suffix: str
) -> None:
    images = recorded_raw(f"clevelandmuseum_image_type_{sizes}")
    site.answer(API, {"info": {"total": 1}, "data": [{"id": 1, "images": images}]})
    assert [picture.url.endswith(suffix) for picture in find(cleveland, oshun)] == [True]


@needs_recordings
def test_recorded_pictures_in_no_size(cleveland: Cleveland, site: Site, oshun: Concept) -> None:
    images = recorded_raw("clevelandmuseum_image_type_none")
    site.answer(API, {"info": {"total": 1}, "data": [{"id": 1, "images": images}]})
    assert find(cleveland, oshun) == []


@needs_recordings
def test_a_recorded_page_of_the_collection(
    cleveland: Cleveland, site: Site, oshun: Concept
) -> None:
    answer = recorded_raw("clevelandmuseum_handle_response_data")
    works = answer["data"] if isinstance(answer, dict) else answer
    site.answer(API, {"info": {"total": len(works)}, "data": works})
    found = find(cleveland, oshun, limit=1000)
    assert len(found) > 0.9 * len(works)
    assert {normalize(picture.rights).id for picture in found} == {"CC0-1.0"}
    assert all(picture.width and picture.height for picture in found)
