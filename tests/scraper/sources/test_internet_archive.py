"""What `internet_archive` asks and finds, from a server that answers as the Archive does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.internet_archive import InternetArchive
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

SEARCH = "/advancedsearch.php"
OUR = answers("internet_archive")
LICENSED = "(Oshun statue) AND mediatype:image AND licenseurl:*"
UNLICENSED = "(Oshun statue) AND mediatype:image AND NOT licenseurl:*"


@pytest.fixture
def archive(site: Site, web: Web, settings: ScraperSettings) -> InternetArchive:
    source = InternetArchive(web, settings)
    source.site = site.url
    return source


def find(source: InternetArchive, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_all(site: Site) -> None:
    site.answer(SEARCH, OUR["nothing"])
    site.answer(SEARCH, OUR["found"], q=LICENSED, page="1", output="json")
    site.answer("/metadata/oshun-statue", OUR["statue"])
    site.answer("/metadata/oshun-album", OUR["album"])


def test_one_picture_of_every_item_then_the_others(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert [picture.id for picture in find(archive, oshun)] == [
        "oshun-statue/Oshun statue #1.JPG",
        "oshun-album/scans/master 1.jpg",  # made of a TIFF, which is too large to take
        "oshun-album/second.png",  # of which a JPEG was made too
    ]
    assert [request["q"] for request in site.asked(SEARCH)] == [LICENSED, UNLICENSED]


def test_a_picture_comes_with_what_credits_it(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert find(archive, oshun)[0] == Found(
        source="internet_archive",
        id="oshun-statue/Oshun statue #1.JPG",
        url=f"{site.url}/download/oshun-statue/Oshun%20statue%20%231.JPG",
        page=f"{site.url}/details/oshun-statue",
        title="Oshun statue",
        creator="Ade; Bola",
        rights="No rights reserved",
        rights_url="https://creativecommons.org/publicdomain/zero/1.0/",
        query="Oshun statue",
        width=3000,
        height=2000,
    )


def test_an_item_without_a_licence_is_found_but_of_unknown_licence(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    picture = find(archive, oshun)[1]
    assert normalize(picture.rights, picture.rights_url).id == "unknown"


def test_all_pages_are_read_and_items_once(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    many = {"response": {"numFound": 51, "docs": OUR["found"]["response"]["docs"]}}
    site.answer(SEARCH, many, q=LICENSED, page="1", output="json")
    site.answer(SEARCH, many, q=LICENSED, page="2")
    assert len(find(archive, oshun)) == 3
    assert [request["page"] for request in site.asked(SEARCH)] == ["1", "2", "1"]
    assert len(site.asked("/metadata/oshun-album")) == 1


def test_items_are_asked_for_until_the_limit(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    assert len(find(archive, oshun, limit=1)) == 1
    assert [request.path for request in site.requests] == [SEARCH, "/metadata/oshun-statue"]


def test_items_that_are_dark_or_gone_have_no_pictures(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    give_all(site)
    site.answer("/metadata/oshun-statue", OUR["dark"])
    site.answer("/metadata/oshun-album", OUR["gone"])
    assert find(archive, oshun) == []


def test_operators_in_a_phrase_are_only_words(archive: InternetArchive, site: Site) -> None:
    site.answer(SEARCH, OUR["nothing"])
    find(archive, Concept("x", "X", {"en": ("Oshun) OR (mediatype:texts",)}))
    assert site.asked(SEARCH)[0]["q"].count("mediatype:") == 1


def test_an_error_says_what_the_archive_says(
    archive: InternetArchive, site: Site, oshun: Concept
) -> None:
    site.answer(SEARCH, OUR["error"])
    with pytest.raises(SourceError, match="cannot go past 10000 results"):
        find(archive, oshun)


def test_a_page_of_html_is_an_error(archive: InternetArchive, site: Site, oshun: Concept) -> None:
    site.answer(SEARCH, BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(archive, oshun)


@needs_recordings
def test_recorded_answers(archive: InternetArchive, site: Site, oshun: Concept) -> None:
    answer = recorded("internet_archive")
    site.answer(SEARCH, OUR["nothing"])
    site.answer(SEARCH, answer["advancedsearch"], q=LICENSED, page="1")
    for item in answer["advancedsearch"]["response"]["docs"]:
        site.answer(f"/metadata/{item['identifier']}", answer["metadata"])
    (picture,) = find(archive, oshun)
    assert picture.id == "nasa/globe_west_540.jpg"
    assert picture.rights == "NASA Images Terms & Conditions"
    assert normalize(picture.rights, picture.rights_url).id == "unknown"
