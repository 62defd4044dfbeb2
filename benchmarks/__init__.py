"""The scripts behind the figures in the docs, but for those called notes there."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable

import typer


def run_command(main: Callable[..., None]) -> None:
    """Run a benchmark's command; what is wrong with its input is said in one sentence."""

    @functools.wraps(main)
    def command(*args: object, **options: object) -> None:
        try:
            main(*args, **options)
        except (ValueError, OSError) as error:
            raise typer.BadParameter(str(error)) from error
        except subprocess.CalledProcessError as error:  # a side of it, which has said why
            raise typer.Exit(error.returncode) from error

    typer.run(command)
