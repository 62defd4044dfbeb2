"""People's decisions become the table's, and can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.decisions import DecisionsSettings, decisions
from data_prep.table import Table, read_table
from ideitify.dataset import write_rows
from ideitify.decisions import Action, Decision, append_decisions


@pytest.fixture
def table(tmp_path: Path) -> Table:
    write_rows(
        tmp_path,
        [
            {"file_name": f"images/ganesha/{number}.jpg", "category": "ganesha",
             "status": "review", "reject_reason": "labels: odd", "label_source": "scraper"}
            for number in range(4)
        ],
    )  # fmt: skip
    return read_table(tmp_path)


def decide(table: Table, who: str, number: int, action: Action, word: str = "") -> None:
    category, reason = ("", word) if action == "reject" else (word, "")
    name = f"images/ganesha/{number}.jpg"
    append_decisions(
        table.folder, [Decision("2026-01-01T00:00:00Z", who, name, action, category, reason)]
    )


def state(table: Table, number: int) -> list[str]:
    row = table.rows.loc[f"images/ganesha/{number}.jpg"]
    columns = ["status", "reject_reason", "category", "label_source", "decided_by"]
    return [str(row[column]) for column in columns]


def test_keep_relabel_reject_and_skip(table: Table) -> None:
    decide(table, "Asha", 0, "keep", "ganesha")
    decide(table, "Asha", 1, "relabel", "shiva")
    decide(table, "Asha", 2, "reject", "no deity")
    decide(table, "Asha", 3, "skip")
    decisions(table, DecisionsSettings())
    assert state(table, 0) == ["kept", "", "ganesha", "human", "Asha"]
    assert state(table, 1) == ["kept", "", "shiva", "human", "Asha"]
    assert state(table, 2) == ["rejected", "no deity", "ganesha", "human", "Asha"]
    assert state(table, 3) == ["review", "labels: odd", "ganesha", "scraper", ""]


def test_no_later_step_touches_them(table: Table) -> None:
    decide(table, "Asha", 0, "keep", "ganesha")
    decisions(table, DecisionsSettings())
    table.reject("images/ganesha/0.jpg", "blurry")
    table.doubt("images/ganesha/0.jpg", "odd")
    assert state(table, 0)[0] == "kept"


def test_the_majority_decides_and_a_tie_goes_to_somebody_else(table: Table) -> None:
    for who, word in (("Asha", "shiva"), ("Ravi", "ganesha"), ("Mira", "shiva")):
        decide(table, who, 0, "keep", word)
    decide(table, "Asha", 1, "keep", "ganesha")
    decide(table, "Ravi", 1, "reject", "no deity")
    decisions(table, DecisionsSettings())
    assert state(table, 0) == ["kept", "", "shiva", "human", "Asha, Mira"]
    assert state(table, 1)[:2] == ["review", "reviewers disagree: Asha: ganesha, Ravi: reject"]
    assert state(table, 1)[4] == "Asha, Ravi"


def test_more_reviewers_can_be_asked_for(table: Table) -> None:
    decide(table, "Asha", 0, "keep", "ganesha")
    decide(table, "Asha", 1, "keep", "ganesha")
    decide(table, "Ravi", 1, "keep", "ganesha")
    decisions(table, DecisionsSettings(reviewers=2))
    assert state(table, 0)[0] == "review"
    assert state(table, 1)[0] == "kept"


def test_an_undone_decision_leaves_the_row_as_it_was(table: Table) -> None:
    decide(table, "Asha", 0, "reject", "no deity")
    decide(table, "Asha", 0, "undo")
    before = state(table, 0)
    assert state(decisions(table, DecisionsSettings()), 0) == before


def test_pictures_that_are_gone_are_counted_and_do_no_harm(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "data_prep")
    decide(table, "Asha", 77, "keep", "ganesha")
    before = table.rows.copy()
    assert decisions(table, DecisionsSettings()).rows.equals(before)
    assert "no longer in the table: 1" in caplog.text
