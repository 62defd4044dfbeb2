"""Publish a dataset folder: what may be passed on, with credits, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from data_prep.publish.publication import Publication
    from data_prep.table import Table

PAGES = ("report", "explore")  # steps that only show the table: what is published needs neither

command = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Dataset folder (metadata.csv).")]
Name = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Of the data set there.")]
Title = Annotated[str, typer.Option(help="What people read first; 6 to 50 characters.")]
Public = Annotated[
    bool,
    typer.Option(
        "--public", help="Show a new data set to everyone; an old one stays as visible as it is."
    ),
]
LicensePolicy = Annotated[
    Literal["open", "noncommercial"],
    typer.Option(
        help="open: public domain, CC0, CC BY, CC BY-SA; noncommercial: CC BY-NC(-SA) and "
        "No Copyright - Non-Commercial Use Only too."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go; send nothing.")]


@command.callback()
def main() -> None:
    """Publish kept pictures whose licence allows it, with their credits.

    The second time, a new version is made, with notes on what changed. Credentials come from the
    environment or from the files of Kaggle's and the Hub's own tools.
    """


@command.command("kaggle")
def to_kaggle(
    folder: Folder,
    name: Name,
    title: Title,
    subtitle: Annotated[str, typer.Option(help="20 to 80 characters.")] = "",
    public: Public = False,
    license_policy: LicensePolicy = "open",
    dry_run: DryRun = False,
) -> None:
    """Publish on Kaggle.

    \b
    Example:
      python -m data_prep publish kaggle pictures someone/deities --title Deities --dry-run
    """
    from data_prep.publish.kaggle import publish_kaggle

    def publish() -> Publication:
        return publish_kaggle(
            _prepared(folder), name, title,
            subtitle=subtitle, public=public, policy=license_policy, dry_run=dry_run,
        )  # fmt: skip

    _report(publish)


@command.command("hub")
def to_hub(
    folder: Folder,
    name: Name,
    title: Title,
    public: Public = False,
    license_policy: LicensePolicy = "open",
    dry_run: DryRun = False,
) -> None:
    """Publish on the Hugging Face Hub.

    \b
    Example:
      python -m data_prep publish hub pictures someone/deities --title Deities --dry-run
    """
    from data_prep.publish.hub import publish_hub

    def publish() -> Publication:
        return publish_hub(
            _prepared(folder), name, title,
            public=public, policy=license_policy, dry_run=dry_run,
        )  # fmt: skip

    _report(publish)


def _prepared(folder: Path) -> Table:
    """The table, unless a step that ran would make something else of it now."""
    from data_prep.prepare import standings

    table, stands = standings(folder)
    stale = [stand.step for stand in stands if stand.run and stand.stale]
    if outdated := [step for step in stale if step not in PAGES]:
        advice = f"run python -m data_prep prepare {folder} first"
        raise ValueError(f"the table lacks the present result of {', '.join(outdated)}: {advice}")
    return table


def _report(publish: Callable[[], Publication]) -> None:
    """Tell what was published, or in one sentence why not; the exit status is then 1."""
    try:
        print("\n".join(publish().lines()))
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
