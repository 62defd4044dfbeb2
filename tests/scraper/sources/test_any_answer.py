"""Whatever an API answers, a source finds pictures or says what is wrong; it never breaks."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as thoroughness
from hypothesis import strategies as st
from pydantic import SecretStr

from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, Source, SourceError, Web
from scraper.sources import make_source
from tests.scraper.sources.site import Site, answers

CONCEPT = Concept("oshun", "Oshun", {"en": ("Oshun statue",)}, wikidata="Q900000")

# source -> where its attributes lead to on the site
ADDRESSES = {
    "commons": {"api": "/commons"},
    "wikidata": {"api": "/wikidata", "commons": "/commons", "sparql": "/sparql"},
    "met": {"api": ""},
    "artic": {"api": ""},
    "cleveland": {"api": "/cleveland"},
    "europeana": {"api": "/europeana"},
    "openverse": {"api": "/openverse"},
    "internet_archive": {"site": ""},
    "iiif": {"url": "/collection2.json"},
}
# source -> what the site answers: path -> (API, name of its answer)
ANSWERS = {
    "commons": {"/commons": ("commons", "first")},
    "wikidata": {
        "/sparql": ("wikidata", "depicting"),
        "/wikidata": ("wikidata", "entities"),
        "/commons": ("commons", "second"),
    },
    "met": {
        "/search": ("met", "search"),
        "/objects/7001": ("met", "work"),
        "/objects/7002": ("met", "reserved"),
        "/objects/7003": ("met", "bare"),
    },
    "artic": {"/artworks/search": ("artic", "first")},
    "cleveland": {"/cleveland": ("cleveland", "first")},
    "europeana": {"/europeana": ("europeana", "first")},
    "openverse": {"/openverse": ("openverse", "first")},
    "internet_archive": {
        "/advancedsearch.php": ("internet_archive", "found"),
        "/metadata/oshun-statue": ("internet_archive", "statue"),
        "/metadata/oshun-album": ("internet_archive", "album"),
    },
    "iiif": {
        "/collection2.json": ("iiif", "collection_2"),
        "/manifest2.json": ("iiif", "manifest_2"),
        "/manifest3.json": ("iiif", "manifest_3"),
        "/image/one/info.json": ("iiif", "service_2"),
        "/image/two/info.json": ("iiif", "service_3"),
    },
}
ODD = [None, "", "x", "https://", "<b>Ọ̀ṣun</b>", 0, -1, 1.5, True, [], {}, [None], [[]], {"a": {}}]


def make(name: str, site: Site, web: Web, settings: ScraperSettings) -> Source:
    with_key = settings.model_copy(update={"europeana_key": SecretStr("our-secret-key")})
    source = make_source("iiif=URL" if name == "iiif" else name, web, with_key)
    for attribute, path in ADDRESSES[name].items():
        assert hasattr(source, attribute)
        setattr(source, attribute, site.url + path)
    return source


def spoil(answer: Any, random: Random) -> Any:
    """The answer with one of its values, at any depth, replaced by something odd."""
    if not answer or not isinstance(answer, (dict, list)):
        return random.choice(ODD)
    key = random.choice(list(answer) if isinstance(answer, dict) else range(len(answer)))
    deeper = isinstance(answer[key], (dict, list)) and random.random() < 0.9
    copy = answer.copy()
    copy[key] = spoil(answer[key], random) if deeper else random.choice(ODD)
    return copy


def check(picture: Found) -> None:
    lengths = {picture.width, picture.height}
    assert all(isinstance(each, str) for each in vars(picture).values() if each not in lengths)
    assert all(each is None or (isinstance(each, int) and each > 0) for each in lengths)
    assert picture.id
    assert picture.url.startswith(("http://", "https://"))
    for link in (picture.page, picture.rights_url):
        assert link.startswith(("http://", "https://")) or not link


@pytest.mark.parametrize("name", ADDRESSES)
def test_our_answers_find_a_picture(
    name: str, site: Site, web: Web, settings: ScraperSettings
) -> None:
    for path, (api, answer) in ANSWERS[name].items():
        site.answer(path, answers(api)[answer])
    (picture,) = make(name, site, web, settings).search(CONCEPT, 1)
    check(picture)


@pytest.mark.parametrize("name", ADDRESSES)
@thoroughness(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False), times=st.integers(1, 4))
def test_spoilt_answers_find_sound_pictures_or_end_with_an_error(
    name: str, site: Site, web: Web, settings: ScraperSettings, random: Random, times: int
) -> None:
    site.forget()
    for path, (api, answer) in ANSWERS[name].items():
        body = answers(api)[answer]
        for _ in range(times):
            body = spoil(body, random)
        site.answer(path, body)
    found = make(name, site, web, settings).search(CONCEPT, 20)
    while True:
        try:
            check(next(found))
        except (StopIteration, SourceError):
            break
    assert len(site.requests) < 100
