"""What says who a picture shows: the harvest's texts and queries, the model, the neighbours.

Each opinion is one Snorkel labelling function: a category's number for a row, or `ABSTAIN`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from snorkel.labeling import LabelingFunction

from ideitify.bundle import Thresholds
from ideitify.dataset import NONE_CATEGORY
from ideitify.knowledge import Entry, fold

ABSTAIN = -1
TEXTS = ("title", "description", "tags")
BLOCK = 1024  # pictures whose neighbours are looked for at once
SHORT_NAME, SHORT_BYNAME = 3, 4  # letters: Nut and Set, Horn (Freyja) and Wind (Ehecatl)

# Museums transliterate Sanskrit letter by letter, others as it sounds.
_SCHOLARLY = str.maketrans({"ś": "sh", "ṣ": "sh", "ṛ": "ri"})

Reader = Callable[[str], str | None]  # a column's text -> the category that it speaks for

_WORD = re.compile(r"[^\W\d_]+")
_SEPARATORS = re.compile(r"[\s_\-–—./|,]+")
# A name ends where no letter follows; vowel signs of Indic scripts are no letters to `re`.
_BEFORE, _AFTER = (
    r"(?<![^\W\d_])(?<![\u0300-\u036f\u0900-\u0dff])",
    (r"(?![^\W\d_])(?![\u0300-\u036f\u0900-\u0dff])"),
)
_UNSPACED = re.compile(r"[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")  # Thai to Chinese


@dataclass(frozen=True)
class Names:
    """Finds entries by what people call them and search for them by.

    Short names are words, too (set, nut, here): they count where they are written with a capital.
    """

    slugs: Mapping[str, str]  # name as `plain` has it -> its entry; names of several are left out
    short: frozenset[str]  # of these, those that need a capital
    phrases: Mapping[str, str]  # the same for queries: search terms, concept URIs, categories
    pattern: re.Pattern[str] = field(repr=False)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Names:
        """Index entries; `none` has no name."""
        named = [entry for entry in entries if entry.kind != "none"]
        slugs = _owners([(entry.slug, entry.all_names(), [entry.name]) for entry in named])
        longest_first = sorted(slugs, key=len, reverse=True)
        pattern = re.compile("|".join(map(_bounded, longest_first)) or r"(?!)")
        phrases = _owners([(entry.slug, _searches(entry), [entry.name]) for entry in named])
        main = {plain(name) for entry in named for name in (entry.slug, entry.name)}
        short = {name for name in slugs if len(name) <= SHORT_NAME or name not in main}
        short = {name for name in short if len(name) <= SHORT_BYNAME and name.isascii()}
        return cls(slugs, frozenset(short), phrases, pattern)

    def in_text(self, text: str) -> str | None:
        """The one entry that a text names; None if it names none or several."""
        capitals = {plain(word) for word in _WORD.findall(text) if word[0].isupper()}
        matches = set(self.pattern.findall(plain(text)))
        found = {self.slugs[match] for match in matches - (self.short - capitals)}
        return found.pop() if len(found) == 1 else None

    def of_query(self, query: str) -> str | None:
        """The entry that was searched for."""
        return self.phrases.get(plain(query)) or self.in_text(query)


def plain(text: str) -> str:
    """Folded, with one space wherever words are separated; Śiva as Shiva, Kṛṣṇa as Krishna."""
    scholarly = unicodedata.normalize("NFC", text.casefold())
    return _SEPARATORS.sub(" ", fold(scholarly.translate(_SCHOLARLY))).strip()


def _bounded(name: str) -> str:
    return re.escape(name) if _UNSPACED.search(name) else f"{_BEFORE}{re.escape(name)}{_AFTER}"


def _searches(entry: Entry) -> list[str]:
    item = [f"http://www.wikidata.org/entity/{entry.wikidata}"] if entry.wikidata else []
    terms = [term for terms in entry.search.terms.values() for term in terms]
    category = [entry.search.commons_category] if entry.search.commons_category else []
    return [*terms, *map(str, entry.search.concepts), *item, *category]


def _owners(named: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> dict[str, str]:
    """Name -> slug; of several entries with a name, the one whose main name it is."""
    owners: dict[str, set[str]] = defaultdict(set)
    main: dict[str, str] = {}
    for slug, names, first in named:
        for name in (slug, *names):
            owners[plain(name)].add(slug)
        main |= {plain(name): slug for name in (slug, *first)}
    return {
        name: main.get(name) or min(slugs)
        for name, slugs in owners.items()
        if name and (len(slugs) == 1 or name in main)
    }


def labelling_functions(
    rows: pd.DataFrame, names: Names, numbers: Mapping[str, int]
) -> list[LabelingFunction]:
    """The functions for which the rows have what they need.

    Args:
        rows: the table's columns, and `model` and `neighbours`, a category or "" each.
        numbers: category -> its number.
    """

    def named(name: str, column: str, read: Reader, source: str | None = None) -> LabelingFunction:
        resources = {"column": column, "read": read, "numbers": numbers, "source": source}
        return LabelingFunction(name, _vote, resources=resources)

    filled = [column for column in rows if (rows[column] != "").any()]
    functions = [named(text, text, names.in_text) for text in TEXTS if text in filled]
    if "skos_concept" in filled:
        functions.append(named("concept", "skos_concept", names.of_query))
    if "query" in filled:
        sources = rows.loc[rows["query"] != "", "source"].unique()
        functions += [
            named(f"query: {source or 'unknown'}", "query", names.of_query, source)
            for source in sorted(sources)
        ]
    return functions + [named(sight, sight, str) for sight in ("model", "neighbours")]


def _vote(
    row: pd.Series, column: str, read: Reader, numbers: Mapping[str, int], source: str | None
) -> int:
    if not row[column] or source not in {None, row["source"]}:
        return ABSTAIN
    return numbers.get(read(row[column]) or "", ABSTAIN)


def model_votes(
    probabilities: np.ndarray, labels: Sequence[str], thresholds: Thresholds
) -> list[str]:
    """What the bundle answers, by its own thresholds: a deity, `none`, or "" where it is unsure.

    Args:
        probabilities: float (n, labels); zeros for pictures that it could not read.
    """
    best = probabilities.argmax(axis=1)
    least = np.array([
        thresholds.none if label == NONE_CATEGORY else thresholds.deity for label in labels
    ])  # fmt: skip
    sure = probabilities[np.arange(len(best)), best] >= least[best]
    return [labels[i] if certain else "" for i, certain in zip(best, sure, strict=True)]


def neighbour_votes(
    embeddings: np.ndarray,
    groups: np.ndarray,
    references: np.ndarray,
    categories: np.ndarray,
    neighbours: int,
    share: float,
) -> list[str]:
    """What the nearest labelled pictures of other groups show; "" where they differ too much.

    Args:
        embeddings: float32 (n, d), unit length; zeros for pictures that could not be read.
        groups: object (n,), no picture is judged by its own group.
        references: int (m,), rows whose category is known.
        categories: object (n,), read for the references only.
        neighbours: how many are asked.
        share: of their similarity that the winner must have.
    """
    votes = [""] * len(embeddings)
    if len(references) < neighbours:
        return votes
    known, shown = embeddings[references], categories[references]
    for start in range(0, len(embeddings), BLOCK):
        block = slice(start, start + BLOCK)
        likeness = embeddings[block] @ known.T
        likeness[groups[block, None] == groups[references][None, :]] = -1
        nearest = np.argpartition(-likeness, neighbours - 1, axis=1)[:, :neighbours]
        for row, columns in enumerate(nearest):
            weight: dict[str, float] = defaultdict(float)
            for column in columns:
                weight[shown[column]] += max(float(likeness[row, column]), 0.0)
            winner = max(weight, key=weight.__getitem__)
            if weight[winner] > share * sum(weight.values()):
                votes[start + row] = winner
    return votes
