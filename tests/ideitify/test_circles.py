"""When no name is sure enough, the narrowest circle that is sure enough is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ideitify import Entry
from ideitify.circles import Broader, broader, circles_of
from ideitify.knowledge import knowledge


def entry(slug: str, **fields: Any) -> Entry:
    return Entry.model_validate({
        "slug": slug, "name": slug.title(), "kind": "deity", "tradition": "Hinduism",
        "sources": [{"title": "A"}, {"title": "B"}], "search": {"terms": {"en": [slug]}},
        "body": "Text.", **fields,
    })  # fmt: skip


ENTRIES = {
    item.slug: item
    for item in (
        entry("vishnu", family="Vishnu and his forms"),
        entry("krishna", family="Vishnu and his forms", form_of="vishnu"),
        entry("jagannath", family="Vishnu and his forms", form_of="krishna"),
        entry("rama", family="Vishnu and his forms", form_of="vishnu"),
        entry("durga"),
        entry("zeus", tradition="Ancient Greek religion", family="Olympian gods"),
        entry("hera", tradition="Ancient Greek religion", family="Olympian gods"),
        entry("hades", tradition="Ancient Greek religion"),
        entry("none", kind="none", tradition=None),
    )
}
LABELS = list(ENTRIES)
CIRCLES = circles_of(LABELS, ENTRIES)


def named(least: float = 0.8, **probabilities: float) -> Broader | None:
    given = np.array([probabilities.get(label, 0.0) for label in LABELS])
    return broader(given, CIRCLES, least)


def test_circles_are_a_deity_with_its_forms_a_family_and_a_tradition() -> None:
    found = [(c.kind, c.name, {LABELS[i] for i in c.members}) for c in CIRCLES]
    assert found == [
        ("form", "krishna", {"krishna", "jagannath"}),
        ("family", "Olympian gods", {"zeus", "hera"}),
        ("tradition", "Ancient Greek religion", {"zeus", "hera", "hades"}),
        ("form", "vishnu", {"vishnu", "krishna", "jagannath", "rama"}),
        ("family", "Vishnu and his forms", {"vishnu", "krishna", "jagannath", "rama"}),
        ("tradition", "Hinduism", {"vishnu", "krishna", "jagannath", "rama", "durga"}),
    ]


def test_a_deity_that_is_no_label_still_has_forms_that_are() -> None:
    circles = circles_of(["krishna", "rama", "zeus"], ENTRIES)
    assert [circle.name for circle in circles if circle.kind == "form"] == ["vishnu"]


@pytest.mark.parametrize(
    ("probabilities", "name"),
    [
        ({"krishna": 0.5, "jagannath": 0.4, "zeus": 0.1}, "krishna"),
        ({"krishna": 0.5, "rama": 0.4, "zeus": 0.1}, "vishnu"),
        ({"krishna": 0.5, "durga": 0.4, "zeus": 0.1}, "Hinduism"),
        ({"zeus": 0.5, "hera": 0.4, "none": 0.1}, "Olympian gods"),
        ({"zeus": 0.5, "hades": 0.4, "none": 0.1}, "Ancient Greek religion"),
    ],
)
def test_the_narrowest_circle_that_is_likely_enough_is_named(
    probabilities: dict[str, float], name: str
) -> None:
    found = named(**probabilities)
    assert found is not None
    assert found.name == name
    assert found.probability == pytest.approx(0.9)


def test_nothing_is_named_across_traditions_or_for_nobody() -> None:
    assert named(krishna=0.5, zeus=0.5) is None
    assert named(none=0.9, zeus=0.1) is None


def test_of_circles_of_one_size_the_likeliest_is_named() -> None:
    found = named(0.3, krishna=0.2, jagannath=0.2, zeus=0.3, hera=0.3)
    assert found == Broader("family", "Olympian gods", "Ancient Greek religion", 0.6)


def test_a_form_is_said_before_a_family_with_the_same_members() -> None:
    found = named(vishnu=0.5, rama=0.5)
    assert found == Broader("form", "vishnu", "Hinduism", 1.0)


def test_every_circle_of_the_shipped_entries_has_two_members_and_never_nobody() -> None:
    labels = list(knowledge())
    for circle in circles_of(labels):
        assert len(circle.members) > 1
        assert labels.index("none") not in circle.members
