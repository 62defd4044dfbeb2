"""What the ledger knows, as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Column, Table

from scraper.ledger import Ledger
from scraper.ledger.records import Health, Outcome, Selection
from scraper.source import Source

WIDTH_OF_A_LOG = 160  # characters, where the output is no terminal


def report_console() -> Console:
    """Standard output; names and sentences are shown as they are, whatever brackets they have."""
    console = Console(markup=False, highlight=False)
    return (
        console
        if console.is_terminal
        else Console(markup=False, highlight=False, width=WIDTH_OF_A_LOG)
    )


def show_status(console: Console, ledger: Ledger, selection: Selection) -> None:
    """Counts per class, source and licence; why things failed; what politeness did."""
    counts = ledger.counts(selection)
    if not counts:
        console.print("Nothing was found yet: begin with python -m scraper harvest --help")
        return
    console.print(_counts_table(counts))
    if checked := _checked(ledger.health(selection)):
        console.print(f"Of the pictures that were checked: {checked}.")
    show_failures(console, ledger, selection)
    if events := ledger.host_events():
        console.print(_hosts_table(events))


def show_classes(
    console: Console,
    ledger: Ledger,
    selection: Selection,
    limit: int,
    goal: Literal["found", "stored"],
) -> list[str]:
    """What there is of each class; returns the classes with fewer than `limit` of the goal."""
    classes: dict[str, Counter[str]] = {slug: Counter() for slug in selection.classes}
    for slug, _, _, outcome, count in ledger.counts(selection):
        classes.setdefault(slug, Counter()).update({"found": count, outcome: count})
    short = [slug for slug, counts in classes.items() if counts[goal] < limit]
    names = ("found", Outcome.STORED, Outcome.WAITING)
    table = Table("class", *(Column(name, justify="right") for name in (*names, "wanted")), "")
    for slug, counts in classes.items():
        numbers = (counts["found"], counts[Outcome.STORED], counts[Outcome.WAITING], limit)
        table.add_row(slug, *map(str, numbers), "short" if slug in short else "")
    console.print(table)
    if goal == "stored" and any(counts[Outcome.WAITING] for counts in classes.values()):
        console.print("Waiting: not covered by --license-policy, or beyond --limit.")
    return short


def show_failures(console: Console, ledger: Ledger, selection: Selection, since: str = "") -> None:
    """What did not arrive and which searches failed, each with its reason."""
    if failures := ledger.failures(selection, since):
        table = Table("outcome", "reason", Column("pictures", justify="right"), "for example")
        for outcome, reason, count, sentence in failures:
            table.add_row(outcome, reason, str(count), sentence)
        console.print(table)
    for slug, source, error in ledger.failed_searches(selection, since):
        console.print(f"{source} did not finish searching for {slug}: {error}", style="red")


def show_sources(console: Console, sources: Iterable[type[Source]], on: Collection[str]) -> None:
    """What each source needs and on what terms; `on`: the names of those used by default."""
    table = Table("source", "by default", "needs", "terms and rights", show_lines=True)
    for source in sources:
        argument = getattr(source, "argument", "")
        name = Path(source.__module__).suffix.removeprefix(".")
        given = f"{name}={argument}" if argument else name
        table.add_row(given, "on" if name in on else "off", source.needs, source.note)
    console.print(table)


def _counts_table(counts: list[tuple[str, str, str, str, int]]) -> Table:
    names = [outcome.value for outcome in Outcome]
    numbers = [Column(name, justify="right") for name in ("found", *names)]
    table = Table("class", "source", "licence", *numbers)
    total: Counter[str] = Counter()
    for (slug, source, license_), row in _by_license(counts):
        table.add_row(slug, source, license_, str(row.total()), *(_cell(row[n]) for n in names))
        total += row
    table.add_section()
    table.add_row("all", "", "", str(total.total()), *(_cell(total[name]) for name in names))
    return table


def _by_license(
    counts: list[tuple[str, str, str, str, int]],
) -> Iterator[tuple[tuple[str, str, str], Counter[str]]]:
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for slug, source, license_, outcome, count in counts:
        rows.setdefault((slug, source, license_), Counter())[outcome] += count
    yield from rows.items()


def _cell(count: int) -> str:
    return str(count) if count else ""


def _checked(health: dict[tuple[str, str, str], int]) -> str:
    totals: Counter[str] = Counter()
    for (_, _, state), count in health.items():
        totals[state] += count
    return ", ".join(f"{totals[state]} {state}" for state in Health if totals[state])


def _hosts_table(events: list[tuple[str, str, int, str, str]]) -> Table:
    table = Table("host", "politeness", Column("times", justify="right"), "last", "when")
    for host, event, times, detail, when in events:
        table.add_row(host, event.replace("_", " "), str(times), detail, when[:16])
    return table
