"""The command line: `python -m scraper --help`.

What a command needs is imported inside it, so that each starts as fast as it can.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, get_args

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from scraper.cluster import Site
    from scraper.download import Wanted
    from scraper.ledger import Ledger
    from scraper.ledger.records import Selection
    from scraper.settings import ScraperSettings
    from scraper.source import Concept, Source
    from scraper.web import PoliteWeb

INTERRUPTED = 130  # what shells say of Ctrl-C
ALL = "all"

app = typer.Typer(
    help="Collect pictures of deities, each with its source and licence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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


@app.command()
def harvest(
    classes: Classes,
    sources: Sources,
    tradition: Tradition = None,
    limit: Limit = LIMIT,
    policy: Policy = LicensePolicy.OPEN,
    out: Out = OUT,
    ledger: LedgerAt = None,
    again: Again = False,
    show_browser: ShowBrowser = False,
    allow_private: AllowPrivate = False,
) -> None:
    """Find pictures and download them, at the same time.

    Interrupt it whenever you like: the same command goes on where it stopped. The exit status is 0
    if all goes well, 1 if a class has fewer pictures than --limit or a source failed, 2 for wrong
    usage and where it cannot go on, with a full disk for example.

    \b
    Examples:
      python -m scraper harvest --class ganesha --class durga --limit 200
      python -m scraper harvest --tradition Hinduism --source commons --source met
      python -m scraper harvest --class ganesha --source urls=pictures.csv
    """
    from scraper.download import download
    from scraper.find import finding
    from scraper.ledger.records import now
    from scraper.progress import Board

    started = now()
    with _clear_errors():
        concepts = _concepts(classes, tradition)
        with _work(out, ledger, sources, allow_private, show_browser) as work:
            wanted = _wanted(_slugs(concepts), work.names, policy, limit, again)
            searching = (work.ledger, work.sources, concepts, limit)
            downloading = (work.ledger, work.web, out, wanted, work.settings)
            with (
                Board(_progress_console()) as board,
                finding(*searching, board, again=again) as searches,
            ):
                download(*downloading, board, is_finding=searches.is_alive)
            _end(work.ledger, wanted.selection, limit, "stored", started)


@app.command()
def find(
    classes: Classes,
    sources: Sources,
    tradition: Tradition = None,
    limit: Limit = LIMIT,
    out: Out = OUT,
    ledger: LedgerAt = None,
    again: Again = False,
    show_browser: ShowBrowser = False,
    allow_private: AllowPrivate = False,
    engine: EngineName = Engine.LOCAL,
    address: Address = None,
) -> None:
    """Find pictures, but download nothing.

    Their addresses, credits and licences go to the ledger; `status` shows them, `download` fetches
    them.

    \b
    Examples:
      python -m scraper find --class ganesha --source europeana --limit 500
      python -m scraper find --class all --engine ray --ledger postgresql+psycopg://db/pictures
    """
    from scraper.cluster import find_on_cluster
    from scraper.find import find as search
    from scraper.ledger.records import Selection, now
    from scraper.progress import Board

    started = now()
    with _clear_errors():
        _must_be_shared(engine, ledger)
        concepts = _concepts(classes, tradition)
        with _work(out, ledger, sources, allow_private, show_browser) as work:
            with Board(_progress_console()) as board:
                if engine is Engine.RAY:
                    site = _site(out, ledger, allow_private, address, work.settings)
                    specs = [source.name for source in work.sources]
                    find_on_cluster(site, specs, concepts, limit, board, again=again)
                else:
                    search(work.ledger, work.sources, concepts, limit, board, again=again)
            selection = Selection(_slugs(concepts), work.names)
            _end(work.ledger, selection, limit, "found", started)


@app.command("download")
def download_found(
    classes: OnlyClasses,
    sources: OnlySources,
    tradition: Tradition = None,
    limit: Limit = LIMIT,
    policy: Policy = LicensePolicy.OPEN,
    out: Out = OUT,
    ledger: LedgerAt = None,
    again: Again = False,
    allow_private: AllowPrivate = False,
    engine: EngineName = Engine.LOCAL,
    address: Address = None,
) -> None:
    """Download what was found.

    Of all classes and sources, unless some are named.

    \b
    Example:
      python -m scraper download --class ganesha --license-policy noncommercial
    """
    from scraper.cluster import download_on_cluster
    from scraper.download import download
    from scraper.ledger.records import now
    from scraper.progress import Board

    started = now()
    with _clear_errors():
        _must_be_shared(engine, ledger)
        slugs, names = _chosen(classes, tradition), _plain(sources)
        _must_exist(out, ledger)
        with _work(out, ledger, None, allow_private) as work:
            wanted = _wanted(slugs, names, policy, limit, again)
            with Board(_progress_console()) as board:
                if engine is Engine.RAY:
                    site = _site(out, ledger, allow_private, address, work.settings)
                    download_on_cluster(work.ledger, site, wanted, board)
                else:
                    download(work.ledger, work.web, out, wanted, work.settings, board)
            _end(work.ledger, wanted.selection, limit, "stored", started)


@app.command()
def status(
    classes: OnlyClasses,
    sources: OnlySources,
    tradition: Tradition = None,
    out: Out = OUT,
    ledger: LedgerAt = None,
) -> None:
    """Show what there is, and what was refused and why.

    Finds per class, source, licence and outcome; why things did not arrive; what politeness did at
    each host.

    \b
    Example:
      python -m scraper status --class ganesha
    """
    from scraper.ledger.records import Selection
    from scraper.report import report_console, show_status

    with _clear_errors():
        selection = Selection(_chosen(classes, tradition), _plain(sources))
        _must_exist(out, ledger)
        with _open_ledger(out, ledger) as record:
            show_status(report_console(), record, selection)


@app.command()
def check(
    classes: OnlyClasses,
    sources: OnlySources,
    tradition: Tradition = None,
    days: Annotated[
        int,
        typer.Option(
            "--older-than", metavar="DAYS", min=0, help="Days since an address was last asked."
        ),
    ] = 30,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="Pictures, the longest ago first.")
    ] = 1000,
    out: Out = OUT,
    ledger: LedgerAt = None,
    allow_private: AllowPrivate = False,
) -> None:
    """Ask recorded addresses again.

    Marks those that are dead, that give another picture, or whose owners now ask not to take it.
    Nothing is removed: what to do about them is for you to say, for example with `withdraw`. The
    exit status is 1 if one is not as it was.

    \b
    Example:
      python -m scraper check --older-than 90
    """
    from scraper.check import check as ask_again
    from scraper.ledger.records import Health, Selection, Stored

    def tell(stored: Stored, health: Health | None, why: str) -> None:
        if health is not Health.ALIVE:
            print(f"{health or 'no answer'}: {stored.url} ({stored.file_name}): {why}")

    with _clear_errors():
        selection = Selection(_chosen(classes, tradition), _plain(sources))
        _must_exist(out, ledger)
        with _work(out, ledger, None, allow_private) as work:
            before = datetime.now(UTC) - timedelta(days=days)
            due = work.ledger.due(selection, before, limit)
            healths = ask_again(work.ledger, work.web, out, due, work.settings, tell)
    alive = healths.pop(Health.ALIVE, 0)
    print(f"{alive} of {len(due)} pictures that were due are as they were.")
    raise typer.Exit(1 if healths else 0)


@app.command()
def withdraw(
    which: Annotated[
        list[str],
        typer.Argument(
            metavar="ID|URL",
            help="Address of a picture or of its page, source:id, or a file name or sha256.",
        ),
    ],
    out: Out = OUT,
    ledger: LedgerAt = None,
) -> None:
    """Take pictures out and never fetch them again.

    The exit status is 1 if nothing here is known by an address; it is remembered all the same.

    \b
    Examples:
      python -m scraper withdraw https://example.org/ganesha.jpg
      python -m scraper withdraw met:123456 images/durga/0123456789abcdef.jpg
    """
    from scraper.withdraw import may_show
    from scraper.withdraw import withdraw as take_out

    with _clear_errors():
        _must_exist(out, ledger)
        with _open_ledger(out, ledger) as record:
            unknown = [one for one in which if _is_unknown(record, one)]
            for one in which:
                names = take_out(record, out, one)
                removed = f"removed {', '.join(names)}" if names else "no picture of it is here"
                if one in unknown:
                    removed = "nothing here is known by this address"
                print(f"{one}: {removed}; it will never be fetched again")
    for path in may_show(out):
        print(f"{path} may still show them: remove it, or have data_prep make it anew")
    print("Copies elsewhere (exports, published data sets, trained models) are not reached.")
    raise typer.Exit(1 if unknown else 0)


def _is_unknown(record: Ledger, which: str) -> bool:
    """Whether nothing was found at an address; then what was at ones like it is shown."""
    if not which.startswith(("http://", "https://")) or record.is_known(which):
        return False
    for near in record.addresses_like(which):
        print(f"{which}: did you mean {near}?", file=sys.stderr)
    return True


@app.command()
def export(
    to: Annotated[
        Path | None,
        typer.Option(
            help="Another folder, which gets copies of the pictures too.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            min=1,
            help="Re-encode larger pictures to this many pixels, as JPEG; needs --to.",
            show_default=False,
        ),
    ] = None,
    out: Out = OUT,
    ledger: LedgerAt = None,
) -> None:
    """Write metadata.csv, which makes a data set.

    What others decided about a picture since the last export, and their own rows, stay. A picture
    whose file is missing or damaged is named and left as an earlier export had it; the exit status
    is 1 then, and 2 if that is so for all.

    \b
    Examples:
      python -m scraper export
      python -m scraper export --to small --max-side 1024
    """
    from scraper.export import export as write

    if max_side and (to is None or to.resolve() == out.resolve()):
        _refuse("re-encoded pictures need a folder of their own: give --to FOLDER")
    with _clear_errors():
        _must_exist(out, ledger)
        with _open_ledger(out, ledger) as record:
            exported = write(record, out, to, max_side)
    others = f", {exported.others} rows of others kept" if exported.others else ""
    print(f"{(to or out) / 'metadata.csv'}: {exported.pictures} pictures{others}")
    for name in exported.missing:
        print(f"left as it was or out, its file is missing: {name}", file=sys.stderr)
    for name in exported.damaged:
        print(f"left as it was or out, it cannot be read: {name}", file=sys.stderr)
    for sentence in exported.reset:
        print(sentence, file=sys.stderr)
    raise typer.Exit(1 if exported.missing or exported.damaged else 0)


@app.command("sources")
def list_sources() -> None:
    """List the sources, what each needs, and its terms.

    \b
    Example:
      python -m scraper sources
    """
    from scraper.report import report_console, show_sources
    from scraper.sources import default_sources, source_class, source_names
    from scraper.web import PoliteWeb

    with _clear_errors():
        settings = _settings()
        on = {source.name for source in default_sources(PoliteWeb(settings), settings)}
        show_sources(report_console(), [source_class(name) for name in source_names()], on)


@app.command()
def new(
    slug: Annotated[str, typer.Argument(help="File name of the entry, such as pachamama.")],
    name: Annotated[str, typer.Option(help="Name in English; by default Wikidata's.")] = "",
    wikidata: Annotated[
        str, typer.Option(metavar="Q…", help="Item of Wikidata to take names and relatives from.")
    ] = "",
) -> None:
    """Draft the knowledge entry of a new class.

    \b
    Examples:
      python -m scraper new pachamama --wikidata QNUMBER
      python -m scraper new pachamama --name Pachamama
    """
    from scraper.draft import DraftError, new_entry
    from scraper.web import PoliteWeb

    with _clear_errors(), PoliteWeb(_settings()) as web:
        try:
            draft = new_entry(slug, name=name, wikidata=wikidata, web=web)
        except DraftError as error:
            _refuse(str(error))
    print(f"{draft.path} is written. To complete by hand:")
    for one in draft.to_do:
        print(f"  - {one}")
    print(f"Pictures can be looked for at once: python -m scraper harvest --class {slug}")


@dataclass(frozen=True)
class _Work:
    """What commands that go to the web work with."""

    ledger: Ledger
    web: PoliteWeb
    settings: ScraperSettings
    sources: Sequence[Source]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sources, without what they are told to read."""
        return _plain([source.name for source in self.sources])


@contextmanager
def _work(
    out: Path,
    ledger: str | None,
    specs: Sequence[str] | None,
    allow_private: bool,
    show_browser: bool = False,
) -> Iterator[_Work]:
    """Make the sources (None: not needed), and only then begin to write."""
    from scraper.manners import HostNotes
    from scraper.web import PoliteWeb

    settings = _settings(show_browser)
    notes = HostNotes()
    web = PoliteWeb(settings, allow_private=allow_private, on_host=notes.take)
    sources = [] if specs is None else _make_sources(specs, web, settings)
    out.mkdir(parents=True, exist_ok=True)
    with _open_ledger(out, ledger) as record, notes.written_to(record), web:
        yield _Work(record, web, settings, sources)


def _make_sources(specs: Sequence[str], web: PoliteWeb, settings: ScraperSettings) -> list[Source]:
    from scraper.sources import default_sources, make_source

    if specs:
        return [make_source(spec, web, settings) for spec in dict.fromkeys(specs)]
    return default_sources(web, settings)


def _open_ledger(out: Path, place: str | None) -> Ledger:
    from scraper.ledger import LEDGER_NAME, Ledger

    return Ledger(place or out / LEDGER_NAME)


def _must_exist(out: Path, place: str | None) -> None:
    from scraper.ledger import LEDGER_NAME

    if not place and not (out / LEDGER_NAME).is_file():
        _refuse(f"nothing was collected in {out} yet: harvest first, or name the folder with --out")


def _must_be_shared(engine: Engine, place: str | None) -> None:
    if engine is Engine.RAY and not (place or "").startswith("postgresql"):
        _refuse(
            "a cluster's nodes meet in a PostgreSQL database: name it with "
            "--ledger postgresql+psycopg://host/name"
        )


def _site(
    out: Path,
    ledger: str | None,
    allow_private: bool,
    address: str | None,
    settings: ScraperSettings,
) -> Site:
    from scraper.cluster import Site

    return Site(ledger or "", out.resolve(), settings, allow_private, address)


def _settings(show_browser: bool = False) -> ScraperSettings:
    from scraper.settings import scraper_settings

    try:
        settings = scraper_settings()
    except ValueError as error:  # pydantic's for a bad value, tomllib's for a bad file
        _refuse(f"the settings cannot be used: {error}")
    return settings.model_copy(update={"show_browser": True}) if show_browser else settings


def _concepts(classes: Sequence[str], tradition: str | None) -> list[Concept]:
    """What to search for: the vocabulary of the chosen entries."""
    from ideitify.knowledge import knowledge
    from scraper.source import Concept

    slugs = _chosen(classes, tradition)
    if not slugs and ALL not in classes:
        _refuse(f"say which classes: --class SLUG, --tradition NAME, or --class {ALL}")
    entries = knowledge()
    return [Concept.of(entries[slug]) for slug in slugs or entries]


def _slugs(concepts: Sequence[Concept]) -> tuple[str, ...]:
    return tuple(concept.slug for concept in concepts)


def _plain(sources: Sequence[str]) -> tuple[str, ...]:
    from scraper.ledger.records import plain_name
    from scraper.sources import known_source

    return tuple(known_source(plain_name(source)) for source in sources)


def _chosen(classes: Sequence[str], tradition: str | None) -> tuple[str, ...]:
    """Slugs of the chosen classes; none if all are."""
    from ideitify.knowledge import knowledge

    if ALL in classes or (not classes and tradition is None):
        return ()
    entries = knowledge()
    for slug in classes:
        if slug not in entries:
            _refuse(_how_to_add(slug))
    chosen = dict.fromkeys(classes)
    if tradition is not None:
        wanted = tradition.casefold()
        members = [e.slug for e in entries.values() if (e.tradition or "").casefold() == wanted]
        if not members:
            known = ", ".join(sorted({e.tradition for e in entries.values() if e.tradition}))
            _refuse(f"no class is of the tradition {tradition!r}: there are {known}")
        chosen |= dict.fromkeys(members)
    return tuple(chosen)


def _how_to_add(asked: str) -> str:
    from ideitify.knowledge import close_slugs

    close = close_slugs(asked)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    slug = re.sub(r"[^a-z0-9]+", "-", asked.casefold()).strip("-") or "slug"
    name = slug.replace("-", " ").title()
    return (
        f"there is no entry for {asked!r}, so nothing says what to search for.{meant}\n"
        "To add it, have a draft written and complete it; knowledge/ganesha.md is an example:\n"
        f'  python -m scraper new {slug} --name "{name}"'
    )


def _wanted(
    classes: tuple[str, ...],
    sources: tuple[str, ...],
    policy: LicensePolicy,
    limit: int,
    again: bool,
) -> Wanted:
    from ideitify.licenses import License, Permits, allowed
    from scraper.download import Wanted
    from scraper.ledger.records import Selection

    permits = {p for p in get_args(Permits) if allowed(License("", "", p), policy.value)}
    return Wanted(Selection(classes, sources), permits, limit, again)


def _end(
    ledger: Ledger,
    selection: Selection,
    limit: int,
    goal: Literal["found", "stored"],
    since: str,
) -> NoReturn:
    """Sum up and exit: 0 if every class has what was wanted and every search ended well."""
    from scraper.report import report_console, show_classes, show_failures

    console = report_console()
    short = show_classes(console, ledger, selection, limit, goal)
    show_failures(console, ledger, selection, since)
    failed = ledger.failed_searches(selection, since)
    raise typer.Exit(1 if short or failed else 0)


def _progress_console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Say what is wrong in a sentence, and exit."""
    from ideitify.dataset import DatasetError
    from ideitify.engine import EngineError
    from ideitify.knowledge import KnowledgeError
    from scraper.ledger.database import LedgerError
    from scraper.source import SourceError

    _let_any_name_be_printed()
    try:
        yield
    except KeyboardInterrupt:
        print("Interrupted: the same command goes on where this one stopped.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except (LedgerError, KnowledgeError, SourceError, DatasetError, EngineError) as error:
        _refuse(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads our output has seen enough
            raise
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            _refuse("the disk is full: make room, and the same command goes on where it stopped")
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror}")


def _let_any_name_be_printed() -> None:
    """Names that are not UTF-8 come out as escapes instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def _refuse(message: str) -> NoReturn:
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="python -m scraper")
