"""Apply what people decided: `decisions.csv` is the one home of it, whoever wrote it there.

The review page, Label Studio and Zooniverse all append to it. Each reviewer's last word on a
picture counts; where several spoke, the majority does, and a tie goes back to review for somebody
else. Rows that people decided carry their names in `decided_by`, and no later step touches them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data_prep.table import DECIDED_BY, KEPT, REJECTED, REVIEW, Table
from ideitify.dataset import read_rows
from ideitify.decisions import (
    DECISIONS_NAME,
    Decision,
    append_decisions,
    read_decisions,
    standing,
)

CHANGED = ["status", "reject_reason", "category", "label_source", DECIDED_BY]
BINDING = True  # what people decided is undone in their file, nowhere else

logger = logging.getLogger(__name__)


class ExportError(ValueError):
    """What another tool exported cannot be read; the message says where and what to do."""


class DecisionsSettings(BaseModel):
    """When a decision counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reviewers: int = Field(
        1, ge=1, description="least number of them for a picture; more where labels must be certain"
    )


def decisions(table: Table, settings: DecisionsSettings) -> Table:
    """Set status, category, reason and label source of the pictures that people decided on.

    Raises:
        DatasetError: the file of decisions cannot be read.
    """
    made = standing(read_decisions(table.folder))
    votes = {
        name: [decision for decision in by_reviewer.values() if decision.outcome]
        for name, by_reviewer in made.items()
    }
    decided = {name: said for name, said in votes.items() if len(said) >= settings.reviewers}
    if missing := decided.keys() - set(table.rows.index):
        logger.info("decided on, but no longer in the table: %d pictures", len(missing))
    here = [name for name in decided if name not in missing]
    if not here:
        return table
    rows = table.rows.loc[here]
    changes = [_changes(row["category"], decided[str(name)]) for name, row in rows.iterrows()]
    table.rows.loc[here, CHANGED] = pd.DataFrame(changes, index=here)[CHANGED]
    counts = Counter(change["status"] for change in changes)
    logger.info(
        "decided by people: %d kept, %d rejected, %d disputed",
        counts[KEPT], counts[REJECTED], counts[REVIEW],
    )  # fmt: skip
    return table


def reads(table: Table) -> list[Path]:
    """What the result depends on beside the table."""
    return [table.folder / DECISIONS_NAME]


def _changes(category: str, said: Sequence[Decision]) -> Mapping[str, str]:
    """What a picture's row becomes."""
    outcome, names = _majority(said)
    change = {"label_source": "human", DECIDED_BY: ", ".join(names)}
    if outcome is None:
        views = ", ".join(f"{decision.who}: {decision.outcome}" for decision in said)
        reason = f"reviewers disagree: {views}"
        return change | {"status": REVIEW, "reject_reason": reason, "category": category}
    if outcome.action == "reject":
        reason = outcome.reason or "rejected"
        return change | {"status": REJECTED, "reject_reason": reason, "category": category}
    return change | {"status": KEPT, "reject_reason": "", "category": outcome.category}


def _majority(said: Sequence[Decision]) -> tuple[Decision | None, list[str]]:
    """The decision that most reviewers share and who they are; None and all of them at a tie."""
    ranked = Counter(decision.outcome for decision in said).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None, sorted(decision.who for decision in said)
    winners = [decision for decision in said if decision.outcome == ranked[0][0]]
    return winners[0], sorted(decision.who for decision in winners)


@dataclass(frozen=True)
class Imported:
    """How many decisions came from elsewhere, were there already, or are about other pictures."""

    added: int
    known: int
    elsewhere: int

    def __str__(self) -> str:
        """In one line, for the terminal."""
        parts = [f"{self.added} decisions added"]
        parts += [f"{self.known} were there already"] if self.known else []
        parts += [f"{self.elsewhere} are about pictures not in here"] if self.elsewhere else []
        return ", ".join(parts)


def import_decisions(folder: Path, decisions: Sequence[Decision]) -> Imported:
    """Append decisions made elsewhere; importing the same ones again adds nothing.

    Raises:
        DatasetError: the folder or its file of decisions cannot be read.
    """
    names = {row["file_name"] for row in read_rows(folder)}
    before = set(read_decisions(folder))
    here = [decision for decision in decisions if decision.file_name in names]
    new = [decision for decision in here if decision not in before]
    if new:
        append_decisions(folder, new)
    return Imported(len(new), len(here) - len(new), len(decisions) - len(here))
