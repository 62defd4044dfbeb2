from __future__ import annotations

import numpy as np
import pandas as pd

from data_prep.links import linked, places


def test_rows_are_linked_by_any_column_and_by_way_of_others() -> None:
    first = pd.Series(["a", "a", "b", "", "c", ""])
    second = pd.Series(["", "x", "x", "", "", "y"])
    numbers = linked(first, second)
    assert len({*numbers[:3]}) == 1
    assert len({*numbers}) == 4


def test_empty_values_link_nothing() -> None:
    assert len(set(linked(pd.Series(["", None, "", float("nan")])))) == 4


def test_an_edge_links_what_it_joins() -> None:
    numbers = linked(pd.Series(["", "g", "g", ""]), edges=np.array([[0, 1]]))
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]


def test_pairs_of_rows_that_are_not_there_fall_out() -> None:
    rows = pd.DataFrame(index=["a", "b", "c"])
    pairs = pd.DataFrame({"first": ["a", "a"], "second": ["c", "gone"]})
    assert places(rows, pairs).tolist() == [[0, 2]]
