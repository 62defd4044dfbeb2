"""How evenly the categories are filled, from what, and what to collect next.

`balance.csv` in the dataset folder has one line a category, the neediest first; categories of the
knowledge base without a picture are among them. Caps reject what a category, or one source in it,
has too much of.

Medium and region are the columns `medium` and `region` where the table has them, otherwise they are
read from the words of title and query: a rough answer, often `unknown`.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data_prep.table import DECIDED_BY, KEPT, REJECTED, Table, column_of
from ideitify.files import write_whole
from ideitify.knowledge import knowledge
from ideitify.licenses import normalize

BALANCE_NAME = "balance.csv"
UNKNOWN = "unknown"
ONE_SIDED = 0.8  # share of one medium above which others are asked for
NAMED = 5  # categories that the step's message names: the file has all

# The first whose words are there counts: a bronze relief is a relief.
MEDIUMS: Mapping[str, Sequence[str]] = {
    "print": ("print", "engraving", "etching", "lithograph", "oleograph", "woodcut", "poster"),
    "relief": ("relief", "frieze", "panel", "stele", "stela"),
    "painting": ("painting", "fresco", "mural", "icon", "watercolour", "watercolor", "miniature",
                 "oil on", "tempera", "canvas", "thangka", "mosaic"),
    "drawing": ("drawing", "sketch", "illustration", "clipart", "cartoon"),
    "sculpture": ("statue", "sculpture", "idol", "murti", "bronze", "marble", "figure", "bust",
                  "figurine", "statuette", "stone", "terracotta", "carving"),
}  # fmt: skip

logger = logging.getLogger(__name__)


class BalanceSettings(BaseModel):
    """What is enough, and what too much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: int = Field(
        100, ge=1, description="pictures a category should have: of 100, 15 are held out to test on"
    )
    least_sources: int = Field(
        5, ge=1, description="of a category: with fewer, a model can learn the source instead"
    )
    most_of_category: int = Field(
        2000,
        ge=1,
        description="pictures: twenty times the target, and a model prefers the category",
    )
    most_of_source: int = Field(
        500, ge=1, description="pictures of one source in a category: more of the same teach little"
    )


def balance(table: Table, settings: BalanceSettings) -> Table:
    """Cap categories and sources, and write `balance.csv`: what there is and what to collect next.

    Raises:
        OSError: `balance.csv` cannot be written.
    """
    cap(table, settings)
    report = measure(table.rows, settings)
    text = report.to_csv(index=False, lineterminator="\n", float_format="%.2f")
    write_whole(table.folder / BALANCE_NAME, text)
    _tell(report[report["collect"] != ""], len(report))
    return table


def cap(table: Table, settings: BalanceSettings) -> None:
    """Reject what is too much; which ones, chance decides, and always in the same way."""
    kept = table.having(KEPT)
    chance = [hashlib.sha256(name.encode()).hexdigest() for name in kept.index]
    kept = kept.assign(source=sources_of(kept), undecided=kept[DECIDED_BY] == "", chance=chance)
    kept = kept.sort_values(["undecided", "chance"])
    place = kept.groupby(["category", "source"]).cumcount()
    of_source = kept[place >= settings.most_of_source]
    rest = kept.drop(of_source.index)
    of_category = rest[rest.groupby("category").cumcount() >= settings.most_of_category]
    over = f"over the cap of {settings.most_of_source} pictures of "
    table.reject_all(dict(over + of_source["category"] + " from " + of_source["source"]))
    over = f"over the cap of {settings.most_of_category} pictures of "
    table.reject_all(dict(over + of_category["category"]))


def measure(rows: pd.DataFrame, settings: BalanceSettings) -> pd.DataFrame:
    """One line a category, the neediest first.

    Returns:
        Columns `category`, `kept`, `review`, `rejected`, `sources`, `largest_source` and its
        `share`, `open_licences` (share), `mediums`, `regions` (name and share, most first) and
        `collect`, what to collect next in words ("" if nothing).
    """
    facts = rows.assign(
        source=sources_of(rows),
        open_licence=[normalize(*pair).permits == "open"
                      for pair in zip(rows["license"], rows["license_url"], strict=True)],
        medium=mediums_of(rows),
        region=regions_of(rows),
    )  # fmt: skip
    groups = {str(category): group for category, group in facts.groupby("category")}
    lines = [
        _line(each, groups.get(each, facts.iloc[:0]), settings)
        for each in sorted({*groups, *knowledge()})
    ]
    report = pd.DataFrame(lines)
    report["enough"] = report["collect"] == ""
    return report.sort_values(["enough", "kept", "sources"]).drop(columns="enough")


def sources_of(rows: pd.DataFrame) -> pd.Series[str]:
    """Who each picture is from: its group, unless that is only a picture's name, or its maker."""
    maker = (rows["source"] + " " + rows["creator"]).str.strip()
    return rows["group"].mask(rows["group"].isin(["", *rows.index]), maker)


def mediums_of(rows: pd.DataFrame) -> pd.Series[str]:
    """What each picture shows the deity as: a key of `MEDIUMS`, or `unknown`."""
    patterns = {medium: _any_of(words) for medium, words in MEDIUMS.items()}
    return _column_or_words(rows, "medium", patterns)


def regions_of(rows: pd.DataFrame) -> pd.Series[str]:
    """The first of the knowledge base's regions that is named with each picture, or `unknown`."""
    regions = {region for entry in knowledge().values() for region in entry.regions}
    plain = sorted(region for region in regions if "communities" not in region)
    return _column_or_words(rows, "region", {region: _any_of([region]) for region in plain})


def _tell(needy: pd.DataFrame, categories: int) -> None:
    logger.info("%d of %d categories need more; see %s", len(needy), categories, BALANCE_NAME)
    empty, begun = needy[needy["kept"] == 0], needy[needy["kept"] > 0].head(NAMED)
    if len(empty):
        names = ", ".join(empty["category"].head(NAMED))
        logger.info("no picture of %d: %s%s", len(empty), names, " …" * (len(empty) > NAMED))
    for category, kept, collect in zip(
        begun["category"], begun["kept"], begun["collect"], strict=True
    ):
        logger.info("%s has %d: collect %s", category, kept, collect)


def _column_or_words(
    rows: pd.DataFrame, column: str, patterns: Mapping[str, re.Pattern[str]]
) -> pd.Series[str]:
    texts = (rows["title"] + " " + rows["query"]).str.casefold()
    found = [next((n for n, p in patterns.items() if p.search(text)), UNKNOWN) for text in texts]
    read = pd.Series(found, rows.index, dtype=str)
    given = column_of(rows, column)
    return given.mask(given == "", read)


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    """One of the words, also in the plural."""
    return re.compile(rf"\b({'|'.join(re.escape(word.casefold()) for word in words)})s?\b")


def _line(category: str, rows: pd.DataFrame, settings: BalanceSettings) -> dict[str, object]:
    kept = rows[rows["status"] == KEPT]
    sources = kept["source"].value_counts()
    return {
        "category": category,
        "kept": len(kept),
        "review": int((~rows["status"].isin([KEPT, REJECTED])).sum()),
        "rejected": int((rows["status"] == REJECTED).sum()),
        "sources": len(sources),
        "largest_source": sources.index[0] if len(sources) else "",
        "share": sources.iloc[0] / len(kept) if len(sources) else 0.0,
        "open_licences": kept["open_licence"].mean() if len(kept) else 0.0,
        "mediums": _shares(kept["medium"]),
        "regions": _shares(kept["region"]),
        "collect": _advice(kept, settings),
    }


def _shares(values: pd.Series[str]) -> str:
    """`sculpture 60 %, painting 40 %`"""
    return ", ".join(f"{n} {s:.0%}" for n, s in values.value_counts(normalize=True).items())


def _advice(kept: pd.DataFrame, settings: BalanceSettings) -> str:
    """What to collect next for a category, in words."""
    if kept.empty:
        return f"{settings.target} pictures"
    sources = kept["source"].value_counts(normalize=True)
    mediums = kept["medium"].value_counts(normalize=True)
    wishes = []
    if len(kept) < settings.target:
        wishes.append(f"{settings.target - len(kept)} more")
    if len(sources) < settings.least_sources:
        wishes.append(f"from other sources ({sources.iloc[0]:.0%} are of {sources.index[0]})")
    if mediums.iloc[0] > ONE_SIDED and mediums.index[0] != UNKNOWN:
        wishes.append(f"other than {mediums.index[0]} ({mediums.iloc[0]:.0%})")
    return ", ".join(wishes)
