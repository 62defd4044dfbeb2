"""What is to be reviewed, and in which order."""

from __future__ import annotations

import pytest

from ideitify.decisions import Action, Decision
from ideitify.review import Row, read_guesses, reason_kind, review_queue, write_guesses


def row(name: str, status: str = "review", **columns: str) -> Row:
    return {"file_name": name, "category": "ganesha", "status": status, **columns}


def said(who: str, name: str, action: Action) -> Decision:
    return Decision("", who, name, action, "ganesha" if action == "keep" else "")


def names(rows: list[Row], decisions: list[Decision] | None = None) -> list[str]:
    return [item.file_name for item in review_queue(rows, decisions or [], "Asha")]


def test_only_what_a_step_sent_to_review() -> None:
    assert names([row("1"), row("2", "kept"), row("3", "rejected")]) == ["1"]


def test_the_most_doubtful_come_first() -> None:
    rows = [
        row("sure", weak_probability="0.8"),
        row("unknown"),
        row("wrong", weak_probability="0.9", label_score="0.05"),
    ]
    assert names(rows) == ["wrong", "unknown", "sure"]


def test_copies_stay_together_and_come_with_the_kept_one() -> None:
    rows = [
        row("a", weak_probability="0.7", duplicate_group="x"),
        row("b", weak_probability="0.3"),
        row("c", weak_probability="0.1", duplicate_group="x"),
        row("d", "kept", duplicate_group="x"),
        row("e", "rejected", duplicate_group="x"),
        row("f", "kept", duplicate_group="y"),
    ]
    queue = review_queue(rows, [], "Asha")
    assert [item.file_name for item in queue] == ["c", "a", "d", "b"]
    assert [item.asked for item in queue] == [True, True, False, True]
    assert [item.group for item in queue] == ["x", "x", "x", ""]


def test_too_many_copies_are_shown_one_by_one() -> None:
    queue = review_queue([row(str(n), duplicate_group="x") for n in range(9)], [], "Asha")
    assert {item.group for item in queue} == {""}


def test_each_reviewer_has_their_own_decisions_and_only_counts_the_others() -> None:
    made = [said("Asha", "1", "keep"), said("Ravi", "1", "reject"), said("Mira", "1", "skip")]
    (item,) = review_queue([row("1")], made, "Asha")
    assert item.decision == made[0]
    assert item.others == 1
    (item,) = review_queue([row("1")], made, "Noor")
    assert (item.decision, item.others) == (None, 2)


def test_what_the_reviewer_decided_stays_in_reach_when_it_was_applied() -> None:
    (item,) = review_queue(
        [row("1", "kept"), row("2", "kept")], [said("Asha", "1", "keep")], "Asha"
    )
    assert (item.file_name, item.asked) == ("1", True)
    assert names([row("1", "kept")], [said("Ravi", "1", "keep")]) == []


def test_who_else_it_may_be_comes_from_weak_or_from_labels() -> None:
    rows = [
        row("1", guesses="ganesha 0.5, shiva 0.4", suggested_category="durga"),
        row("2", suggested_category="durga"),
        row("3", suggested_category="ganesha"),
    ]
    guesses = {item.file_name: item.guesses for item in review_queue(rows, [], "Asha")}
    assert guesses == {"1": [("shiva", 0.4)], "2": [("durga", None)], "3": []}


def test_a_name_that_is_surer_than_the_label_is_doubt() -> None:
    rows = [
        row("agrees", weak_probability="0.7", weak_category="ganesha"),
        row("differs", weak_probability="0.7", weak_category="shiva"),
    ]
    assert [round(item.doubt, 2) for item in review_queue(rows, [], "Asha")] == [0.7, 0.3]


def test_guesses_are_written_and_read() -> None:
    guesses = [("radha-krishna", 0.81), ("shiva", 0.1)]
    assert read_guesses(write_guesses(guesses)) == guesses
    assert read_guesses("") == []
    assert read_guesses("whatever a table may hold") == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("blurry", "blurry"),
        ("near duplicate of images/shiva/a.jpg", "near duplicate"),
        ("label conflict: the same picture is under shiva", "label conflict"),
        ("over the cap of 500 pictures of museum in ganesha", "over the cap"),
    ],
)
def test_a_reason_s_kind_is_what_comes_before_its_details(reason: str, kind: str) -> None:
    assert reason_kind(reason) == kind
