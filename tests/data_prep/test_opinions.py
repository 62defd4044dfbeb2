"""Who a picture shows, by single opinions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_prep.opinions import (
    ABSTAIN,
    Names,
    labelling_functions,
    model_votes,
    neighbour_votes,
)
from ideitify.bundle import Thresholds
from ideitify.knowledge import knowledge


@pytest.fixture(scope="module")
def names() -> Names:
    return Names.of(knowledge().values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A bronze statue of Gaṇeśa, Chola period", "ganesha"),
        ("Kṛṣṇa with a flute", "krishna"),
        ("lord_ganesha-12.jpg", "ganesha"),
        ("विघ्नहर्ता गणेश की मूर्ति", "ganesha"),
        ("முருகன் கோவில்", "murugan"),
        ("Radha-Krishna in a grove", "radha-krishna"),
        ("hera, marble", "hera"),
        ("Statue of Set", "set"),
        ("Amulet of Bes", "bes"),
        ("Ganesha with a set of four lamps, nut wood, broken horn", "ganesha"),
        ("wind, moon and net", None),
        ("Poseidon and Athena", None),
        ("Ganeshan family portrait", None),
        ("शिवाजी महाराज", None),
        ("a bald eagle", None),
        ("", None),
    ],
)
def test_a_text_counts_if_it_names_one_entry(names: Names, text: str, expected: str | None) -> None:
    assert names.in_text(text) == expected


def test_a_query_counts_by_what_the_entries_are_searched_for(names: Names) -> None:
    entry = knowledge()["ganesha"]
    phrases = [phrase for phrases in entry.search.terms.values() for phrase in phrases]
    phrases += [str(uri) for uri in entry.search.concepts]
    assert {names.of_query(phrase) for phrase in phrases} == {"ganesha"}
    zeus = knowledge()["zeus"].wikidata
    assert names.of_query(f"http://www.wikidata.org/entity/{zeus}") == "zeus"


def test_nobody_is_named_by_the_entry_for_nobody(names: Names) -> None:
    assert names.in_text("None") is None


def test_the_model_speaks_only_where_the_bundle_would() -> None:
    thresholds = Thresholds(deity=0.6, none=0.5, operating_point="")
    probabilities = np.array([[0.7, 0.2, 0.1], [0.55, 0.4, 0.05], [0.3, 0.2, 0.5], [0, 0, 0]])
    votes = model_votes(probabilities, ["ganesha", "shiva", "none"], thresholds)
    assert votes == ["ganesha", "", "none", ""]


def test_neighbours_are_labelled_pictures_of_other_groups() -> None:
    angles = np.radians([0, 1, 2, 3, 90, 91, 92, 93, 45])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    categories = np.array(["a", "a", "a", "wrong", "b", "b", "b", "b", "?"], object)
    groups = np.array(["0", "1", "2", "0", "4", "5", "6", "7", "8"], object)
    references = np.arange(8)
    votes = neighbour_votes(embeddings, groups, references, categories, neighbours=3, share=0.7)
    assert votes[3] == "a"  # its own label and its group's are not asked
    assert votes[4] == "b"
    assert votes[8] == ""  # a, a and one that is wrong
    assert neighbour_votes(embeddings, groups, references, categories, 3, share=0.5)[8] == "a"


def test_too_few_labelled_pictures_say_nothing() -> None:
    votes = neighbour_votes(
        np.eye(3, dtype=np.float32), np.array(list("abc"), object), np.arange(2),
        np.array(["x", "x", ""], object), neighbours=3, share=0.5,
    )  # fmt: skip
    assert votes == ["", "", ""]


def test_each_source_s_search_is_a_function_of_its_own(names: Names) -> None:
    rows = pd.DataFrame(
        {"source": ["met", "commons", "met", "met"], "query": ["Ganesha", "Shiva", "", "nobody"],
         "title": ["", "Shiva", "", "Zeus"], "model": "", "neighbours": ""}
    )  # fmt: skip
    numbers = {"ganesha": 0, "shiva": 1, "zeus": 2}
    functions = labelling_functions(rows, names, numbers)
    votes = {f.name: [f(row) for _, row in rows.iterrows()] for f in functions}
    assert votes == {
        "title": [ABSTAIN, 1, ABSTAIN, 2],
        "query: commons": [ABSTAIN, 1, ABSTAIN, ABSTAIN],
        "query: met": [0, ABSTAIN, ABSTAIN, ABSTAIN],
        "model": [ABSTAIN] * 4,
        "neighbours": [ABSTAIN] * 4,
    }
