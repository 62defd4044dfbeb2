"""`new` drafts an entry that follows the schema, never over one that is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ideitify.knowledge import Entry, KnowledgeError, parse_entry
from scraper.draft import Draft, DraftError, new_entry
from scraper.settings import ScraperSettings
from scraper.source import Concept, Web
from scraper.web import PoliteWeb
from tests.scraper.sources.site import BLOCK_PAGE, Site, needs_recordings, recorded, serve

API = "/w/api.php"
QUICK = ScraperSettings(host_delay=0, host_delays={}, host_concurrency=0, retries=0)

RIVER = """---
name: River Mother
kind: deity
names: {yo: Ìyá Odò, pt: Mãe do Rio}
sources: [{title: One}, {title: Two}]
search: {terms: {en: [river mother]}}
wikidata: Q900010
---
An invented entry.
"""


def item(number: str) -> dict[str, Any]:
    return {"datavalue": {"value": {"entity-type": "item", "id": number}}}


def claim(value: dict[str, Any], rank: str = "normal") -> dict[str, Any]:
    return {"mainsnak": {"snaktype": "value", **value}, "type": "statement", "rank": rank}


def label(language: str, text: str) -> dict[str, str]:
    return {"language": language, "value": text}


OSHUN = {
    "type": "item",
    "id": "Q900000",
    "labels": {
        tag: label(tag, text)
        for tag, text in {
            "en": "Oshun",
            "yo": "Ọ̀ṣun",
            "pt": "Oxum",
            "de": "Oschun",  # in no entry of this knowledge base
            "mul": "Oshun",
            "es-formal-variant": "Ochún",
        }.items()
    },
    "descriptions": {"en": label("en", "a river goddess")},
    "aliases": {"en": [label("en", "Ochun"), label("en", "Oxum: the gold")]},
    "claims": {
        "P21": [claim(item("Q6581072"))],
        "P22": [claim(item("Q900011"))],
        "P25": [claim(item("Q900010"))],
        "P26": [claim(item("Q900012"), rank="deprecated")],
        "P31": [claim(item("Q178885"))],
        "P140": [claim(item("Q900020"))],
        "P373": [claim({"datavalue": {"value": "Oshun (goddess)", "type": "string"}})],
        "P40": [{"mainsnak": {"snaktype": "somevalue"}, "rank": "normal"}],
    },
}
RELATED = {
    "Q900010": {"labels": {"en": label("en", "River Mother")}},
    "Q900011": {"labels": {"en": label("en", "Sky Father")}},
    "Q900020": {"labels": {"en": label("en", "hinduism")}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "river-mother.md").write_text(RIVER, encoding="utf-8")
    return tmp_path


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        site.answer(API, {"entities": {"Q900000": OSHUN}}, ids="Q900000")
        site.answer(API, {"entities": RELATED}, ids="Q900020|Q900011|Q900010")
        yield site


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with PoliteWeb(QUICK, allow_private=True) as web:
        yield web


def read(draft: Draft) -> Entry:
    return parse_entry(draft.path.stem, draft.path.read_text(encoding="utf-8"))


def test_names_relatives_and_category_come_from_wikidata(
    folder: Path, site: Site, web: Web
) -> None:
    draft = new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)
    entry = read(draft)
    assert draft.path == folder / "oshun.md"
    assert (entry.name, entry.kind, entry.wikidata) == ("Oshun", "deity", "Q900000")
    assert entry.names == {"yo": "Ọ̀ṣun", "pt": "Oxum"}, "the languages of the other entries"
    assert entry.also_known_as == ["Ochun", "Oxum: the gold"]
    assert entry.tradition == "Hinduism"
    assert [(tie.deity, tie.relation) for tie in entry.relations] == [
        ("river-mother", "daughter of")
    ]
    assert entry.search.commons_category == "Oshun (goddess)"
    assert any("daughter of Sky Father (Q900011)" in each for each in draft.to_do)
    assert not any("Q900012" in each for each in draft.to_do)


def test_a_draft_can_be_searched_for_at_once(folder: Path, site: Site, web: Web) -> None:
    draft = new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)
    concept = Concept.of(read(draft))
    assert concept.terms["en"][0] == "Oshun statue"
    assert concept.terms["yo"] == ("Ọ̀ṣun",)
    assert concept.wikidata == "Q900000"


def test_a_draft_says_what_is_to_do_in_its_first_lines(folder: Path, site: Site, web: Web) -> None:
    draft = new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)
    lines = draft.path.read_text(encoding="utf-8").splitlines()
    assert lines[1] == "# To do:"
    assert [line.removeprefix("#  - ") for line in lines[2 : 2 + len(draft.to_do)]] == draft.to_do
    assert any("sources" in each for each in draft.to_do)


def test_the_language_of_a_native_label_is_kept(folder: Path, site: Site, web: Web) -> None:
    native = claim({"datavalue": {"value": {"text": "Oschun", "language": "de"}}})
    claims = {"P1705": [native], "P31": [claim(item("Q5"))]}
    site.answer(API, {"entities": {"Q900000": OSHUN | {"claims": claims}}}, ids="Q900000")
    draft = new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)
    assert read(draft).names["de"] == "Oschun"
    assert read(draft).kind == "figure", "who was a human being"


def test_a_name_alone_is_enough(folder: Path) -> None:
    draft = new_entry("oshun", name="  Oshun  of Osogbo ", folder=folder)
    entry = read(draft)
    assert entry.name == "Oshun of Osogbo"
    assert entry.wikidata is None
    assert entry.search.terms == {
        "en": ["Oshun of Osogbo statue", "Oshun of Osogbo sculpture", "Oshun of Osogbo painting"]
    }


def test_the_name_given_outranks_wikidatas(folder: Path, site: Site, web: Web) -> None:
    draft = new_entry(
        "oshun", name="Osun", wikidata="Q900000", web=web, folder=folder, api=site.url + API
    )
    assert read(draft).name == "Osun"


def test_without_wikidata_in_reach_a_name_is_enough(folder: Path, site: Site, web: Web) -> None:
    site.answer(API, BLOCK_PAGE, ids="Q900000")
    options: dict[str, Any] = {"web": web, "folder": folder, "api": site.url + API}
    with pytest.raises(DraftError, match="Give --name"):
        new_entry("oshun", wikidata="Q900000", **options)
    assert not (folder / "oshun.md").exists()
    draft = new_entry("oshun", name="Oshun", wikidata="Q900000", **options)
    assert read(draft).wikidata == "Q900000"
    assert "by hand" in draft.to_do[0]


def test_an_item_that_is_not_there(folder: Path, site: Site, web: Web) -> None:
    site.answer(API, {"entities": {"Q900000": {"id": "Q900000", "missing": ""}}}, ids="Q900000")
    with pytest.raises(DraftError, match="Wikidata has no item Q900000"):
        new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)


def test_what_is_there_is_never_touched(folder: Path) -> None:
    with pytest.raises(DraftError, match="there already"):
        new_entry("river-mother", name="Another", folder=folder)
    assert (folder / "river-mother.md").read_text(encoding="utf-8") == RIVER
    (folder / "dangling.md").symlink_to(folder / "nowhere.md")
    with pytest.raises(DraftError, match="there already"):
        new_entry("dangling", name="Dangling", folder=folder)
    assert not (folder / "nowhere.md").exists()


@pytest.mark.parametrize("slug", ["", "Oshun", "../oshun", "oshun.md", "ọ̀ṣun", "a b", "a\n"])
def test_a_slug_is_small_letters_digits_and_hyphens(slug: str, folder: Path) -> None:
    with pytest.raises(DraftError, match="is no slug"):
        new_entry(slug, name="Oshun", folder=folder)
    assert [path.name for path in folder.iterdir()] == ["river-mother.md"]


def test_neither_a_name_nor_an_item(folder: Path) -> None:
    with pytest.raises(DraftError, match="give --name"):
        new_entry("oshun", folder=folder)


@pytest.mark.parametrize("number", ["oshun", "Q", "Q0", "P31", "Q1|Q2", "Q1\n"])
def test_an_item_is_written_as_such(number: str, folder: Path) -> None:
    with pytest.raises(DraftError, match="is no Wikidata item"):
        new_entry("oshun", name="Oshun", wikidata=number, folder=folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DraftError, match="cannot be written: No such file"):
        new_entry("oshun", name="Oshun", folder=tmp_path / "nowhere")


def test_a_malformed_entry_beside_it_is_named(folder: Path, site: Site, web: Web) -> None:
    (folder / "broken.md").write_text("no front matter", encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"broken\.md"):
        new_entry("oshun", wikidata="Q900000", web=web, folder=folder, api=site.url + API)


@given(name=st.text(min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_makes_an_entry_of_that_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "any.md"
    path.unlink(missing_ok=True)
    words = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if not words:
        with pytest.raises(DraftError, match="give --name"):
            new_entry("any", name=name, folder=tmp_path)
        return
    assert read(new_entry("any", name=name, folder=tmp_path)).name == words
    assert [each.name for each in tmp_path.iterdir()] == ["any.md"]


@needs_recordings
def test_a_recorded_item(folder: Path, site: Site, web: Web) -> None:
    answer = recorded("wikidata")["wbgetentities"]
    site.answer(API, answer, ids="Q217447")
    draft = new_entry("verla", wikidata="Q217447", web=web, folder=folder, api=site.url + API)
    assert read(draft).name == "Verla"
