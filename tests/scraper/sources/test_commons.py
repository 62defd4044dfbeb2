"""What `commons` asks and finds, from a server that answers as Wikimedia Commons does."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.commons import Commons
from tests.scraper.sources.site import (
    BLOCK_PAGE,
    Site,
    answers,
    needs_recordings,
    recorded,
    recorded_raw,
)

API = "/w/api.php"
OUR = answers("commons")
# https://phabricator.wikimedia.org/T412971
WIDTHS_THAT_WIKIMEDIA_KEEPS = {20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840}


@pytest.fixture
def commons(site: Site, web: Web, settings: ScraperSettings) -> Commons:
    source = Commons(web, settings)
    source.api = site.url + API
    return source


def find(source: Commons, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def test_search_terms_alone_find_pictures_on_all_pages_in_order(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["first"], gsrsearch="Oshun statue filetype:bitmap")
    site.answer(API, OUR["second"], gsroffset="2")
    assert [picture.id for picture in find(commons, oshun)] == ["101", "102", "103"]
    first, second = site.asked(API)
    assert first["gsrnamespace"] == "6"
    assert second["gsrsearch"] == "Oshun statue filetype:bitmap"


def test_a_picture_comes_with_what_credits_it(commons: Commons, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["first"])
    site.answer(API, OUR["second"], gsroffset="2")
    assert find(commons, oshun)[1] == Found(
        source="commons",
        id="102",
        url="https://upload.example.org/a/ab/Oshun_in_Osogbo.jpg",
        page="https://commons.example.org/wiki/File:Oshun_in_Osogbo.jpg",
        title="Oshun in Osogbo",
        creator="Ade & Bola",  # the e-mail address is nobody's business
        rights="CC BY-SA 3.0 de",
        rights_url="https://creativecommons.org/licenses/by-sa/3.0/de/deed.en",
        query="Oshun statue",
        width=900,
        height=600,
    )


def test_large_files_come_at_a_width_that_wikimedia_keeps_ready(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["first"])
    site.answer(API, OUR["second"], gsroffset="2")
    picture = find(commons, oshun)[0]
    assert picture.url.endswith("/Oshun_statue.tif/1280px-Oshun_statue.tif.jpg")
    assert (picture.width, picture.height) == (1280, 853)
    assert picture.title == "Oshun statue.tif"
    assert picture.creator == "Unknown author"
    assert int(site.asked(API)[0]["iiurlwidth"]) in WIDTHS_THAT_WIKIMEDIA_KEEPS


def test_what_depicts_the_item_comes_before_the_category_and_the_phrases(
    commons: Commons, site: Site
) -> None:
    concept = Concept(
        "oshun",
        "Oshun",
        {"en": ("Oshun statue",), "yo": ("Ọ̀ṣun",)},
        uris=("http://www.wikidata.org/entity/Q900000", "http://iconclass.org/91A"),
        commons_category="Oshun",
        wikidata="Q900000",
    )
    site.answer(API, OUR["first"], gsrsearch="haswbstatement:P180=Q900000")
    site.answer(API, OUR["nothing"], gsroffset="2")
    site.answer(API, OUR["second"], gcmtitle="Category:Oshun")
    site.answer(API, OUR["nothing"], gsrsearch="Oshun statue filetype:bitmap")
    site.answer(API, OUR["nothing"], gsrsearch="Ọ̀ṣun filetype:bitmap")
    found = find(commons, concept)
    assert [picture.query for picture in found] == ["P180=Q900000"] * 2 + ["Category:Oshun"]
    assert [bool(picture.skos_concept) for picture in found] == [True, True, False]
    assert found[0].skos_concept == "http://www.wikidata.org/entity/Q900000"
    assert site.asked(API)[2]["gcmtype"] == "file"


def test_the_limit_in_the_middle_of_a_page_ends_the_search(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["first"])
    assert len(find(commons, oshun, limit=1)) == 1
    assert find(commons, oshun, limit=0) == []
    assert len(site.requests) == 1


def test_the_same_file_found_twice_comes_once(commons: Commons, site: Site) -> None:
    concept = Concept("oshun", "Oshun", {"en": ("Oshun statue", "Oshun figure")})
    site.answer(API, OUR["second"])
    assert [picture.id for picture in find(commons, concept)] == ["103"]
    assert len(site.requests) == 2


def test_version_1_of_the_format_and_answers_in_parts(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["version_1_without_info_yet"])
    continued = "Oshun_statue.tif|20200101000000"
    site.answer(API, OUR["version_1_with_the_rest"], iicontinue=continued)
    found = find(commons, oshun)
    assert {picture.id: picture.url.rpartition("/")[2] for picture in found} == {
        "102": "b.jpg",
        "101": "a.jpg",
    }
    assert (found[0].width, found[0].height) == (800, 600)
    assert found[0].page == ""


def test_nothing_found_is_nothing(commons: Commons, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["nothing"])
    assert find(commons, oshun) == []


def test_an_error_says_what_wikimedia_says(commons: Commons, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["error"])
    with pytest.raises(SourceError, match="Search is currently too busy"):
        find(commons, oshun)


@pytest.mark.parametrize("answer", [[], None, {}, "Sorry", 7])
def test_an_answer_of_another_shape_is_an_error(
    commons: Commons, site: Site, oshun: Concept, answer: object
) -> None:
    site.answer(API, answer)
    with pytest.raises(SourceError, match="Wikimedia's API answered without 'query'"):
        find(commons, oshun)


def test_a_page_that_repeats_itself_ends_with_an_error(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["first"])
    with pytest.raises(SourceError, match="over and over"):
        find(commons, oshun)
    assert len(site.requests) == 2


def test_a_block_page_is_an_error_and_what_came_before_stays(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["first"])
    site.answer(API, BLOCK_PAGE, gsroffset="2")
    found = commons.search(oshun, 100)
    assert [next(found).id, next(found).id] == ["101", "102"]
    with pytest.raises(SourceError):
        next(found)


@needs_recordings
def test_a_recorded_search(commons: Commons, site: Site, oshun: Concept) -> None:
    answer = recorded("wikimedia_commons_search_v2")
    site.answer(API, answer)
    site.answer(API, OUR["nothing"], gsroffset="10")
    found = find(commons, oshun)
    assert [picture.id for picture in found] == ["71785024", "20047569", "131111389"]
    assert [picture.creator for picture in found] == [
        "Sixflashphoto",
        "H501zalc",
        "Donald Lee Pardue",
    ]
    assert [normalize(p.rights, p.rights_url).id for p in found] == [
        "CC-BY-SA-4.0",
        "CC-BY-SA-3.0",
        "CC-BY-2.0",
    ]
    assert not any("?" in picture.url + picture.page for picture in found)


@needs_recordings
def test_recorded_pages_by_id_with_html_in_every_field(
    commons: Commons, site: Site, oshun: Concept
) -> None:
    site.answer(API, recorded("wikimedia_commons_v1_extmetadata"))
    site.answer(
        API, OUR["nothing"], gucontinue="Edvard_Munch_-_Night_in_Nice_(1891).jpg|nowiki|1281339"
    )
    volcano, street = find(commons, oshun)
    assert volcano.creator == "The original uploader was Elvezio at Italian Wikipedia."
    assert normalize(volcano.rights, volcano.rights_url).id == "CC-PDM-1.0"
    assert street.creator == "Eckhard Henkel"
    assert normalize(street.rights, street.rights_url).id == "CC-BY-SA-3.0-DE"
    assert (street.width, street.height) == (1563, 1172)


@needs_recordings
@pytest.mark.parametrize(
    ("name", "creator"),
    [
        ("artist_div", "Jona Lendering"),
        ("artist_internal_link", "NotaRealUser"),
        ("artist_link", "link text"),
        ("artist_partial_link", "Jeff & Brian from Eastbourne"),
        ("artist_string", "Artist Name"),
    ],
)
def test_recorded_names_of_artists(
    commons: Commons, site: Site, oshun: Concept, name: str, creator: str
) -> None:
    info = recorded_raw(f"wikimedia_image_info_{name}") | {"url": "https://example.org/a.jpg"}
    page = {"pageid": 1, "title": "File:A.jpg", "imageinfo": [info]}
    site.answer(API, {"batchcomplete": "", "query": {"pages": {"1": page}}})
    assert [picture.creator for picture in find(commons, oshun)] == [creator]


@needs_recordings
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("example", 1),
        ("minimal", 0),  # a file without a title cannot be told from others
        ("missing_image_url", 0),
        ("missing_imageinfo", 0),
        ("html_description", 0),
    ],
)
def test_recorded_pages_whole_and_not(
    commons: Commons, site: Site, oshun: Concept, name: str, count: int
) -> None:
    page = recorded_raw(f"wikimedia_image_data_{name}")
    site.answer(API, {"batchcomplete": "", "query": {"pages": {"1": page}}})
    assert len(find(commons, oshun)) == count
