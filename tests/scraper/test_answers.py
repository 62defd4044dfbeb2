"""Answers of APIs are read whatever shape their fields have."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.answers import at, entries, expect, link, plain_text, whole_number
from scraper.source import SourceError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
words = st.text(string.ascii_letters, min_size=1, max_size=10)


def test_a_path_that_ends_early_leads_to_none() -> None:
    answer = {"query": {"pages": [{"title": "A"}]}}
    assert at(answer, "query", "pages", 0, "title") == "A"
    assert at(answer, "query", "pages", 1, "title") is None
    assert at(answer, "query", "pages", -1) is None
    assert at(answer, "query", "pages", "title") is None
    assert at([], "query") is None, "PHP writes an empty object as a list"
    assert at(answer) == answer


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ([], []),
        ([1, None], [1, None]),
        ({"7": {"id": 7}, "8": {"id": 8}}, [{"id": 7}, {"id": 8}]),
        ("alone", ["alone"]),
        (0, [0]),
    ],
)
def test_entries_of_lists_objects_null_and_what_stands_alone(
    value: object, expected: list[object]
) -> None:
    assert entries(value) == expected


def test_what_is_needed_is_there_even_as_null() -> None:
    assert expect({"objectIDs": None}, "objectIDs", "the Met") is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": {"code": "x", "info": "too busy"}}, ": too busy"),
        ({"error": {"message": "q is too long"}}, ": q is too long"),
        ({"success": False, "error": "<b>No</b> key"}, ": No key"),
        ({"detail": "Not found."}, ": Not found."),
        ({"message": "closed"}, ": closed"),
        ({}, "; its API may have changed"),
        ([], "; its API may have changed"),
        ("text", "; its API may have changed"),
        ({"error": "x" * 999}, f": {'x' * 200}"),
    ],
)
def test_an_answer_without_what_is_needed_says_what_an_envelope_says(
    answer: object, said: str
) -> None:
    with pytest.raises(SourceError) as error:
        expect(answer, "items", "Europeana")
    assert str(error.value) == f"Europeana answered without 'items'{said}"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Artist Name", "Artist Name"),
        ('<div class="fn value">\nJona</div>', "Jona"),
        ('<a href="https://example.org">Ade &amp; Bola</a> from Osogbo', "Ade & Bola from Osogbo"),
        ("<b>A</b><b>B</b>", "A B"),
        ("<i>Ganesha</i>, <i>seated</i> (<i>bronze</i>)", "Ganesha, seated (bronze)"),
        ("<span>Unknown</span><span style='display: none;'>Unknown</span>", "Unknown"),
        ("<script>alert(1)</script>Ade<style>a {}</style>", "Ade"),
        ("Ade\nYoruba,\t1900", "Ade Yoruba, 1900"),
        ("Ade <ade@example.org>", "Ade"),
        ("Ade, ade (at) example.org", "Ade"),
        ('<a href="mailto:ade@example.org">ade@example.org</a>', ""),
        ("people/16707908@N07", "people/16707908@N07"),
        (["A", None, "B", "A"], "A; B"),
        (1.2, "1.2"),
        (7, "7"),
        (True, ""),
        (None, ""),
        ({"en": "A"}, ""),
    ],
)  # fmt: skip
def test_plain_text(html: object, text: str) -> None:
    assert plain_text(html) == text


@given(words, words, words)
def test_no_address_is_left_in_a_text(name: str, host: str, before: str) -> None:
    assert "@" not in plain_text(f"{before} {name}@{host}.org")
    assert before in plain_text(f"{before} {name}@{host}.org")


def test_a_long_word_takes_no_longer_than_its_length() -> None:
    """Read to its end from each of its letters, it would take half an hour."""
    assert plain_text("a" * 300_000) == "a" * 300_000


@given(json_values)
def test_any_value_has_a_text_a_link_and_a_number_or_none(value: object) -> None:
    text = plain_text(value)
    assert text == " ".join(text.split())
    assert link(value) == "" or link(value).lower().startswith(("http://", "https://"))
    number = whole_number(value)
    assert number is None or number > 0


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://example.org/a?b=1&copy=2", "https://example.org/a?b=1&copy=2"),
        ("//example.org/a", "https://example.org/a"),
        (" HTTP://example.org/a ", "HTTP://example.org/a"),
        ("javascript:alert(1)", ""),
        ("/relative", ""),
        (None, ""),
        (["https://example.org"], ""),
    ],
)
def test_links_are_left_as_they_are(value: object, url: str) -> None:
    assert link(value) == url


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("641", 641), (641, 641), (641.0, 641), ("", None), ("wide", None), (0, None), (-5, None),
        (2**31 - 1, 2**31 - 1), (2**31, None), ("9" * 25, None), (1e300, None),
    ],
)  # fmt: skip
def test_sizes_may_be_texts_but_not_what_no_database_can_store(
    value: object, number: int | None
) -> None:
    assert whole_number(value) == number
