"""The command line: `python -m scraper --help`.

What a command needs is imported inside it, so that each starts as fast as it can.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from scraper.choice import chosen_concepts, chosen_slugs, plain_names, slugs_of, wanted_of
from scraper.options import (
    LIMIT,
    OUT,
    Address,
    Again,
    AllowPrivate,
    Classes,
    Engine,
    EngineName,
    LedgerAt,
    LicensePolicy,
    Limit,
    OnlyClasses,
    OnlySources,
    Out,
    Policy,
    ShowBrowser,
    Sources,
    Tradition,
)
from scraper.terminal import clear_errors, progress_console, refuse
from scraper.work import (
    cluster_site,
    load_settings,
    must_be_shared,
    must_exist,
    open_ledger,
    open_work,
)

if TYPE_CHECKING:
    from scraper.ledger import Ledger
    from scraper.ledger.records import Selection

app = typer.Typer(
    help="Collect pictures of deities, each with its source and licence.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
    with clear_errors():
        concepts = chosen_concepts(classes, tradition)
        with open_work(out, ledger, sources, allow_private, show_browser) as work:
            wanted = wanted_of(slugs_of(concepts), work.names, policy, limit, again)
            searching = (work.ledger, work.sources, concepts, limit)
            downloading = (work.ledger, work.web, out, wanted, work.settings)
            with (
                Board(progress_console()) as board,
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
    with clear_errors():
        must_be_shared(engine, ledger)
        concepts = chosen_concepts(classes, tradition)
        with open_work(out, ledger, sources, allow_private, show_browser) as work:
            with Board(progress_console()) as board:
                if engine is Engine.RAY:
                    site = cluster_site(out, ledger, allow_private, address, work.settings)
                    specs = [source.name for source in work.sources]
                    find_on_cluster(site, specs, concepts, limit, board, again=again)
                else:
                    search(work.ledger, work.sources, concepts, limit, board, again=again)
            selection = Selection(slugs_of(concepts), work.names)
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
    with clear_errors():
        must_be_shared(engine, ledger)
        slugs, names = chosen_slugs(classes, tradition), plain_names(sources)
        must_exist(out, ledger)
        with open_work(out, ledger, None, allow_private) as work:
            wanted = wanted_of(slugs, names, policy, limit, again)
            with Board(progress_console()) as board:
                if engine is Engine.RAY:
                    site = cluster_site(out, ledger, allow_private, address, work.settings)
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

    with clear_errors():
        selection = Selection(chosen_slugs(classes, tradition), plain_names(sources))
        must_exist(out, ledger)
        with open_ledger(out, ledger) as record:
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

    with clear_errors():
        selection = Selection(chosen_slugs(classes, tradition), plain_names(sources))
        must_exist(out, ledger)
        with open_work(out, ledger, None, allow_private) as work:
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

    with clear_errors():
        must_exist(out, ledger)
        with open_ledger(out, ledger) as record:
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

    What others decided about a picture since the last export, and their own rows, stay. One that
    you moved to another category's folder is of that category. A picture whose file is missing or
    damaged is named and left as an earlier export had it; the exit status is 1 then, and 2 if that
    is so for all.

    \b
    Examples:
      python -m scraper export
      python -m scraper export --to small --max-side 1024
    """
    from scraper.export import export as write

    if max_side and (to is None or to.resolve() == out.resolve()):
        refuse("re-encoded pictures need a folder of their own: give --to FOLDER")
    with clear_errors():
        must_exist(out, ledger)
        with open_ledger(out, ledger) as record:
            exported = write(record, out, to, max_side)
    others = f", {exported.others} rows of others kept" if exported.others else ""
    print(f"{(to or out) / 'metadata.csv'}: {exported.pictures} pictures{others}")
    for names in exported.moved:
        print(f"moved by hand to another category, and followed: {names}")
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

    with clear_errors():
        settings = load_settings()
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

    with clear_errors(), PoliteWeb(load_settings()) as web:
        try:
            draft = new_entry(slug, name=name, wikidata=wikidata, web=web)
        except DraftError as error:
            refuse(str(error))
    print(f"{draft.path} is written. To complete by hand:")
    for one in draft.to_do:
        print(f"  - {one}")
    print(f"Pictures can be looked for at once: python -m scraper harvest --class {slug}")


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


if __name__ == "__main__":
    app(prog_name="python -m scraper")
