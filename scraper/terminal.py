"""How the command line speaks: errors in a sentence, progress beside what goes into a pipe."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130  # what shells say of Ctrl-C


def progress_console() -> Console:
    """On standard error, so that what is printed can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def clear_errors() -> Iterator[None]:
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
        refuse(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads our output has seen enough
            raise
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            refuse("the disk is full: make room, and the same command goes on where it stopped")
        where = f"{error.filename}: " if error.filename else ""
        refuse(f"{where}{error.strerror}")


def _let_any_name_be_printed() -> None:
    """Names that are not UTF-8 come out as escapes instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def refuse(message: str) -> NoReturn:
    """Say what is wrong and exit with 2, for wrong usage."""
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(2)
