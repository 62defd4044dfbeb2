"""What several sources do alike: different pictures up to a limit, views last, patience."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from scraper.source import Concept, Found, SourceError, Web

# The longest side asked for where a server scales pictures: several times what the model sees, so
# that cropping leaves enough, and a tenth of the bytes of a museum's original.
PICTURE_SIDE = 1280  # one of the widths that Wikimedia keeps ready

_FAILURES_IN_A_ROW = 3
_OPERATORS = re.compile(r'[-+&|!(){}\[\]^"~*?:\\/]')  # of Lucene's query language


def without_operators(phrase: str) -> str:
    """A phrase of which a Lucene search takes every word as a word."""
    return _OPERATORS.sub(" ", phrase)


def first_different(found: Iterable[Found], limit: int) -> Iterator[Found]:
    """The first `limit` pictures that differ in id and address; no more is read than needed."""
    if limit < 1:
        return
    ids, urls = set(), set()
    for picture in found:
        if not picture.id or not _is_web_address(picture.url):
            continue
        if picture.id in ids or picture.url in urls:
            continue
        yield picture
        ids.add(picture.id)
        urls.add(picture.url)
        if len(ids) == limit:
            return


def views_last(objects: Iterable[list[Found]]) -> Iterator[Found]:
    """One picture of every object, then the further views: different objects teach more."""
    views = []
    for pictures in objects:
        yield from pictures[:1]
        views += pictures[1:]
    yield from views


def each_answer(web: Web, urls: Iterable[str]) -> Iterator[Any]:
    """Ask for one record after the other; those that cannot be had are left out.

    Raises:
        SourceError: several in a row failed; then it is not the records.
    """
    failures = 0
    for url in urls:
        try:
            answer = web.json(url)
        except SourceError:
            failures += 1
            if failures == _FAILURES_IN_A_ROW:
                raise
            continue
        failures = 0
        yield answer


def phrases_in(concept: Concept, language: str) -> list[str]:
    """Search phrases for a catalogue in one language; all there are where none is in it."""
    phrases = [phrase for tag, phrase in concept.phrases() if tag.split("-")[0] == language]
    return list(dict.fromkeys(phrases)) or all_phrases(concept)


def all_phrases(concept: Concept) -> list[str]:
    """Search phrases in all languages, each once."""
    return list(dict.fromkeys(phrase for _, phrase in concept.phrases()))


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
