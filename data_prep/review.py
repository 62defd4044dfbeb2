"""`python -m data_prep review`: the review page alone, for the person at this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from ideitify.dataset import DatasetError, read_rows
from ideitify.decisions import read_decisions
from ideitify.settings import PROJECT_FOLDER, settings


def command(
    folder: Annotated[Path, typer.Argument(help="Dataset folder (metadata.csv).")],
    address: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
) -> None:
    """Decide about doubtful pictures in the browser; Ctrl-C ends it.

    Every decision is appended to decisions.csv at once; `python -m data_prep prepare FOLDER`
    applies them. Where others may reach the page, IDEITIFY_REVIEW_PASSWORD must be set.
    """
    try:
        read_rows(folder)
        before = len(read_decisions(folder))
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    if not _is_this_machine(address) and not settings().review_password.get_secret_value():
        raise typer.BadParameter(
            f"others could reach {address}: set IDEITIFY_REVIEW_PASSWORD first, or leave --address"
        )
    serve(folder, address, port, browser)
    made = len(read_decisions(folder)) - before
    advice = f"; python -m data_prep prepare {folder} applies them" if made else ""
    print(f"{made} decisions made{advice}")


def serve(folder: Path, address: str, port: int, browser: bool) -> None:
    """Run the app with nothing but its review page until it is interrupted."""
    command = [
        sys.executable, "-m", "streamlit", "run", str(PROJECT_FOLDER / "app.py"),
        f"--server.address={address}", f"--server.port={port}",
        f"--server.headless={str(not browser).lower()}",
    ]  # fmt: skip
    options = {"IDEITIFY_REVIEW_FOLDER": str(folder.absolute()), "IDEITIFY_REVIEW_ALONE": "true"}
    process = subprocess.Popen(command, cwd=PROJECT_FOLDER, env={**os.environ, **options})
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server ends with us
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()


def _is_this_machine(address: str) -> bool:
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False
