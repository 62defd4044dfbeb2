"""What is measured of the pictures that are published, for cards and descriptions."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

from data_prep.publish.selection import Selection
from data_prep.state import read_state
from ideitify.dataset import NONE_CATEGORY

NAMED = 5  # categories or sources named in a sentence; the tables have all of them


@dataclass(frozen=True)
class Category:
    """One category's size and the largest of its sources."""

    slug: str
    pictures: int
    largest_source: str
    largest_share: float


@dataclass(frozen=True)
class Facts:
    """Numbers of a selection.

    Attributes:
        categories: the largest first.
        splits: empty unless every picture has one.
        collected: first and last day of retrieval, ISO 8601; empty where unknown.
        short_sides: smallest, median and largest short side in pixels; empty where unknown.
        biases: sentences.
        steps: what the steps that ran on the folder took out.
    """

    pictures: int
    size: int
    categories: list[Category]
    sources: Counter[str]
    licenses: Counter[str]
    splits: Counter[str]
    labels: Counter[str]
    collected: tuple[str, str] | None
    short_sides: tuple[int, int, int] | None
    biases: list[str]
    steps: list[str]


TAKEN_OUT = {  # step -> what it takes out
    "validate": "files that do not decode, and pictures that are tiny or of extreme shape",
    "quality": "pictures too dark, light, blurred or empty; text cards, screenshots and collages",
    "duplicates": "copies and near-copies, of which the best is kept",
    "labels": "pictures whose label a classifier trained on the others doubts",
    "weak": "pictures on whose label the evidence does not agree",
    "decisions": "what people who looked rejected",
    "balance": "what a category or a source has too much of",
}


def measure(selection: Selection, folder: Path) -> Facts:
    """Measure what is about to be published.

    Args:
        folder: the dataset folder, which knows what ran on it.
    """
    runs = read_state(folder).runs
    rows = selection.rows
    categories, sources = _categories(rows), selection.count("source")
    splits = dict(sorted(selection.count("split").items(), key=_side))
    return Facts(
        pictures=len(rows),
        size=selection.size,
        categories=categories,
        sources=sources,
        licenses=selection.count("license"),
        splits=Counter() if "" in splits else Counter(splits),
        labels=selection.count("label_source"),
        collected=_range([row["retrieved_at"][:10] for row in rows if row["retrieved_at"]]),
        short_sides=_short_sides(rows),
        biases=_biases(rows, categories, sources),
        steps=[words for step, words in TAKEN_OUT.items() if step in runs and runs[step].finished],
    )


def _side(split: tuple[str, int]) -> tuple[int, str]:
    """Sort key: train, valid, test, then any other."""
    known = ("train", "valid", "test")
    return (known.index(split[0]) if split[0] in known else len(known), split[0])


def _categories(rows: list[dict[str, str]]) -> list[Category]:
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        sources[row["category"]][row["source"]] += 1
    categories = []
    for slug, counts in sources.items():
        source, count = counts.most_common(1)[0]
        categories.append(Category(slug, counts.total(), source, count / counts.total()))
    return sorted(categories, key=lambda category: (-category.pictures, category.slug))


def _range(days: list[str]) -> tuple[str, str] | None:
    return (min(days), max(days)) if days else None


def _short_sides(rows: list[dict[str, str]]) -> tuple[int, int, int] | None:
    sides = [
        min(int(row["width"]), int(row["height"])) for row in rows if row["width"] and row["height"]
    ]
    return (min(sides), median_low(sides), max(sides)) if sides else None


def _biases(
    rows: list[dict[str, str]], categories: list[Category], sources: Counter[str]
) -> list[str]:
    """Sentences about what the numbers lean to; none that the numbers do not show."""
    deities = [category for category in categories if category.slug != NONE_CATEGORY]
    biases = []
    if len(deities) > 1:
        first, last = deities[0], deities[-1]
        middle = median_low(category.pictures for category in deities)
        biases.append(
            f"Categories differ in size: {first.slug} has {first.pictures} pictures, {last.slug} "
            f"{last.pictures}; half of them have {middle} or fewer."
        )
    if len(sources) > 1:
        source, count = sources.most_common(1)[0]
        biases.append(f"{count / len(rows):.0%} of all pictures come from one source, {source}.")
        leaning = [category for category in categories if category.largest_share > 0.5]
        named = [f"{c.slug} ({c.largest_source} {c.largest_share:.0%})" for c in leaning[:NAMED]]
        if leaning:
            biases.append(
                f"In {len(leaning)} of {len(categories)} categories more than half of the pictures "
                f"come from one source: {', '.join(named)}"
                f"{' and others' if len(leaning) > NAMED else ''}. A model can learn the source "
                "instead of the deity."
            )
    if nameless := sum(not row["creator"] for row in rows):
        biases.append(f"The creator is not known for {nameless / len(rows):.0%} of the pictures.")
    return biases
