"""`decisions.csv`: what people decided about pictures, one line a decision, never rewritten.

The review page appends to it, `data_prep` applies it; `data_prep` also brings the decisions of
Label Studio and Zooniverse here. It lives in `ideitify`, and without pandas, because it is where
the two meet: the page may import nothing but `ideitify`.
"""

from __future__ import annotations

import csv
import errno
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from io import RawIOBase
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from ideitify.dataset import PREPARED_NAME, DatasetError

DECISIONS_NAME = "decisions.csv"
Action = Literal["keep", "reject", "relabel", "skip", "undo"]

# What people give as a reason most often, in the order of the keys 1, 2, 3, …
REASONS = (
    "someone else, cannot tell who",
    "no deity",
    "too poor to recognise",
    "duplicate",
    "text, collage or screenshot",
    "made by a program",
    "not fit to be shown",
)


@dataclass(frozen=True)
class Decision:
    """One line of the file.

    What people type, `who` and `reason`, has single spaces; names of files stay as they are.

    Attributes:
        when: UTC, ISO 8601; decisions made at one stroke share it.
        who: the reviewer's name.
        file_name: the picture, as in `metadata.csv`.
        action: `keep` and `relabel` say that the picture shows `category`; `reject` takes it out
            for `reason`; `skip` leaves it to others; `undo` takes back the last of these.
        category: what the picture shows; empty but for `keep` and `relabel`.
        reason: in words.
    """

    when: str
    who: str
    file_name: str
    action: Action
    category: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        for typed in ("who", "reason"):  # here, so that what was read equals what was made
            object.__setattr__(self, typed, " ".join(getattr(self, typed).split()))

    @property
    def outcome(self) -> str:
        """What the picture becomes: a category, or `reject`; empty for a skip."""
        return {"reject": "reject", "skip": ""}.get(self.action, self.category)


COLUMNS = tuple(column.name for column in fields(Decision))


@dataclass(frozen=True)
class Agreement:
    """How far two reviewers agree on the pictures that both decided.

    Attributes:
        pictures: how many those are.
        agreed: how many of them have the same outcome from both.
        kappa: Cohen's kappa (Educational and Psychological Measurement, 1960): 1 is full
            agreement, 0 what chance alone would give; None where chance alone gives full agreement.
    """

    first: str
    second: str
    pictures: int
    agreed: int
    kappa: float | None


def now() -> str:
    """The time as decisions have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_decisions(folder: Path) -> list[Decision]:
    """Read every decision, in the order in which they were made; none where there is no file.

    Raises:
        DatasetError: not UTF-8 or not CSV, another header, or a line that is no decision.
    """
    path = folder / DECISIONS_NAME
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, list(COLUMNS))
            lines = [(reader.line_num, line) for line in reader if line]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 ({error}); save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise DatasetError(f"{path} is not CSV: {error}; restore it from a copy") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    if header != list(COLUMNS):
        raise DatasetError(f"{path} must begin with the line {','.join(COLUMNS)}")
    return [_decision(line, f"{path} line {number}") for number, line in lines]


def _decision(line: Sequence[str], where: str) -> Decision:
    if len(line) != len(COLUMNS):
        raise DatasetError(f"{where} has not as many fields as the header; mend or remove it")
    decision = Decision(*line)  # type: ignore[arg-type]
    if decision.action not in get_args(Action):
        raise DatasetError(
            f"{where}: there is no action {decision.action!r}; use {', '.join(get_args(Action))}"
        )
    return decision


def append_decisions(folder: Path, decisions: Iterable[Decision]) -> None:
    """Append decisions; they are on the disk when this returns, all of them or none.

    Raises:
        OSError: they could not be written.
    """
    lines = io.StringIO()
    # Without quotes, a carriage return in a file's name would make the line unreadable.
    writer = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(astuple(decision) for decision in decisions)
    path, state = folder / DECISIONS_NAME, folder / PREPARED_NAME
    state.mkdir(exist_ok=True)
    with FileLock(state / "decisions.lock", timeout=10), path.open("ab", buffering=0) as file:
        size = file.tell()
        start = _line_end(path) if size else f"{','.join(COLUMNS)}\n"
        _write_or_restore(file, size, (start + lines.getvalue()).encode())


def _line_end(path: Path) -> str:
    """What is missing to begin a new line: editors may save a file without its last line break."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return "" if file.read() == b"\n" else "\n"


def _write_or_restore(file: RawIOBase, size: int, content: bytes) -> None:
    try:
        if file.write(content) != len(content):  # what a disk does when it gets full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        os.truncate(file.fileno(), size)
        raise


def standing(decisions: Iterable[Decision]) -> dict[str, dict[str, Decision]]:
    """What stands after corrections and undos.

    Returns:
        file name -> reviewer -> their last decision that was not undone, skips included.
    """
    made: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        stack = made.setdefault((decision.file_name, decision.who), [])
        if decision.action != "undo":
            stack.append(decision)
        elif stack:
            stack.pop()
    result: dict[str, dict[str, Decision]] = {}
    for (file_name, who), stack in made.items():
        if stack:
            result.setdefault(file_name, {})[who] = stack[-1]
    return result


def agreements(decisions: Iterable[Decision]) -> list[Agreement]:
    """Every pair of reviewers who decided the same pictures, those with most of them first."""
    outcomes: dict[str, dict[str, str]] = {}
    for file_name, by_reviewer in standing(decisions).items():
        for who, decision in by_reviewer.items():
            if decision.outcome:
                outcomes.setdefault(who, {})[file_name] = decision.outcome
    pairs = [
        _agreement(first, second, outcomes[first], outcomes[second])
        for first, second in combinations(sorted(outcomes), 2)
        if outcomes[first].keys() & outcomes[second].keys()
    ]
    return sorted(pairs, key=lambda pair: -pair.pictures)


def _agreement(first: str, second: str, one: dict[str, str], other: dict[str, str]) -> Agreement:
    shared = one.keys() & other.keys()
    agreed = sum(one[name] == other[name] for name in shared)
    firsts, seconds = Counter(one[name] for name in shared), Counter(other[name] for name in shared)
    by_chance = sum(firsts[outcome] * seconds[outcome] for outcome in firsts) / len(shared)
    kappa = None
    if by_chance < len(shared):
        kappa = (agreed - by_chance) / (len(shared) - by_chance)
    return Agreement(first, second, len(shared), agreed, kappa)
