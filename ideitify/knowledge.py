"""The knowledge base: one Markdown file with YAML front matter per deity in `knowledge/`.

Everything that names a deity anywhere in the project (taxonomy, app pages, search terms for the
scraper) is read from these files; to add a deity, add one file.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, ValidationError

KNOWLEDGE_FOLDER = Path(__file__).resolve().parent.parent / "knowledge"

SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
LanguageTag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class KnowledgeError(ValueError):
    """An entry is missing or does not follow the schema; the message names the file and field."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Relation(_Strict):
    """A family or companion tie to another entry."""

    deity: Slug
    relation: Text = Field(description='reads as "<name> is <relation> <other>", e.g. "son of"')


class LookFor(_Strict):
    """What a viewer can check in the picture; each item is one short phrase."""

    attributes: list[Text] = []
    posture: list[Text] = []
    mount: list[Text] = []
    colours: list[Text] = []

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:  # type: ignore[override]
        """Yield (aspect, phrases) for every aspect that has phrases."""
        return (
            (aspect, getattr(self, aspect))
            for aspect in type(self).model_fields
            if getattr(self, aspect)
        )


class LookAlike(_Strict):
    """An entry that this one is often confused with."""

    deity: Slug
    how_to_tell: Text


class Festival(_Strict):
    name: Text
    when: Text = Field(
        description="month and day in its own calendar, and roughly in the civil one"
    )
    what: Text


class Source(_Strict):
    """Where the entry's facts can be checked."""

    title: Text
    author: Text | None = None
    publisher: Text | None = None
    year: int | None = None
    url: HttpUrl | None = None


class SearchTerms(_Strict):
    """How to find pictures: phrases per language and concept URIs (Wikidata, AAT, Iconclass)."""

    terms: dict[LanguageTag, list[Text]] = Field(min_length=1)
    concepts: list[HttpUrl] = []
    commons_category: Text | None = None


class Entry(_Strict):
    """One deity, sacred figure, group of figures, or the `none` class."""

    slug: Slug
    name: Text
    kind: Literal["deity", "figure", "group", "none"] = Field(
        description="`figure`: a revered person such as a saint; `group`: not identified further"
    )
    brief: bool = Field(False, description="a short entry: signs, sources and a few sentences")
    names: dict[LanguageTag, Text] = {}
    also_known_as: list[Text] = []
    tradition: Text | None = None
    family: Text | None = Field(None, description="the circle within the tradition")
    form_of: Slug | None = None
    relations: list[Relation] = []
    regions: list[Text] = []
    domain: list[Text] = []
    look_for: LookFor = LookFor()
    confused_with: list[LookAlike] = []
    festivals: list[Festival] = []
    sacred_places: list[Text] = []
    care: list[Text] = []
    sources: list[Source] = Field(min_length=2)
    search: SearchTerms
    wikidata: Annotated[str, StringConstraints(pattern=r"^Q[1-9]\d*$")] | None = None
    body: Text

    def all_names(self) -> list[str]:
        """Every name in every script, the main one first, without repeats."""
        return list(dict.fromkeys([self.name, *self.also_known_as, *self.names.values()]))

    def linked_slugs(self) -> set[str]:
        """Slugs of other entries that this one mentions in its fields."""
        links = {relation.deity for relation in self.relations}
        links |= {look_alike.deity for look_alike in self.confused_with}
        return links | ({self.form_of} if self.form_of else set())


def parse_entry(slug: str, text: str) -> Entry:
    """Parse one knowledge file.

    Args:
        slug: the file's name without `.md`; it is the entry's identity.
        text: the file's content, YAML front matter and a Markdown body.

    Raises:
        KnowledgeError: the YAML does not parse or a field is missing, unknown or malformed.
    """
    import frontmatter  # slow to import, and recognising needs no entry
    import yaml

    try:
        document = frontmatter.loads(text)
        return Entry(slug=slug, body=document.content, **document.metadata)
    except yaml.YAMLError as error:
        raise KnowledgeError(f"{slug}.md: the front matter is not valid YAML: {error}") from error
    except (ValidationError, TypeError) as error:
        raise KnowledgeError(f"{slug}.md does not follow the schema: {error}") from error


def load_entries(folder: Path = KNOWLEDGE_FOLDER) -> Mapping[str, Entry]:
    """Read every entry in `folder`, sorted by slug.

    Raises:
        KnowledgeError: the folder is missing, an entry is malformed, or it links to a slug that
            has no file.
    """
    if not folder.is_dir():
        raise KnowledgeError(f"no knowledge folder at {folder}")
    entries = {
        path.stem: parse_entry(path.stem, _text_of(path)) for path in sorted(folder.glob("*.md"))
    }
    for entry in entries.values():
        for missing in sorted(entry.linked_slugs() - entries.keys()):
            raise KnowledgeError(f"{entry.slug}.md links to {missing!r}, which has no file")
    return entries


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path.name} is not UTF-8 ({error}); save it as UTF-8") from error


@cache
def knowledge() -> Mapping[str, Entry]:
    """The entries that ship with the project, read once per process."""
    return load_entries()


def traditions(entries: Mapping[str, Entry] | None = None) -> list[str]:
    """The traditions that entries name, sorted; an entry of a new one adds it."""
    known = (entry.tradition for entry in (knowledge() if entries is None else entries).values())
    return sorted({tradition for tradition in known if tradition})


def regions(entries: Mapping[str, Entry] | None = None) -> list[str]:
    """The regions that entries name, sorted; an entry of a new one adds it."""
    named = (knowledge() if entries is None else entries).values()
    return sorted({region for entry in named for region in entry.regions})


def find_entry(slug: str) -> Entry:
    """Return the entry of `slug`.

    Raises:
        KnowledgeError: no such entry; the message says how to add one.
    """
    try:
        return knowledge()[slug]
    except KeyError:
        raise KnowledgeError(
            f"no entry for {slug!r}: add knowledge/{slug}.md (knowledge/ganesha.md is an example)"
        ) from None


def has_entry(slug: str) -> bool:
    """Whether `slug` has a file among the entries that ship; none is read."""
    return slug in _slugs()


@cache
def _slugs() -> frozenset[str]:
    return frozenset(path.stem for path in KNOWLEDGE_FOLDER.glob("*.md"))


def fold(text: str) -> str:
    """Casefold and strip diacritics of Latin letters, so that "śiva" finds "Shiva"'s spellings.

    Combining marks of other scripts carry meaning (Devanagari vowels) and stay.
    """
    decomposed = unicodedata.normalize("NFD", text.casefold())
    latin_marks = "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", latin_marks)


def search_entries(query: str, entries: Mapping[str, Entry] | None = None) -> list[Entry]:
    """Entries whose slug or a name in any script contains `query`.

    First those that are named so, then those with a name that begins so, each in order of names.
    """
    entries = knowledge() if entries is None else entries
    needle = fold(query.strip())
    ranked = []
    for entry in entries.values():
        found = [name for name in _folded_names(entry) if needle in name]
        if found:
            rank = 0 if needle in found else min(2 - name.startswith(needle) for name in found)
            ranked.append((rank, entry.name, entry))
    return [entry for *_, entry in sorted(ranked, key=lambda item: item[:2])]


def entry_named(text: str, entries: Mapping[str, Entry] | None = None) -> Entry | None:
    """The entry that `text` names, in any script, with or without accents.

    Its slug or main name counts before what others are also known as ("Nataraja"); None where it
    names nobody, or several ("Saturn").
    """
    entries = knowledge() if entries is None else entries
    if text in entries:
        return entries[text]
    needle = fold(text.strip())
    named = [entry for entry in entries.values() if needle in _folded_names(entry)]
    mainly = [entry for entry in named if needle in {entry.slug, fold(entry.name)}]
    return next((found[0] for found in (mainly, named) if len(found) == 1), None)


def _folded_names(entry: Entry) -> list[str]:
    return [fold(name) for name in (entry.slug, *entry.all_names())]


def close_slugs(query: str) -> list[str]:
    """Slugs of entries that are named or spelt like `query`, in any script; at most five."""
    named = [entry.slug for entry in search_entries(query)] if query.strip() else []
    return named[:5] or difflib.get_close_matches(query.casefold(), knowledge())
