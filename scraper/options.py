"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

ALL = "all"


class LicensePolicy(StrEnum):
    """Which pictures are downloaded."""

    OPEN = "open"
    NONCOMMERCIAL = "noncommercial"
    ANY = "any"


class Engine(StrEnum):
    """Where the work is done."""

    LOCAL = "local"
    RAY = "ray"


def _again(option: str, metavar: str, help: str) -> Any:
    """An option that may be given several times, or not at all."""
    return typer.Option(
        option, metavar=metavar, help=help, default_factory=list, show_default=False
    )


Classes = Annotated[
    list[str], _again("--class", "SLUG", 'A class, again for more; "all" for every one.')
]
Tradition = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="All classes of a tradition.", show_default=False),
]
Sources = Annotated[
    list[str],
    _again(
        "--source", "NAME",
        "A source, again for more. By default those that `sources` lists as on.",
    ),
]  # fmt: skip
OnlyClasses = Annotated[list[str], _again("--class", "SLUG", "Only this class, again for more.")]
OnlySources = Annotated[
    list[str], _again("--source", "NAME", "Only from this source, again for more.")
]
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Pictures per class and source.")]
Policy = Annotated[
    LicensePolicy,
    typer.Option(
        "--license-policy",
        help="Download what is free for any use, also what is only for non-commercial use, or "
        "anything: then the rights are for you to clear.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Dataset folder.", file_okay=False)]
LedgerAt = Annotated[
    str | None,
    typer.Option(
        "--ledger", metavar="URL",
        help="Database to use instead of ledger.sqlite in the dataset folder, such as "
        "postgresql+psycopg://host/name.",
        show_default=False,
    ),
]  # fmt: skip
AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Reach private and loopback addresses too; for servers of yours."
    ),
]
Again = Annotated[
    bool,
    typer.Option("--again", help="Repeat complete searches, and try what was refused for good."),
]
ShowBrowser = Annotated[
    bool, typer.Option("--show-browser", help="Show the browser of sources that use one.")
]
EngineName = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="Work here, or on a Ray cluster whose nodes share the dataset folder; there --ledger "
        "is a PostgreSQL database.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Of the Ray cluster; by default the one that Ray finds.",
        show_default=False,
    ),
]
OUT = Path("data")
LIMIT = 100
