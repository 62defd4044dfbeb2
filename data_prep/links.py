"""What belongs together, directly or by way of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def linked(*columns: pd.Series[Any], edges: np.ndarray | None = None) -> np.ndarray:
    """Number rows: the same where they have one value in some column, or an edge between them.

    Args:
        columns: of one length n; empty texts and missing values link nothing.
        edges: int (m, 2), places of rows.

    Returns:
        int (n,), from 0.
    """
    links = [np.empty((0, 2), int) if edges is None else edges]
    for column in columns:
        values = column.reset_index(drop=True)
        values = values[values.notna() & (values != "")]
        first = values.index.to_series().groupby(values).transform("first")
        links.append(np.column_stack([values.index, first]))
    ends = np.concatenate(links).astype(int)
    count = len(columns[0])
    graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def places(rows: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """Where in `rows` the `first` and `second` of pairs are, int (m, 2); others' pairs fall out."""
    ends = [rows.index.get_indexer(pd.Index(pairs[end])) for end in ("first", "second")]
    both = np.column_stack(ends)
    return both[(both >= 0).all(axis=1)]
