"""A new class: the draft of a knowledge entry, to be completed by hand.

A draft follows the schema, so that pictures can be looked for at once; what it lacks stands in
comments at its top, and the tests of the knowledge base fail until it is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ideitify.knowledge import (
    KNOWLEDGE_FOLDER,
    SLUG_PATTERN,
    Entry,
    load_entries,
    parse_entry,
    traditions,
)
from scraper.answers import at, entries, expect, plain_text
from scraper.source import SourceError, Web

API = "https://www.wikidata.org/w/api.php"

_MOST_ALIASES = 10
_PERSON = "Q5"  # "instance of" a human being: a saint, a teacher
_TO_DO = "To do"
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

# property -> how the relation reads, by the gender of whom the entry is about
_RELATIONS = {
    "P22": ("son of", "daughter of", "child of"),
    "P25": ("son of", "daughter of", "child of"),
    "P40": ("father of", "mother of", "parent of"),
    "P26": ("consort of", "consort of", "consort of"),
    "P3373": ("brother of", "sister of", "sibling of"),
}
_GENDERS = {"Q6581097": 0, "Q6581072": 1}


class DraftError(ValueError):
    """No draft can be written; the message says why and what to do."""


@dataclass(frozen=True)
class Draft:
    """A draft that was written.

    Attributes:
        to_do: what a person has to add or check, one phrase each.
    """

    path: Path
    to_do: list[str]


@dataclass
class _Facts:
    """What is known of a deity, as the front matter of an entry says it."""

    name: str = ""
    kind: str = "deity"
    names: dict[str, str] = field(default_factory=dict)
    also_known_as: list[str] = field(default_factory=list)
    tradition: str | None = None
    relations: list[dict[str, str]] = field(default_factory=list)
    relatives: list[str] = field(default_factory=list)  # without an entry of their own
    commons_category: str | None = None
    wikidata: str | None = None
    description: str = ""


def new_entry(
    slug: str,
    *,
    name: str = "",
    wikidata: str = "",
    web: Web | None = None,
    folder: Path = KNOWLEDGE_FOLDER,
    api: str = API,
) -> Draft:
    """Write `<folder>/<slug>.md`; a file that is there is never touched.

    Args:
        name: in English; by default Wikidata's.
        wikidata: the item to take names, relatives and the Commons category from, `Q4115189`.
            Where Wikidata cannot be reached, the draft is written without if there is a name.
        web: needed with `wikidata` only.

    Raises:
        DraftError: the slug is not one or is taken, or there is neither a name nor an item.
        KnowledgeError: an entry that is there already is malformed.
    """
    path = folder / f"{slug}.md"
    _check(slug, path, wikidata)
    name = _on_one_line(name)
    facts, to_do = _Facts(), []
    if wikidata and web:
        try:
            facts = _ask(web, api, wikidata, load_entries(folder))
        except SourceError as error:
            if not name:
                raise DraftError(f"{error} Give --name to draft without Wikidata.") from error
            to_do.append(f"names, relatives and Commons category by hand: {error}")
    facts.name = name or facts.name
    facts.wikidata = wikidata or None
    if not facts.name:
        raise DraftError("there is no name for the entry: give --name")
    to_do += _what_is_missing(facts)
    text = _text(facts, to_do)
    parse_entry(slug, text)
    _write(path, text)
    return Draft(path, to_do)


def _check(slug: str, path: Path, wikidata: str) -> None:
    if not re.fullmatch(SLUG_PATTERN, slug):
        raise DraftError(
            f"{slug!r} is no slug: use letters a-z, digits and hyphens (radha-krishna)"
        )
    if path.exists():
        raise DraftError(f"{path} is there already: edit it")
    if wikidata and not re.fullmatch(r"Q[1-9]\d*", wikidata):
        raise DraftError(f"{wikidata!r} is no Wikidata item: they are written like Q4115189")


def _ask(web: Web, api: str, item: str, known: Mapping[str, Entry]) -> _Facts:
    """What Wikidata knows of an item."""
    entity = _entities(web, api, [item]).get(item)
    claims = at(entity, "claims")
    if claims is None:
        raise SourceError(f"Wikidata has no item {item}.")
    labels = _texts(at(entity, "labels"))
    facts = _Facts(
        name=labels.get("en") or labels.get("mul") or next(iter(labels.values()), ""),
        kind="figure" if _PERSON in _items(claims, "P31") else "deity",
        description=_texts(at(entity, "descriptions")).get("en", ""),
        commons_category=next(iter(_values(claims, "P373")), None),
    )
    native = {plain_text(at(value, "language")) for value in _values(claims, "P1705")}
    wanted = {tag for entry in known.values() for tag in entry.names} | native
    facts.names = {
        tag: label
        for tag, label in labels.items()
        if tag in wanted - {"en", "mul"} and _LANGUAGE.fullmatch(tag)
    }
    aliases = [plain_text(at(alias, "value")) for alias in entries(at(entity, "aliases", "en"))]
    facts.also_known_as = [alias for alias in aliases if alias][:_MOST_ALIASES]
    _relate(facts, claims, web, api, known)
    return facts


def _relate(facts: _Facts, claims: Any, web: Web, api: str, known: Mapping[str, Entry]) -> None:
    """Add the tradition and the relatives: as relations where they have an entry, else by name."""
    gender = next((_GENDERS[item] for item in _items(claims, "P21") if item in _GENDERS), 2)
    related = [
        (_RELATIONS[key][gender], item) for key in _RELATIONS for item in _items(claims, key)
    ]
    religions = _items(claims, "P140")
    asked = list(dict.fromkeys([*religions, *(item for _, item in related)]))[:50]
    found = _entities(web, api, asked) if asked else {}
    names = {item: _texts(at(found, item, "labels")).get("en", item) for item in asked}
    slugs = {entry.wikidata: slug for slug, entry in known.items() if entry.wikidata}
    for relation, item in related:
        if item in slugs:
            facts.relations.append({"deity": slugs[item], "relation": relation})
        else:
            facts.relatives.append(f"{relation} {names.get(item, item)} ({item})")
    written = {tradition.casefold(): tradition for tradition in traditions()}
    labels = [names[item] for item in religions if names.get(item, item) != item]
    matching = (written[label.casefold()] for label in labels if label.casefold() in written)
    facts.tradition = next(matching, next(iter(labels), None))


def _entities(web: Web, api: str, items: list[str]) -> Mapping[str, Any]:
    request = {
        "action": "wbgetentities",
        "format": "json",
        "ids": "|".join(items),
        "props": "labels|aliases|descriptions|claims",
    }
    found = expect(web.json(api, request), "entities", "Wikidata")
    return found if isinstance(found, Mapping) else {}


def _texts(by_language: Any) -> dict[str, str]:
    """Labels or descriptions by language tag."""
    if not isinstance(by_language, Mapping):
        return {}
    texts = {str(tag): plain_text(at(text, "value")) for tag, text in by_language.items()}
    return {tag: text for tag, text in texts.items() if text}


def _values(claims: Any, key: str) -> list[Any]:
    """The values of a property, without those that are out of date or unknown."""
    statements = [each for each in entries(at(claims, key)) if at(each, "rank") != "deprecated"]
    values = (at(statement, "mainsnak", "datavalue", "value") for statement in statements)
    return [value for value in values if value]


def _items(claims: Any, key: str) -> list[str]:
    return [str(at(value, "id")) for value in _values(claims, key) if at(value, "id")]


def _what_is_missing(facts: _Facts) -> list[str]:
    fields = ["family", "regions", "domain", "festivals", "sacred_places", "care"]
    relatives = [
        f"{facts.name} is {each}: add an entry, or leave it out" for each in facts.relatives
    ]
    return [
        "two or more sources that others can check, instead of those below",
        f"{'' if facts.tradition else 'tradition, '}{', '.join(fields)}",
        "look_for: what a viewer can check in a picture",
        "confused_with: look-alikes, and how to tell",
        "search terms: those that people use, in every language and script",
        *(["names and aliases: check those from Wikidata"] if facts.wikidata else []),
        *relatives,
        "the text: 150 to 300 words",
    ]


def _text(facts: _Facts, to_do: list[str]) -> str:
    """The file: what is known as front matter, what is to do as comments, a stub of a text."""
    forms = [f"{facts.name} {form}" for form in ("statue", "sculpture", "painting")]
    terms = {"en": forms, **{tag: [name] for tag, name in facts.names.items()}}
    item = f"https://www.wikidata.org/wiki/{facts.wikidata}"
    known = {"title": facts.name, "publisher": "Wikidata", "url": item}
    matter = {
        "name": facts.name,
        "kind": facts.kind,
        "names": facts.names,
        "also_known_as": facts.also_known_as,
        "tradition": facts.tradition,
        "relations": facts.relations,
        "sources": [known if facts.wikidata else {"title": _TO_DO}, {"title": _TO_DO}],
        "search": _filled({"terms": terms, "commons_category": facts.commons_category}),
        "wikidata": facts.wikidata,
    }
    yaml_text = yaml.safe_dump(_filled(matter), allow_unicode=True, sort_keys=False, width=1000)
    comments = "".join(f"#  - {_on_one_line(each)}\n" for each in to_do)
    about = f" ({facts.description})" if facts.description else ""
    return f"---\n# {_TO_DO}:\n{comments}{yaml_text}---\n\n{_TO_DO}: tell of {facts.name}{about}.\n"


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _on_one_line(text: str) -> str:
    """Text without line breaks and other characters that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, and only if there is none."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        path.hardlink_to(partial)  # fails where a file came up meanwhile
    except FileExistsError as error:
        raise DraftError(f"{path} is there already: edit it") from error
    except OSError as error:
        raise DraftError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
