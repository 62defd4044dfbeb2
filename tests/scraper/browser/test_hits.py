"""Pictures as JSON, links and labels tell of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.browser.hits import Hit, json_objects, named_hit, schema_hits

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values), st.sampled_from(["", "var a={b:1};f(", ")]}'\n", '{"']))
def test_json_is_found_within_javascript(value: dict[str, Any], before: str):
    found = list(json_objects(f"{before}{json.dumps(value)});"))
    assert value in found


@given(st.text(alphabet='{}[]":,\\ab1', max_size=300))
def test_no_text_stops_the_reading(text: str):
    list(json_objects(text))


def test_a_broken_object_costs_no_more_than_its_length_allows():
    """Each of these could be tried again from within: without a limit, that takes hours."""
    text = '{"a":' * 900 + '{"b":1,' * 100_000
    assert len(list(json_objects(text))) < 10


def test_objects_that_nest_too_deeply_are_given_up():
    assert list(json_objects('{"a":' * 100_000)) == []


def test_a_record_is_read_by_any_of_the_names_in_any_case():
    names = {"address": ("murl", "mediaurl"), "title": ("t",), "width": ("w",), "page": ("purl",)}
    record = {"mediaUrl": "https://a.example/b.jpg", "T": " \ue000Red\ue001 fort ", "w": "1200"}
    assert named_hit(record, names) == Hit("https://a.example/b.jpg", title="Red fort", width=1200)


@pytest.mark.parametrize("address", ["", "/b.jpg", "data:image/png;base64,AA", None, 7, ["x"], {}])
def test_a_record_without_an_address_is_none(address: Any):
    assert named_hit({"murl": address}, {"address": ("murl",)}) is None


def test_schema_org_objects_tell_creator_and_licence():
    page = {
        "@context": "https://schema.org/",
        "@graph": [
            {
                "@type": ["ImageObject"],
                "contentUrl": "https://museum.example/ganesha.jpg",
                "license": {"@type": "CreativeWork", "url": "https://museum.example/terms"},
                "creator": [{"@type": "Person", "name": "A. Painter"}],
                "copyrightNotice": "The museum",
                "name": "Ganesha",
                "width": {"value": "1200", "unitText": "px"},
            }
        ],
    }
    [hit] = schema_hits(json.dumps(page))
    assert hit.rights_url == "https://museum.example/terms"
    assert (hit.creator, hit.rights) == ("A. Painter", "The museum")
    assert (hit.title, hit.width) == ("Ganesha", 1200)


def test_what_one_place_does_not_tell_another_completes():
    known = Hit("https://a.example/b.jpg", title="Title")
    other = Hit("https://a.example/b.jpg", title="Other", page="https://a.example/")
    assert known.completed_by(other) == Hit(known.address, title="Title", page=other.page)
