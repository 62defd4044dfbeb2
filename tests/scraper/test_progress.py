"""How far a run is, is shown: live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import scraper.progress
from scraper.ledger.records import Attempt, Item, Outcome, Settled, now
from scraper.progress import Board

ITEM = Item("key", "https://met.example/1.jpg", 1, "ganesha", "met")


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=120), written


def happen(board: Board) -> None:
    """A search, two plans, a failure and two ends."""
    board.search("met", "ganesha")
    board.find("met", 3)
    board.plan([ITEM, ITEM])
    board.plan([ITEM])
    board.fail("google", "the page no longer fits [here]")
    for outcome in (Outcome.STORED, Outcome.REFUSED):
        board.settle(Settled(Attempt(ITEM, now()), outcome))


def test_a_log_has_a_line_per_source(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, written = console(terminal=False)
    with Board(shown) as board:
        happen(board)
    assert written.getvalue() == (
        "google: the page no longer fits [here]\n"
        "met: 3 found, 1 to fetch, 1 stored, 1 refused (searching for ganesha)\n"
    )


def test_a_log_is_written_while_things_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraper.progress, "LINE_SECONDS", 0.0)
    shown, written = console(terminal=False)
    with Board(shown) as board:
        happen(board)
        assert "met: 3 found, 3 to fetch" in written.getvalue()


def test_a_terminal_has_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, written = console(terminal=True)
    with Board(shown) as board:
        happen(board)
    table = written.getvalue().rpartition("source")[2]
    row = next(line for line in table.splitlines() if "met" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "met", "ganesha", "3", "1", "1", "0", "1", "0", "0", "0",
    ]  # fmt: skip
    assert "the page no longer fits [here]" in written.getvalue()


def test_where_nothing_happened_nothing_is_written() -> None:
    shown, written = console(terminal=False)
    with Board(shown):
        pass
    assert written.getvalue() == ""
