"""What a source is: one small interface, and the two things that cross it.

A source turns a `Concept` into `Found` pictures. It knows one site's requests, paging and licence
field, and nothing of politeness, retries, licences' meaning or storage: `web` asks for it, and
whoever called it normalises and records what it yields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ideitify.knowledge import Entry


class SourceError(RuntimeError):
    """A source cannot go on; the message says which step failed and what its user can do."""


@dataclass(frozen=True)
class Concept:
    """What to look for: the search vocabulary of one knowledge entry.

    Attributes:
        terms: phrases per language tag, the best first.
        uris: concept URIs (Wikidata, AAT, Iconclass, SKOS).
    """

    slug: str
    name: str
    terms: Mapping[str, tuple[str, ...]]
    uris: tuple[str, ...] = ()
    commons_category: str | None = None
    wikidata: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Concept:
        """The vocabulary of an entry; its verified Wikidata item counts as a concept URI too."""
        item = f"http://www.wikidata.org/entity/{entry.wikidata}" if entry.wikidata else None
        uris = dict.fromkeys([*([item] if item else []), *map(str, entry.search.concepts)])
        return cls(
            slug=entry.slug,
            name=entry.name,
            terms={language: tuple(phrases) for language, phrases in entry.search.terms.items()},
            uris=tuple(uris),
            commons_category=entry.search.commons_category,
            wikidata=entry.wikidata,
        )

    def phrases(self) -> list[tuple[str, str]]:
        """(language, phrase) pairs: every language's best first, then every second best, ..."""
        depth = max(map(len, self.terms.values()), default=0)
        return [
            (language, phrases[rank])
            for rank in range(depth)
            for language, phrases in self.terms.items()
            if rank < len(phrases)
        ]


@dataclass(frozen=True)
class Found:
    """One picture at a source, before anything of it is downloaded.

    Attributes:
        url: of the picture's bytes, as large as the source gives it.
        id: stable within the source; the same picture found by two queries has the same.
        page: where a person sees the picture with its rights.
        rights, rights_url: as the source words them; `ideitify.licenses` says what they mean.
        query: the phrase, category or URI that found it.
        skos_concept: the concept URI asked for, where it was asked by one.
        width, height: in pixels, where the source says so.
    """

    source: str
    id: str
    url: str
    page: str = ""
    title: str = ""
    creator: str = ""
    rights: str = ""
    rights_url: str = ""
    query: str = ""
    skos_concept: str = ""
    width: int | None = None
    height: int | None = None


class Web(Protocol):
    """How a source reaches the web: politely, with retries; implemented in `scraper.web`."""

    def json(self, url: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET and parse JSON.

        Raises:
            SourceError: refused, unreachable after retries, or not JSON (an HTML block page with
                status 200, say); the message names the host and what came instead.
        """
        ...


class Source(Protocol):
    """One place to find pictures.

    Attributes:
        name: as given to `--source`.
        needs: what it cannot work without, one sentence, or "" ("IDEITIFY_SCRAPER_EUROPEANA_KEY").
        note: terms, rights and limits, one or two sentences for `python -m scraper sources`.
        by_default: whether it is switched on when no `--source` is given.
    """

    name: str
    needs: str
    note: str
    by_default: bool

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """Yield at most `limit` different pictures of `concept`, the likeliest first.

        Raises:
            SourceError: see there; what was yielded before stays good.
        """
        ...
