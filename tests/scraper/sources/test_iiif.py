"""What `iiif` asks and finds, from a server with manifests and image services."""

from __future__ import annotations

import pytest

from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.iiif import Iiif
from tests.scraper.sources.site import BLOCK_PAGE, Site, answers, needs_recordings, recorded

OUR = answers("iiif")


@pytest.fixture
def museum(site: Site) -> Site:
    for path, name in {
        "/collection2.json": "collection_2",
        "/collection3.json": "collection_3",
        "/paged.json": "paged_collection_2",
        "/paged-1.json": "page_of_collection_2",
        "/manifest2.json": "manifest_2",
        "/manifest3.json": "manifest_3",
        "/image/one/info.json": "service_2",
        "/image/two/info.json": "service_3",
        "/annotations.json": "neither",
    }.items():
        site.answer(path, OUR[name])
    return site


def find(url: str, web: Web, settings: ScraperSettings, limit: int = 100) -> list[Found]:
    return list(Iiif(web, settings, url).search(Concept("oshun", "Oshun", {}), limit))


def test_version_2_one_picture_per_canvas_in_the_size_needed(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    url = f"{museum.url}/manifest2.json"
    front, back = find(url, web, settings)
    assert front == Found(
        source="iiif",
        id="https://museum.example.org/canvas/1",
        url=f"{museum.url}/image/one/full/1000,/0/default.jpg",  # its service gives no more
        page="https://museum.example.org/objects/1",
        title="Oshun, front",
        creator="Ade of Osogbo Yoruba",
        rights="Example Museum",
        rights_url="https://creativecommons.org/licenses/by/4.0/",
        query=url,
        width=1000,
        height=667,
    )
    assert back.url == f"{museum.url}/plain/two.jpg", "without a service, as it is"
    assert (back.width, back.height) == (800, 600)


def test_version_3_one_picture_per_canvas_in_the_size_needed(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    url = f"{museum.url}/manifest3.json"
    assert find(url, web, settings) == [
        Found(
            source="iiif",
            id="https://library.example.org/canvas/p1",
            url=f"{museum.url}/image/two/full/960,/0/default.jpg",
            page="https://library.example.org/2",
            title="Oshun with a fan",
            creator="B. Example",
            rights="Example Library",
            rights_url="http://rightsstatements.org/vocab/NoC-NC/1.0/",
            query=url,
            width=960,
            height=1280,
        )
    ]
    assert not museum.asked("/login/info.json")


@pytest.mark.parametrize("name", ["collection2", "collection3"])
def test_collections_are_walked_in_order_each_once_without_those_that_are_gone(
    museum: Site, web: Web, settings: ScraperSettings, name: str
) -> None:
    found = find(f"{museum.url}/{name}.json", web, settings)
    assert [picture.id.rpartition("/")[2] for picture in found] == ["1", "2", "p1"]
    assert len(museum.asked("/manifest2.json")) == 1
    assert len(museum.asked("/collection2.json")) == 1


def test_a_collection_in_pages(museum: Site, web: Web, settings: ScraperSettings) -> None:
    assert len(find(f"{museum.url}/paged.json", web, settings)) == 1


def test_the_limit_ends_the_walk(museum: Site, web: Web, settings: ScraperSettings) -> None:
    assert len(find(f"{museum.url}/collection2.json", web, settings, limit=1)) == 1
    assert not museum.asked("/manifest3.json")


def test_a_service_that_does_not_answer_leaves_the_manifests_own_address(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    museum.answer("/image/one/info.json", BLOCK_PAGE)
    front = find(f"{museum.url}/manifest2.json", web, settings)[0]
    assert front.url == f"{museum.url}/image/one/full/full/0/default.jpg"
    assert (front.width, front.height) == (6000, 4000)


def test_the_licence_of_a_canvas_outranks_that_of_the_manifest(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    manifest = OUR["manifest_3"]
    canvas = manifest["items"][0] | {"rights": "http://creativecommons.org/licenses/by-nd/4.0/"}
    museum.answer("/own.json", manifest | {"items": [canvas]})
    (picture,) = find(f"{museum.url}/own.json", web, settings)
    assert normalize(picture.rights, picture.rights_url).id == "CC-BY-ND-4.0"


def test_where_neither_says_so_the_licence_is_that_of_the_picture_or_unknown(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    museum.answer("/none.json", OUR["manifest_3"] | {"rights": None})
    (picture,) = find(f"{museum.url}/none.json", web, settings)
    assert normalize(picture.rights, picture.rights_url).id == "CC-BY-4.0"
    museum.answer("/image/two/info.json", OUR["service_3"] | {"rights": None})
    (picture,) = find(f"{museum.url}/none.json", web, settings)
    assert normalize(picture.rights, picture.rights_url).id == "unknown"


def test_what_is_neither_a_manifest_nor_a_collection_is_refused(
    museum: Site, web: Web, settings: ScraperSettings
) -> None:
    with pytest.raises(SourceError, match="neither a IIIF manifest nor a collection"):
        find(f"{museum.url}/annotations.json", web, settings)
    museum.answer("/page", BLOCK_PAGE)
    with pytest.raises(SourceError):
        find(f"{museum.url}/page", web, settings)
    with pytest.raises(SourceError, match="404"):
        find(f"{museum.url}/not-there.json", web, settings)


@needs_recordings
def test_the_documented_manifest_of_version_2(
    site: Site, web: Web, settings: ScraperSettings
) -> None:
    manifest = recorded("iiif_presentation2_manifest")
    resource = manifest["sequences"][0]["canvases"][0]["images"][0]["resource"]
    resource["service"]["@id"] = f"{site.url}/image"
    site.answer("/manifest.json", manifest)
    service = recorded("iiif_image2_info") | {"@id": f"{site.url}/image"}
    site.answer("/image/info.json", service)
    (picture,) = find(f"{site.url}/manifest.json", web, settings)
    assert picture.url == f"{site.url}/image/full/1280,/0/default.jpg"
    assert picture.title == "Priest and Boy"
    assert picture.creator == "Lawrence Carmichael Earle American, 1845-1921"
    assert picture.rights == "Digital image courtesy of the Art Institute of Chicago."
    assert normalize(picture.rights, picture.rights_url).id == "unknown"


@needs_recordings
def test_the_documented_manifest_of_version_3(
    site: Site, web: Web, settings: ScraperSettings
) -> None:
    manifest = recorded("iiif_presentation3_manifest")
    body = manifest["items"][0]["items"][0]["items"][0]["body"]
    body["service"][0]["id"] = f"{site.url}/image"
    site.answer("/manifest.json", manifest)
    service = recorded("iiif_image3_info") | {"id": f"{site.url}/image"}
    site.answer("/image/info.json", service)
    (picture,) = find(f"{site.url}/manifest.json", web, settings)
    assert picture.url == f"{site.url}/image/full/1280,/0/default.jpg"
    assert normalize(picture.rights, picture.rights_url).id == "CC-BY-SA-3.0"
    assert picture.title == "Picture of Göttingen taken during the 2019 IIIF Conference"
