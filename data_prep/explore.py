"""The data set as pictures: a map on which what looks alike lies together, and every category."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data_prep.charts import plotly_script
from data_prep.embed import embed
from data_prep.findings import category_name
from data_prep.page import render
from data_prep.table import KEPT, REVIEW, Table
from data_prep.thumbnails import thumbnails
from data_prep.workers import Where
from ideitify.dataset import NONE_CATEGORY
from ideitify.files import write_whole

EXPLORE_NAME = "explore.html"
LEAST_FOR_MAP = 8  # fewer pictures have no neighbourhoods that a map could show
GREY = "#b8ab9b"  # of `none`, which is no category of its own

logger = logging.getLogger(__name__)


class ExploreSettings(BaseModel):
    """How much to show, and how the map is drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures: int = Field(
        5000, ge=1, description="at most so many in all, evenly from each category: 4 kB a picture"
    )
    neighbours: int = Field(
        15,
        ge=2,
        description="of a picture that UMAP keeps near it: fewer show finer clumps, more the whole",
    )
    min_dist: float = Field(
        0.15, ge=0, le=1, description="how close UMAP packs them: pictures must be told apart"
    )
    seed: int = Field(0, description="the same map for the same pictures")


@dataclass(frozen=True)
class CategoryShown:
    """A category of the page.

    Attributes:
        colour: of its points.
        pictures: how many it has; `numbers` are those that are shown, by their place in the list.
    """

    slug: str
    name: str
    colour: str
    pictures: int
    numbers: list[int]


def explore(
    table: Table, settings: ExploreSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Write explore.html: a map of the pictures by what the model sees, and a montage per category.

    Pictures that are kept or in review are shown. It is one file that fetches nothing.

    Raises:
        BundleError: the bundle cannot be used.
        OSError: the page, or a cache in `.data_prep`, cannot be written.
    """
    present = table.having(KEPT, REVIEW)
    rows = evenly(present, settings.pictures)
    few = Table(table.folder, rows)
    small = thumbnails(few, rows.index, **where)
    seen = embed(few, bundle, **where)
    places = positions(seen.embeddings[seen.known], settings)
    mapped = rows.index[seen.known][: len(places)]
    place_of = dict(zip(mapped, places.round(3).tolist(), strict=True))
    categories = _categories(rows, present["category"].value_counts())
    page = render(
        "explore.html",
        title=table.folder.absolute().name,
        categories=categories,
        shown=len(rows),
        present=len(present),
        mapped=len(mapped),
        data=_data(rows, categories, small, place_of),
        plotly=plotly_script(),
    )
    write_whole(table.folder / EXPLORE_NAME, page)
    logger.info("%s: %d pictures, %.1f MB", EXPLORE_NAME, len(rows), len(page) / 1e6)
    return table


def evenly(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows, in order of category and name, large categories thinned out first."""
    rows = rows.iloc[np.lexsort((rows.index, rows["category"]))]
    sizes = rows["category"].value_counts().sort_index()
    quota = sizes.copy()
    while quota.sum() > most:  # lower the largest until all fit
        cap = int(quota.max()) - max(1, (int(quota.sum()) - most) // len(quota))
        quota = quota.clip(upper=max(cap, 0))
    place = rows.groupby("category").cumcount()
    size, wanted = rows["category"].map(sizes), rows["category"].map(quota)
    return rows[(place * wanted) % size < wanted]


def positions(embeddings: np.ndarray, settings: ExploreSettings) -> np.ndarray:
    """Lay pictures out so that those which look alike are near.

    Args:
        embeddings: float32 (n, d).

    Returns:
        float (n, 2); none, (0, 2), if there are too few pictures for a map.
    """
    if len(embeddings) < LEAST_FOR_MAP:
        return np.empty((0, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed takes one thread, and numba's deprecations
        from umap import UMAP

        layout = UMAP(
            n_neighbors=min(settings.neighbours, len(embeddings) - 1),
            min_dist=settings.min_dist,
            metric="cosine",
            random_state=settings.seed,
        )
        return np.asarray(layout.fit_transform(embeddings), float)


def _categories(rows: pd.DataFrame, sizes: pd.Series[int]) -> list[CategoryShown]:
    """Categories in order of their names, with colours as different as there can be.

    Args:
        sizes: how many pictures each has, by slug.
    """
    numbers = pd.Series(range(len(rows)), rows.index).groupby(rows["category"]).apply(list)
    shown = []
    for place, slug in enumerate(sorted(numbers.index, key=category_name)):
        hue = place * 137.508 % 360  # the golden angle: neighbours in the list differ most
        colour = GREY if slug == NONE_CATEGORY else f"hsl({hue:.0f} 62% {40 + place % 3 * 9}%)"
        name = category_name(slug)
        shown.append(CategoryShown(slug, name, colour, int(sizes[slug]), numbers[slug]))
    return shown


def _data(
    rows: pd.DataFrame,
    categories: list[CategoryShown],
    small: dict[str, str],
    place_of: dict[str, list[float]],
) -> str:
    """What the page's script works on, as JSON that may stand in a page."""
    number_of = {category.slug: number for number, category in enumerate(categories)}
    content = {
        "thumbnails": [small[name] for name in rows.index],
        "files": list(rows.index),
        "category": [number_of[slug] for slug in rows["category"]],
        "review": [number for number, status in enumerate(rows["status"]) if status == REVIEW],
        "places": [place_of.get(name) for name in rows.index],
        "names": [category.name for category in categories],
        "colours": [category.colour for category in categories],
        "numbers": [category.numbers for category in categories],
    }
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
