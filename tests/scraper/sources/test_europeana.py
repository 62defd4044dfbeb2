"""What `europeana` asks and finds, from a server that answers as Europeana does."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from pydantic import SecretStr

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.europeana import Europeana
from tests.scraper.sources.site import (
    BLOCK_PAGE,
    Site,
    answers,
    needs_recordings,
    recorded,
    recorded_raw,
)

API = "/record/v2/search.json"
KEY = "our-secret-key"
OUR = answers("europeana")


@pytest.fixture
def europeana(site: Site, web: Web, settings: ScraperSettings) -> Europeana:
    source = Europeana(web, settings.model_copy(update={"europeana_key": SecretStr(KEY)}))
    source.api = site.url + API
    return source


def find(source: Europeana, concept: Concept, limit: int = 100) -> list[Found]:
    return list(source.search(concept, limit))


def give_open(site: Site) -> None:
    site.answer(API, OUR["nothing"])
    site.answer(API, OUR["first"], reusability="open", cursor="*")
    site.answer(API, OUR["second"], reusability="open", cursor="AoJ2")


def test_search_terms_alone_find_pictures_on_all_pages(
    europeana: Europeana, site: Site, oshun: Concept
) -> None:
    give_open(site)
    assert [picture.id for picture in find(europeana, oshun)] == ["/1000/item_1", "/1000/item_3"]
    first, second, third, fourth = site.asked(API)
    assert first["wskey"] == KEY
    assert (first["query"], first["profile"], first["rows"]) == ("Oshun statue", "rich", "100")
    assert second["cursor"] == "AoJ2"
    assert (third["reusability"], fourth["reusability"]) == ("restricted", "permission")


def test_a_picture_comes_with_what_credits_it(
    europeana: Europeana, site: Site, oshun: Concept
) -> None:
    give_open(site)
    picture = find(europeana, oshun)[0]
    assert picture == Found(
        source="europeana",
        id="/1000/item_1",
        url="https://institution.example.org/image?id=1&size=full",
        page="https://www.europeana.eu/item/1000/item_1",
        title="Oshun",
        creator="Ade of Osogbo; Photographer, A.",
        rights_url="http://creativecommons.org/licenses/by/4.0/",
        query="Oshun statue",
    )


@pytest.mark.parametrize(
    "uri",
    [
        "http://www.wikidata.org/entity/Q900000",
        "http://vocab.getty.edu/aat/300033618",
        "http://iconclass.org/11H(JOHN%20THE%20BAPTIST)",
        "http://data.europeana.eu/concept/48",
    ],
)
def test_concepts_are_asked_for_by_their_uri_before_the_phrases(
    europeana: Europeana, site: Site, uri: str
) -> None:
    site.answer(API, OUR["nothing"])
    site.answer(API, OUR["second"], query=f'skos_concept:"{uri}"')
    concept = Concept("oshun", "Oshun", {"en": ("Oshun",)}, uris=(uri,))
    (picture,) = find(europeana, concept)
    assert (picture.query, picture.skos_concept) == (uri, uri)
    assert [request["query"] for request in site.asked(API)][:2] == [
        f'skos_concept:"{uri}"',
        "Oshun",
    ]


def test_operators_in_a_phrase_are_only_words(europeana: Europeana, site: Site) -> None:
    site.answer(API, OUR["nothing"])
    find(europeana, Concept("x", "X", {"en": ('Oshun "Ochún": (river) -statue*',)}))
    assert site.asked(API)[0]["query"].split() == ["Oshun", "Ochún", "river", "statue"]


def test_the_limit_ends_the_search(europeana: Europeana, site: Site, oshun: Concept) -> None:
    give_open(site)
    assert len(find(europeana, oshun, limit=1)) == 1
    assert len(site.requests) == 1


def test_a_cursor_that_does_not_move_ends_the_paging(
    europeana: Europeana, site: Site, oshun: Concept
) -> None:
    site.answer(API, OUR["nothing"])
    site.answer(API, OUR["second"] | {"nextCursor": "*"}, reusability="open")
    assert len(find(europeana, oshun)) == 1
    assert len(site.requests) == 3


def test_the_key_is_in_nothing_that_is_kept_or_said(
    europeana: Europeana, site: Site, oshun: Concept
) -> None:
    give_open(site)
    assert not any(KEY in str(astuple(picture)) for picture in find(europeana, oshun))
    site.answer(API, OUR["error"], cursor="*", reusability="open")
    with pytest.raises(SourceError, match="is not registered") as error:
        find(europeana, oshun)
    assert KEY not in str(error.value)


def test_without_a_key_it_is_off_and_says_what_it_needs(
    web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    without = Europeana(web, settings.model_copy(update={"europeana_key": SecretStr("")}))
    assert not without.by_default
    with pytest.raises(SourceError, match="IDEITIFY_SCRAPER_EUROPEANA_KEY"):
        find(without, oshun)


def test_with_a_key_it_is_on(europeana: Europeana) -> None:
    assert europeana.by_default


def test_a_page_of_html_is_an_error(europeana: Europeana, site: Site, oshun: Concept) -> None:
    site.answer(API, BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(europeana, oshun)


@needs_recordings
def test_a_recorded_answer(europeana: Europeana, site: Site, oshun: Concept) -> None:
    answer = recorded("europeana")
    site.answer(API, OUR["nothing"])
    site.answer(API, answer, reusability="open", cursor="*")
    (picture,) = find(europeana, oshun)
    assert picture.creator == (
        "Villemin, Charles, fl. 1835-1849; Pérez Villaamil, Genaro, 1807-1854;"
        " Carderera, Valentín, 1796-1880"
    )
    assert picture.url.endswith("imagen_id.cmd?idImagen=102620362")
    assert normalize(picture.rights, picture.rights_url).id == "CC0-1.0"
    assert picture.page == (
        "https://www.europeana.eu/item/2022704/lod_oai_bibliotecadigital_jcyl_es_26229_ent1"
    )


@needs_recordings
def test_a_recorded_page_of_items(europeana: Europeana, site: Site, oshun: Concept) -> None:
    answer = recorded_raw("europeana_europeana_example")
    site.answer(API, OUR["nothing"])
    site.answer(API, answer, reusability="open", cursor="*")
    with_pictures = [item for item in answer["items"] if item.get("edmIsShownBy")]
    found = find(europeana, oshun)
    assert len(found) == len({item["id"] for item in with_pictures})
    assert all(normalize(p.rights, p.rights_url).permits == "open" for p in found)
    assert not any("http" in picture.creator for picture in found)
