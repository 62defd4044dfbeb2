"""Every answer that others recorded, whole or a part of one, is read as what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scraper.settings import ScraperSettings
from scraper.source import Web
from tests.scraper.sources.site import RECORDED, Site, needs_recordings, recorded_raw
from tests.scraper.sources.test_any_answer import CONCEPT, check, make

RAW = sorted(path.stem for path in (RECORDED / "raw").glob("*.json"))
MANY = 1000  # more pictures than any answer has


def cleveland(part: Any) -> dict[str, Any]:
    """A whole answer, a work, or the images of one."""
    if "data" in part:
        return {"/cleveland": {"data": part["data"], "info": {"total": len(part["data"])}}}
    work = part if "accession_number" in part else {"id": 1, "images": part}
    return {"/cleveland": {"data": [work], "info": {"total": 1}}}


def europeana(part: Any) -> dict[str, Any]:
    """A whole answer, its items, or one of them."""
    if "items" in part:
        part = part["items"]
    items = part if isinstance(part, list) else [part]
    return {"/europeana": {"success": True, "items": items, "totalResults": len(items)}}


def met(part: Any) -> dict[str, Any]:
    """An object; or what another project made of one, which is no answer."""
    return {"/search": {"total": 1, "objectIDs": [1]}, "/objects/1": part}


def commons(part: Any) -> dict[str, Any]:
    """A whole answer, a page of one, or the description of a page's file."""
    if "query" in part:
        return {"/commons": {"query": part["query"]}}
    page = part if part.keys() & {"imageinfo", "title"} else {"imageinfo": [part]}
    return {"/commons": {"query": {"pages": {"1": {"title": "File:One.jpg"} | page}}}}


# what a recording's name begins with -> its source, and the answers that it makes
READERS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "clevelandmuseum": ("cleveland", cleveland),
    "europeana": ("europeana", europeana),
    "metropolitan": ("met", met),
    "wikimedia": ("commons", commons),
}


# recording -> its pictures, where it has any
PICTURES = {
    "clevelandmuseum_complete_data": 1,
    "clevelandmuseum_expected_batch_data": 1,
    "clevelandmuseum_handle_response_data": 100,
    "clevelandmuseum_image_type_full": 1,
    "clevelandmuseum_image_type_print": 1,
    "clevelandmuseum_image_type_web": 1,
    "clevelandmuseum_response_success": 1,
    "europeana_europeana_example": 27,
    "europeana_europeana_image_list": 27,
    "europeana_image_data_example": 1,
    "europeana_image_data_sub_provider_example": 1,
    "metropolitan_museum_of_art_sample_response": 3,
    "metropolitan_museum_of_art_sample_response_without_additional": 1,
    "wikimedia_continuation_page_44672185_left": 1,
    "wikimedia_continuation_page_44672210_left": 1,
    "wikimedia_continuation_page_44672212_left": 1,
    "wikimedia_continuation_page_44672212_merged": 1,
    "wikimedia_continuation_wmc_continue_max_iter": 9,
    "wikimedia_continuation_wmc_pretty1": 9,
    "wikimedia_continuation_wmc_pretty123": 9,
    "wikimedia_continuation_wmc_pretty1plus2": 9,
    "wikimedia_continuation_wmc_pretty4": 50,
    "wikimedia_continuation_wmc_pretty_nocontinue": 28,
    "wikimedia_continuation_wmc_raw": 28,
    "wikimedia_image_data_example": 1,
    "wikimedia_image_data_minimal": 1,
    "wikimedia_image_data_missing_foreign_url": 1,
    "wikimedia_image_info_from_example_data": 1,
    "wikimedia_image_info_missing_license_url": 1,
    "wikimedia_response_large_0": 1,
    "wikimedia_response_large_1": 2,
}


@needs_recordings
@pytest.mark.parametrize("name", RAW)
def test_a_recording_gives_the_pictures_that_it_has(
    name: str, site: Site, web: Web, settings: ScraperSettings
) -> None:
    source, answers_of = READERS[name.partition("_")[0]]
    for path, answer in answers_of(recorded_raw(name)).items():
        site.answer(path, answer)
    pictures = list(make(source, site, web, settings).search(CONCEPT, MANY))
    for picture in pictures:
        check(picture)
    assert len(pictures) == PICTURES.get(name, 0)
