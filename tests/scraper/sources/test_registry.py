"""Sources are found by the names of their modules."""

from __future__ import annotations

import pytest

from scraper.settings import ScraperSettings
from scraper.source import Concept, SourceError, Web
from scraper.sources import (
    default_sources,
    known_source,
    make_source,
    source_class,
    source_names,
)

OURS = {
    "artic",
    "cleveland",
    "commons",
    "europeana",
    "iiif",
    "internet_archive",
    "met",
    "openverse",
    "urls",
    "wikidata",
}
ARGUMENTS = {"iiif": "https://example.org/manifest.json", "urls": "pictures.csv"}


def spec(name: str) -> str:
    return f"{name}={ARGUMENTS[name]}" if name in ARGUMENTS else name


def test_every_module_is_a_source_by_its_own_name() -> None:
    names = source_names()
    assert set(names) >= OURS
    assert [source_class(name).name for name in names] == names


@pytest.mark.parametrize("name", source_names())
def test_a_source_says_what_it_needs_and_notes(
    name: str, web: Web, settings: ScraperSettings
) -> None:
    source = make_source(spec(name), web, settings)
    assert source.name == spec(name)
    assert source.note.endswith(".")
    assert isinstance(source.needs, str)
    assert isinstance(source.by_default, bool)


def test_what_is_on_by_default_needs_a_contact_at_most(web: Web, settings: ScraperSettings) -> None:
    sources = default_sources(web, settings)
    assert {source.name for source in sources} >= {"commons", "wikidata", "met"}
    assert {source.name for source in sources if source.needs} == {"commons", "wikidata"}


@pytest.mark.parametrize("name", ["commons", "wikidata"])
def test_wikimedia_is_not_asked_without_a_contact(
    name: str, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    source = make_source(name, web, settings.model_copy(update={"contact": ""}))
    with pytest.raises(SourceError, match="IDEITIFY_SCRAPER_CONTACT"):
        list(source.search(oshun, 1))


def test_a_name_is_known_without_its_source_being_made() -> None:
    assert [known_source(name) for name in source_names()] == source_names()
    with pytest.raises(SourceError, match=r"there is no source 'comons'; there are artic, "):
        known_source("comons")


def test_an_unknown_source_is_refused_with_the_known_ones(
    web: Web, settings: ScraperSettings
) -> None:
    for name in ("flickr", "__init__", "../evil", "", "commons.py"):
        with pytest.raises(SourceError, match=r"there is no source .*; there are artic, "):
            make_source(name, web, settings)


@pytest.mark.parametrize(
    ("given", "right"),
    [("urls", "urls=FILE.csv"), ("iiif", "iiif=URL"), ("urls=", "urls="), ("met=7", "met")],
)
def test_a_source_told_too_little_or_too_much_is_refused(
    given: str, right: str, web: Web, settings: ScraperSettings
) -> None:
    with pytest.raises(SourceError, match=f"--source {right}"):
        make_source(given, web, settings)
