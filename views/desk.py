"""The review desk: a component in the page, and what it is given.

Its own HTML, CSS and JavaScript lie beside this file. It decides through `ideitify.review_api`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import streamlit as st

from ideitify import knowledge
from ideitify.dataset import NONE_CATEGORY
from ideitify.decisions import REASONS, Decision
from ideitify.knowledge import has_entry
from ideitify.review import Item, name_of
from ideitify.review_api import PICTURE_SIDE, THUMBNAIL_SIDE, picture_key, reviewer_token

HERE = Path(__file__).parent
WINDOW = 200  # pictures, or groups of them, handed to the browser at a time
LOOK_BACK = 20  # of those decided before, so that they can be seen and undone after a reload
SIGNS = 3  # things to check that are shown beside the picture

desk = st.components.v2.component(
    "ideitify_review",
    html=(HERE / "desk.html").read_text("utf-8"),
    css=(HERE / "desk.css").read_text("utf-8"),
    js=(HERE / "desk.js").read_text("utf-8"),
    isolate_styles=False,
)


def desk_data(queue: Sequence[Item], who: str, categories: Iterable[str]) -> dict[str, Any]:
    """What the component shows: what was decided last, then what is to be decided next.

    Args:
        queue: see `ideitify.review.review_queue`.
        categories: those of the data set, to choose from beside those that have an entry.
    """
    together: dict[str, list[Item]] = {}
    for item in queue:
        together.setdefault(item.place, []).append(item)
    left = [items for items in together.values() if any(map(is_left, items))]
    done = [items for items in together.values() if not any(map(is_left, items))]
    done.sort(key=lambda items: max(item.decision.when for item in items if item.decision))
    shown = chain.from_iterable([*done[-LOOK_BACK:], *left[:WINDOW]])
    asked = [item for item in queue if item.asked]
    return {
        "who": who,
        "token": reviewer_token(who),
        "items": [item_data(item) for item in shown],
        "categories": {
            slug: category_data(slug) for slug in sorted({*categories, *knowledge()}, key=name_of)
        },
        "reasons": list(REASONS),
        "done": sum(not is_left(item) for item in asked),
        "left": sum(is_left(item) for item in asked),
        "more": len(left) > WINDOW,
    }


def is_left(item: Item) -> bool:
    """Whether the reviewer is still to decide."""
    return item.asked and item.decision is None


def item_data(item: Item) -> dict[str, Any]:
    """One picture as the component wants it."""
    row = item.row
    address = f"pictures/{quote(item.file_name)}?key={picture_key(item.file_name)}&side="
    return {
        "file": item.file_name,
        "key": picture_key(item.file_name),
        "picture": f"{address}{PICTURE_SIDE}",
        "thumbnail": f"{address}{THUMBNAIL_SIDE}",
        "category": item.category,
        "asked": item.asked,
        "why": item.why,
        "guesses": item.guesses[:3],
        "group": item.group,
        "decision": item.decision and decision_data(item.decision),
        "facts": {
            name: row[column]
            for name, column in {
                "Title": "title", "By": "creator", "Source": "source", "Searched": "query",
            }.items()
            if row.get(column)
        },
        "size": f"{row['width']} × {row['height']}" if row.get("width") else "",
        "url": next((u for u in (row.get("uri"), row.get("url")) if u and is_web(u)), ""),
    }  # fmt: skip


def decision_data(decision: Decision) -> dict[str, str]:
    """A standing decision as the component wants it."""
    return {
        "when": decision.when, "action": decision.action,
        "category": decision.category, "reason": decision.reason,
    }  # fmt: skip


def is_web(address: str) -> bool:
    """Whether a link may be followed: harvested rows could hold `javascript:`."""
    return address.startswith(("https://", "http://"))


def category_data(slug: str) -> dict[str, Any]:
    """A category's name, what finds it when its name is typed, and what to check."""
    if not has_entry(slug):
        return {"name": name_of(slug), "words": slug, "signs": []}
    entry = knowledge()[slug]
    signs = [phrase for _, phrases in entry.look_for for phrase in phrases]
    return {
        "name": entry.name if slug != NONE_CATEGORY else "No deity",
        "words": " ".join([slug, *entry.all_names()]).casefold(),
        "signs": signs[:SIGNS],
    }
