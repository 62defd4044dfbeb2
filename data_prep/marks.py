"""Watermarks: what the pictures of one source have in common at one place.

A mark is drawn at the same place of many pictures, so the directions of their edges agree there,
while those of the motifs cancel (Dekel et al., "On the Effectiveness of Visible Watermarks", CVPR
2017). Only places are asked that differ from their mirror image the most: figures that sit in the
middle agree, too, and are symmetric, as a mark hardly ever is. Cards and drawings that a source
makes on one template are found as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd

from data_prep.looks import MARK_SIDE
from data_prep.pixels import signatures
from data_prep.table import Table

SOURCES = ("group", "creator", "source")  # columns whose values stand for one hand or site
MARK_SHARE = 0.015  # of the area, of which the agreement is asked: a line of text
EDGE_MARGIN = 4  # pixels: the filter's own border
FAINT = 4.0  # grey values per pixel below which an edge's direction is noise


def mark_scores(table: Table, least: int) -> pd.Series:
    """How far each picture carries what others of its source carry: 0 (nothing) to 1.

    Args:
        table: pictures that were measured.
        least: pictures a source must have.
    """
    scores = pd.Series(0.0, index=table.rows.index)
    for column in SOURCES:
        for value, names in table.rows.groupby(column).groups.items():
            if value and len(names) >= least:
                scores[names] = np.maximum(scores[names], _agreement(table, names))
    return scores


def _agreement(table: Table, names: pd.Index) -> np.ndarray:
    """Each picture's agreement with the others, (n,); two passes, so that memory stays small."""
    total = sum(_edges(table, names), np.zeros((2, MARK_SIDE, MARK_SIDE), np.float32))
    return np.array([_match(edges, total - edges) for edges in _edges(table, names)])


def _edges(table: Table, names: pd.Index) -> Iterator[np.ndarray]:
    """Directions of edges, float32 (2, side, side), of about unit length where there is one."""
    for grey in signatures(table, map(str, names)):
        steps = np.stack([cv2.Sobel(grey, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))])
        yield steps / (np.hypot(*steps) + FAINT)


def _match(edges: np.ndarray, others: np.ndarray) -> float:
    """Mean cosine between a picture's edges and the others', where those agree the most."""
    mirrored = others[:, :, ::-1] * np.array([-1, 1], np.float32)[:, None, None]
    one_sided = np.hypot(*(others - mirrored))[EDGE_MARGIN:-EDGE_MARGIN, EDGE_MARGIN:-EDGE_MARGIN]
    count = int(one_sided.size * MARK_SHARE)
    marked = one_sided >= np.partition(one_sided.ravel(), -count)[-count]
    inner = np.s_[:, EDGE_MARGIN:-EDGE_MARGIN, EDGE_MARGIN:-EDGE_MARGIN]
    there, mine = others[inner][:, marked], edges[inner][:, marked]
    lengths = np.linalg.norm(there, axis=0) + 1e-6
    return float(np.clip((there * mine).sum(axis=0) / lengths, -1, 1).mean().clip(0))
