"""Which classes, sources and pictures the options mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from scraper.options import ALL, LicensePolicy
from scraper.terminal import refuse

if TYPE_CHECKING:
    from scraper.download import Wanted
    from scraper.source import Concept


def chosen_concepts(classes: Sequence[str], tradition: str | None) -> list[Concept]:
    """What to search for: the vocabulary of the chosen entries."""
    from ideitify.knowledge import knowledge
    from scraper.source import Concept

    slugs = chosen_slugs(classes, tradition)
    if not slugs and ALL not in classes:
        refuse(f"say which classes: --class SLUG, --tradition NAME, or --class {ALL}")
    entries = knowledge()
    return [Concept.of(entries[slug]) for slug in slugs or entries]


def slugs_of(concepts: Sequence[Concept]) -> tuple[str, ...]:
    """In their order."""
    return tuple(concept.slug for concept in concepts)


def plain_names(sources: Sequence[str]) -> tuple[str, ...]:
    """Names of sources, without what they are told to read; unknown ones are refused."""
    from scraper.ledger.records import plain_name
    from scraper.sources import known_source

    return tuple(known_source(plain_name(source)) for source in sources)


def chosen_slugs(classes: Sequence[str], tradition: str | None) -> tuple[str, ...]:
    """Slugs of the chosen classes; none if all are."""
    from ideitify.knowledge import knowledge

    if ALL in classes or (not classes and tradition is None):
        return ()
    entries = knowledge()
    for slug in classes:
        if slug not in entries:
            refuse(_how_to_add(slug))
    chosen = dict.fromkeys(classes)
    if tradition is not None:
        wanted = tradition.casefold()
        members = [e.slug for e in entries.values() if (e.tradition or "").casefold() == wanted]
        if not members:
            known = ", ".join(sorted({e.tradition for e in entries.values() if e.tradition}))
            refuse(f"no class is of the tradition {tradition!r}: there are {known}")
        chosen |= dict.fromkeys(members)
    return tuple(chosen)


def _how_to_add(asked: str) -> str:
    from ideitify.knowledge import close_slugs

    close = close_slugs(asked)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    slug = re.sub(r"[^a-z0-9]+", "-", asked.casefold()).strip("-") or "slug"
    name = slug.replace("-", " ").title()
    return (
        f"there is no entry for {asked!r}, so nothing says what to search for.{meant}\n"
        "To add it, have a draft written and complete it; knowledge/ganesha.md is an example:\n"
        f'  python -m scraper new {slug} --name "{name}"'
    )


def wanted_of(
    classes: tuple[str, ...],
    sources: tuple[str, ...],
    policy: LicensePolicy,
    limit: int,
    again: bool,
) -> Wanted:
    """What to download, with the rights that the policy asks for."""
    from ideitify.licenses import License, Permits, allowed
    from scraper.download import Wanted
    from scraper.ledger.records import Selection

    permits = {p for p in get_args(Permits) if allowed(License("", "", p), policy.value)}
    return Wanted(Selection(classes, sources), permits, limit, again)
