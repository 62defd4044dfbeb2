"""What `wikidata` asks and finds, from servers that answer as Wikidata and Commons do."""

from __future__ import annotations

import pytest

from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.wikidata import Wikidata
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

SPARQL, API, COMMONS = "/sparql", "/wikidata/api.php", "/commons/api.php"
OUR = answers("wikidata")
FILES = answers("commons")
OSHUN = Concept("oshun", "Oshun", {}, wikidata="Q900000")


@pytest.fixture
def wikidata(site: Site, web: Web, settings: ScraperSettings) -> Wikidata:
    source = Wikidata(web, settings)
    source.sparql, source.api, source.commons = (site.url + path for path in (SPARQL, API, COMMONS))
    return source


def find(source: Wikidata, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def test_works_that_depict_the_item_with_the_rights_of_their_files(
    wikidata: Wikidata, site: Site
) -> None:
    site.answer(SPARQL, OUR["depicting"], format="json")
    site.answer(COMMONS, FILES["second"], titles="File:Oshun statue.tif|File:Ọ̀ṣun (1).jpg")
    assert find(wikidata, OSHUN) == [
        Found(
            source="wikidata",
            id="103",
            url="https://upload.example.org/c/cd/Oshun_riverside_shrine.png",
            page="https://commons.example.org/wiki/File:Oshun_riverside_shrine.png",
            title="Oshun riverside shrine.png",
            query="P180=Q900000",
            skos_concept="http://www.wikidata.org/entity/Q900000",
            width=800,
            height=640,
        )
    ]
    (question,) = site.asked(SPARQL)
    assert "?work wdt:P180 wd:Q900000; wdt:P18 ?picture" in question["query"]


def test_the_item_may_be_one_of_the_concept_uris(wikidata: Wikidata, site: Site) -> None:
    site.answer(SPARQL, OUR["depicting_nothing"])
    uris = ("https://www.wikidata.org/wiki/Q900005", "http://vocab.getty.edu/aat/300000000")
    assert find(wikidata, Concept("oshun", "Oshun", {}, uris=uris)) == []
    assert "wd:Q900005" in site.asked(SPARQL)[0]["query"]


def test_search_terms_alone_find_works_of_art(
    wikidata: Wikidata, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["hits"], list="search")
    site.answer(API, OUR["more_hits"], list="search", sroffset="2")
    site.answer(API, OUR["entities"], action="wbgetentities", ids="Q900001|Q900002")
    site.answer(COMMONS, FILES["first"], titles="File:Oshun statue.tif")
    site.answer(COMMONS, FILES["nothing"], gsroffset="2")
    assert [picture.query for picture in find(wikidata, oshun)] == ["Oshun statue"] * 2
    search = site.asked(API)[0]["srsearch"]
    assert search.startswith("Oshun statue haswbstatement:P31=Q3305213|P31=Q860861")
    assert not site.asked(SPARQL)


def test_rights_are_asked_for_no_more_files_than_needed(wikidata: Wikidata, site: Site) -> None:
    rows = [
        {"picture": {"type": "uri", "value": f"http://example.org/Special:FilePath/{n}.jpg"}}
        for n in range(120)
    ]
    site.answer(SPARQL, {"results": {"bindings": rows}})
    site.answer(COMMONS, FILES["second"])
    assert len(find(wikidata, OSHUN, limit=1)) == 1
    (request,) = site.asked(COMMONS)
    assert request["titles"].count("|") == 49


def test_a_file_that_two_works_share_is_asked_for_once(wikidata: Wikidata, site: Site) -> None:
    row = {"picture": {"type": "uri", "value": "http://example.org/Special:FilePath/a.jpg"}}
    site.answer(SPARQL, {"results": {"bindings": [row, row]}})
    site.answer(COMMONS, FILES["nothing"])
    assert find(wikidata, OSHUN) == []
    assert [request["titles"] for request in site.asked(COMMONS)] == ["File:a.jpg"]


def test_errors_say_what_is_wrong(wikidata: Wikidata, site: Site, oshun: Concept) -> None:
    site.answer(API, OUR["error"])
    with pytest.raises(SourceError, match="Could not find an entity"):
        find(wikidata, oshun)
    site.answer(SPARQL, {"head": {}})
    with pytest.raises(SourceError, match="Query Service answered without 'results'"):
        find(wikidata, OSHUN)


def test_a_page_of_html_instead_of_an_answer_is_an_error(wikidata: Wikidata, site: Site) -> None:
    site.answer(SPARQL, BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(wikidata, OSHUN)


@needs_recordings
def test_recorded_answers_have_the_shapes_that_are_read(
    wikidata: Wikidata, site: Site, oshun: Concept
) -> None:
    answer = recorded("wikidata")
    site.answer(
        API, answer["search"] | {"query": {"search": [{"title": "Q217447"}]}}, list="search"
    )
    site.answer(API, answer["wbgetentities"], action="wbgetentities")
    site.answer(COMMONS, FILES["second"], titles="File:Verla.JPG")
    assert len(find(wikidata, oshun)) == 1


@needs_recordings
def test_recorded_rows_without_a_picture_find_nothing(wikidata: Wikidata, site: Site) -> None:
    site.answer(SPARQL, recorded("wikidata")["sparql"])
    assert find(wikidata, OSHUN) == []
    assert not site.asked(COMMONS)
