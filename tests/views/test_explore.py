from __future__ import annotations

from collections import Counter

import pytest
from streamlit.testing.v1 import AppTest

from ideitify import find_entry, knowledge
from tests.views.conftest import text_of

SHOWN_OF_EACH = 6


@pytest.fixture
def explore(app: AppTest) -> AppTest:
    return app.run().switch_page("explore.py").run()


def cards(app: AppTest) -> list[str]:
    navigation = 3
    return [link.value for link in app.get("page_link")][navigation:]


def test_every_tradition_shows_some_of_its_entries_and_all_at_a_touch(explore: AppTest) -> None:
    sizes = Counter(entry.tradition for entry in knowledge().values() if entry.tradition)
    assert {heading.value.replace("\\", "") for heading in explore.subheader} == {*sizes}
    assert len(cards(explore)) == sum(min(size, SHOWN_OF_EACH) for size in sizes.values())
    button = next(b for b in explore.button if "Hinduism" in b.label)
    assert button.label == f"All {sizes['Hinduism']} of Hinduism"
    button.click().run()
    assert explore.selectbox("tradition").value == "Hinduism"
    assert len(cards(explore)) == sizes["Hinduism"]


def test_everyone_but_nobody_can_be_found(explore: AppTest) -> None:
    found = set()
    for tradition in explore.selectbox("tradition").options:
        explore.selectbox("tradition").set_value(tradition.rpartition(" (")[0]).run()
        found |= {name.replace("\\", "") for name in cards(explore)}
    assert found == {entry.name for entry in knowledge().values() if entry.kind != "none"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [("pillaiyar", "Ganesha"), ("गणेश", "Ganesha"), ("முருகன்", "Murugan"), ("Ἄρης", "Ares")],
)
def test_search_takes_any_name_and_script(explore: AppTest, query: str, expected: str) -> None:
    explore.text_input("q").set_value(query).run()
    assert expected in cards(explore)
    assert len(cards(explore)) < 10


def test_filters_narrow_and_combine(explore: AppTest) -> None:
    explore.selectbox("tradition").set_value("Hinduism").run()
    hindu = cards(explore)
    explore.selectbox("region").set_value("Indonesia").run()
    assert set(cards(explore)) < set(hindu)
    assert "Zeus" not in hindu


def test_nothing_found_is_said(explore: AppTest) -> None:
    explore.text_input("q").set_value("xyzzy").run()
    assert "Nobody found" in explore.info[0].value


BRIEF = [slug for slug, entry in knowledge().items() if entry.brief]


@pytest.mark.parametrize("slug", sorted({*knowledge()} - {*BRIEF}) + BRIEF[::10])
def test_each_entry_has_a_page_with_every_field(app: AppTest, slug: str) -> None:
    app.query_params["deity"] = slug
    app.switch_page("explore.py").run()
    entry = find_entry(slug)
    said = text_of(app)
    assert not app.exception
    assert app.title[0].value.replace("\\", "") == entry.name
    for phrase in [
        entry.body, entry.tradition or "", entry.look_for.attributes[0], entry.sources[0].title,
        *(festival.name for festival in entry.festivals), *entry.care, *entry.sacred_places,
        *entry.regions, *entry.names.values(),
    ]:  # fmt: skip
        assert phrase in said.replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")
    for linked in entry.linked_slugs():
        assert find_entry(linked).name in "".join(cards(app)).replace("\\", "")


@pytest.mark.parametrize("name", ["Ganesha", "गणेश"])
def test_a_link_may_have_a_name_instead_of_the_slug(app: AppTest, name: str) -> None:
    app.query_params["deity"] = name
    app.switch_page("explore.py").run()
    assert app.title[0].value == "Ganesha"


@pytest.mark.parametrize("slug", ["nobody", "../secrets", "<b>x</b>", ""])
def test_an_unknown_link_is_told_clearly(app: AppTest, slug: str) -> None:
    app.query_params["deity"] = slug
    app.switch_page("explore.py").run()
    assert app.title[0].value == "Not in the collection"
    assert "<b>" not in app.warning[0].value
    assert not app.exception


def test_a_mistyped_link_offers_the_nearest(app: AppTest) -> None:
    app.query_params["deity"] = "ganeshaa"
    app.switch_page("explore.py").run()
    assert "Ganesha" in cards(app)


@pytest.mark.parametrize(
    ("slug", "said"),
    [("zeus", "I do not recognise this one in photos yet."), (BRIEF[0], "A short entry, for now")],
)
def test_an_entry_says_what_is_not_as_usual(app: AppTest, slug: str, said: str) -> None:
    app.query_params["deity"] = slug
    app.switch_page("explore.py").run()
    assert said in text_of(app)


def test_an_entry_that_is_recognised_says_nothing_of_it(app: AppTest) -> None:
    app.query_params["deity"] = "ganesha"
    app.switch_page("explore.py").run()
    assert "this one" not in text_of(app)
