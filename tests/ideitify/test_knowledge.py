"""Every entry is complete and linked, is found under any of its names, and bad ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ideitify import Entry, KnowledgeError, find_entry, knowledge, search_entries
from ideitify.bundle import read_manifest
from ideitify.knowledge import (
    KNOWLEDGE_FOLDER,
    close_slugs,
    entry_named,
    fold,
    has_entry,
    load_entries,
    parse_entry,
    regions,
)
from ideitify.settings import PROJECT_FOLDER

SLUGS = sorted(path.stem for path in KNOWLEDGE_FOLDER.glob("*.md"))

GOOD = """---
name: Example
kind: deity
sources:
  - {title: One}
  - {title: Two}
search:
  terms:
    en: [example]
---
Body.
"""


def slugs(query: str) -> list[str]:
    return [entry.slug for entry in search_entries(query)]


def test_the_shipped_models_labels_have_entries_and_one_entry_is_none() -> None:
    manifest = read_manifest(PROJECT_FOLDER / "models" / "default")
    assert set(manifest.labels) <= set(knowledge())
    assert len(set(manifest.labels) - set(manifest.prototypes)) == 57, "trained, with `none`"
    assert [slug for slug, entry in knowledge().items() if entry.kind == "none"] == ["none"]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_entry_is_complete(slug: str) -> None:
    entry = find_entry(slug)
    assert entry.slug == slug
    fewest, most = (40, 150) if entry.brief else (150, 300)
    assert fewest <= len(entry.body.split()) <= most, "words in the body"
    assert entry.look_for.attributes, "something to check in the picture"
    assert len(entry.sources) >= 2
    assert entry.search.terms["en"]
    if entry.kind != "none":
        assert entry.tradition
        assert entry.regions
        assert entry.domain


@pytest.mark.parametrize("slug", SLUGS)
def test_what_the_entry_is_confused_with_and_related_to_exists(slug: str) -> None:
    entry = find_entry(slug)
    assert entry.linked_slugs() <= knowledge().keys()
    assert slug not in entry.linked_slugs(), "an entry does not link to itself"


@pytest.mark.parametrize("slug", SLUGS)
def test_the_entry_is_found_by_each_of_its_names(slug: str) -> None:
    for name in find_entry(slug).all_names():
        assert slug in slugs(name), name


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("ganesha", "ganesha"),
        ("GANESHA", "ganesha"),
        ("  Ganesha  ", "ganesha"),
        ("Gaṇeś", "ganesha"),
        ("गणेश", "ganesha"),
        ("शिव", "shiva"),
        ("பிள்ளையார்", "ganesha"),
        ("முருகன்", "murugan"),
        ("Ἀφροδίτη", "aphrodite"),
        ("αφροδιτη", "aphrodite"),
        ("ΑΘΗΝΑ", "athena"),
        ("歓喜天", "ganesha"),
    ],
)
def test_search_in_any_script_and_without_accents(query: str, first: str) -> None:
    assert slugs(query)[0] == first


def test_exact_names_come_before_names_that_begin_so_before_the_rest() -> None:
    names = {"a": "Old Ram", "b": "Rama", "c": "Ram"}
    entries = {
        slug: parse_entry(slug, GOOD.replace("Example", name)) for slug, name in names.items()
    }
    assert [entry.name for entry in search_entries("ram", entries)] == ["Ram", "Rama", "Old Ram"]


def test_search_for_nothing_lists_all_and_for_nonsense_none() -> None:
    assert len(search_entries("")) == len(knowledge())
    assert search_entries("no such god") == []


def test_marks_that_are_vowels_stay() -> None:
    assert fold("शिव") != fold("शव")
    assert fold("Śiva") == "siva"
    assert fold("Ἄρης") == fold("ΑΡΗΣ")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("ganesha", "ganesha"),
        (" GANESHA ", "ganesha"),
        ("गणेश", "ganesha"),
        ("αφροδιτη", "aphrodite"),
        ("Ganapati", "ganesha"),
        ("Kali", "kaali"),
        ("Nataraja", "nataraja"),  # which Shiva is also known as
        ("Saturn", None),  # Kronos or Shani
        ("Ganes", None),
        ("", None),
    ],
)
def test_the_entry_that_a_name_means(text: str, slug: str | None) -> None:
    entry = entry_named(text)
    assert (entry and entry.slug) == slug


def test_a_slug_means_its_entry_whatever_others_are_named() -> None:
    entries = {
        slug: parse_entry(slug, GOOD.replace("Example", name))
        for slug, name in {"ram": "Balarama", "rama": "Ram"}.items()
    }
    assert entry_named("ram", entries) is entries["ram"]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_entry_is_meant_by_its_slug_and_its_name(slug: str) -> None:
    assert entry_named(slug) is find_entry(slug)
    assert entry_named(find_entry(slug).name) is find_entry(slug)


def test_regions_are_those_of_the_entries() -> None:
    india = GOOD.replace("kind: deity", "kind: deity\nregions: [Nepal, India]")
    entries = {"a": parse_entry("a", india), "b": parse_entry("b", GOOD)}
    assert regions(entries) == ["India", "Nepal"]
    assert "India" in regions()


def test_close_slugs_for_what_was_meant() -> None:
    assert close_slugs("ganeshh") == ["ganesha"]
    assert close_slugs("गणेश") == ["ganesha"]
    assert close_slugs("Ganapati") == ["ganesha"]
    assert close_slugs("") == []
    assert len(close_slugs("a")) == 5


@pytest.mark.parametrize(
    "slug", ["", ".", "..", "../README", "GANESHA", "ganesha.md", "a/b", "x\0", "x" * 9999]
)
def test_only_slugs_have_entries(slug: str) -> None:
    assert not has_entry(slug)


def test_a_slug_with_a_file_has_an_entry() -> None:
    assert has_entry("ganesha")
    assert not has_entry("zeus-the-second")


def test_an_unknown_slug_says_how_to_add_it() -> None:
    with pytest.raises(KnowledgeError, match=r"no entry for 'zzz': add knowledge/zzz\.md"):
        find_entry("zzz")


def test_the_shortest_entry() -> None:
    entry = parse_entry("example", GOOD)
    assert (entry.slug, entry.name, entry.body) == ("example", "Example", "Body.")
    assert list(entry.look_for) == []


def test_the_aspects_to_look_for_are_those_that_are_filled() -> None:
    text = GOOD.replace("kind: deity", "kind: deity\nlook_for: {mount: [a mouse], colours: [red]}")
    assert list(parse_entry("x", text).look_for) == [("mount", ["a mouse"]), ("colours", ["red"])]


@pytest.mark.parametrize(
    "text",
    ["---\nname: [\n---\nx", "---\nname: a: b\n---\nx", "---\n!!python/name:os.system\n---\nx"],
)
def test_bad_yaml(text: str) -> None:
    with pytest.raises(KnowledgeError, match=r"^x\.md: the front matter is not valid YAML"):
        parse_entry("x", text)


@pytest.mark.parametrize("field", ["name", "kind", "sources", "search"])
def test_a_missing_field_is_named(field: str) -> None:
    text = GOOD.replace(f"\n{field}:", "\nregions: []\ncare:" if field == "sources" else "\nx:", 1)
    with pytest.raises(KnowledgeError, match=rf"(?s)^x\.md does not follow .*\b{field}\b"):
        parse_entry("x", text)


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ("kind: deity", "kind: deity\nsurprise: 1", "surprise"),
        ("kind: deity", "kind: hero", "kind"),
        ("kind: deity", "kind: deity\ntradition: [Hinduism, Jainism]", "tradition"),
        ("kind: deity", "kind: deity\nslug: other", "slug"),
        ("kind: deity", "kind: deity\nwikidata: Ganesha", "wikidata"),
        ("kind: deity", "kind: deity\nform_of: Not A Slug", "form_of"),
        ("kind: deity", "kind: deity\nnames: {nowhere land: x}", "names"),
        ("kind: deity", "kind: deity\nlook_for: {smell: [roses]}", "look_for.smell"),
        ("  - {title: Two}\n", "", "sources"),
        ("{title: Two}", "{title: Two, url: 'no url'}", "url"),
        ("name: Example", "name: ''", "name"),
        ("Body.", "", "body"),
        ("en: [example]", "en: example", "search.terms.en"),
    ],
)
def test_a_field_that_breaks_the_schema_is_named(good: str, bad: str, named: str) -> None:
    with pytest.raises(KnowledgeError, match=rf"(?s)^x\.md does not follow the schema: .*{named}"):
        parse_entry("x", GOOD.replace(good, bad))


@pytest.mark.parametrize("text", ["", "no front matter", "---\n- a list\n---\nx"])
def test_a_file_without_front_matter(text: str) -> None:
    with pytest.raises(KnowledgeError, match="does not follow the schema"):
        parse_entry("x", text)


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    text = GOOD.replace("kind: deity", "kind: deity\nform_of: nobody")
    (tmp_path / "example.md").write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"example\.md links to 'nobody', which has no file"):
        load_entries(tmp_path)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "example.md").write_bytes(GOOD.replace("Body", "Körper").encode("latin-1"))
    with pytest.raises(KnowledgeError, match=r"example\.md is not UTF-8"):
        load_entries(tmp_path)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "example.md").write_text(GOOD, encoding="utf-8-sig")
    assert load_entries(tmp_path)["example"].name == "Example"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no knowledge folder at .*nowhere"):
        load_entries(tmp_path / "nowhere")


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        find_entry("ganesha").name = "Other"  # type: ignore[misc]


def test_names_do_not_repeat() -> None:
    names = find_entry("ganesha").all_names()
    assert names[0] == "Ganesha"
    assert len(names) == len(set(names))
    assert isinstance(find_entry("ganesha"), Entry)
