"""What changed since the last version, in words, for those who have it already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Row = Mapping[str, str]

NAMED_CATEGORIES = 8  # notes are read in a list of versions, where long ones are cut off


def version_notes(previous: Sequence[Row] | None, rows: Sequence[Row]) -> str:
    """Say what is new.

    Args:
        previous: rows of the last version, None if this is the first.
        rows: rows of this version.

    Returns:
        One or a few sentences; "" if nothing changed.
    """
    now = f"{_pictures(len(rows))} in {_categories(rows)}"
    if previous is None:
        return f"First version: {now}."
    old, new = ({_content(row): row for row in side} for side in (previous, rows))
    added, removed = new.keys() - old.keys(), old.keys() - new.keys()
    both = old.keys() & new.keys()
    relabelled = {key for key in both if old[key]["category"] != new[key]["category"]}
    edited = {key for key in both - relabelled if _facts(old[key]) != _facts(new[key])}
    changes = {
        f"{_pictures(len(added))} added{_where(new[key] for key in added)}": added,
        f"{_pictures(len(removed))} removed{_where(old[key] for key in removed)}": removed,
        f"{_pictures(len(relabelled))} relabelled": relabelled,
        f"details of {_pictures(len(edited))} corrected": edited,
    }
    told = "; ".join(words for words, keys in changes.items() if keys)
    return f"{told}. Now {now}." if told else ""


def _content(row: Row) -> str:
    return row.get("sha256") or row["file_name"]


def _facts(row: Row) -> dict[str, str]:
    """What a reader would call the row's content: an empty cell is as good as none."""
    return {column: value for column, value in row.items() if value and column != "file_name"}


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _categories(rows: Iterable[Row]) -> str:
    count = len({row["category"] for row in rows})
    return "1 category" if count == 1 else f"{count} categories"


def _where(rows: Iterable[Row]) -> str:
    counts = sorted(
        Counter(row["category"] for row in rows).items(), key=lambda item: (-item[1], item[0])
    )
    named = [f"{category} {count}" for category, count in counts[:NAMED_CATEGORIES]]
    more = len(counts) - len(named)
    return f" ({', '.join(named)}{f' and {more} more categories' if more else ''})"
