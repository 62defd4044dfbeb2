"""The command line: `python -m data_prep --help`.

Nothing that a command needs is imported before it is called: `--help` answers at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from data_prep.steps import STEPS, Step

# A step needs no line here: `data_prep/steps.py` lists it, and its command is made from its
# function. What is more than a step: command -> (its module, one line of help); the module has it
# as `command`, a function with Typer's annotations or a `typer.Typer` with subcommands.
COMMANDS: dict[str, tuple[str, str]] = {
    "review": ("data_prep.review", "Look through doubtful pictures in the browser."),
    "label-studio": ("data_prep.label_studio", "Give tasks to Label Studio, take its answers."),
    "zooniverse": ("data_prep.zooniverse", "Give subjects to Zooniverse, take its answers."),
    "publish": ("data_prep.publish", "Publish on Kaggle or the Hugging Face Hub."),
}

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Dataset folder (metadata.csv).")]
SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="TOML file with a section per step; `settings` prints one with every default.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run although the input did not change.")]
OPTIONS: dict[str, tuple[Any, Any]] = {  # as in `data_prep.steps.OPTIONS`: annotation, default
    "engine": (
        Annotated[
            Literal["local", "ray"],
            typer.Option(help="Processes here, or tasks on an existing Ray cluster."),
        ],
        "local",
    ),
    "workers": (
        Annotated[
            int | None,
            typer.Option(min=1, help="At the same time; by default as many as CPUs."),
        ],
        None,
    ),
    "address": (
        Annotated[
            str | None,
            typer.Option(help="Of the Ray cluster; by default the one that Ray finds."),
        ],
        None,
    ),
    "bundle": (
        Annotated[
            str | None,
            typer.Option(
                help="Model bundle: a folder or hf://owner/repo@revision; by default the shipped."
            ),
        ],
        None,
    ),
}


class _Lazy(TyperCommand):
    """A command that is built when it is called; its line of help is known before."""

    def __init__(self, name: str, help: str, build: Callable[[], typer.Typer]) -> None:
        super().__init__(name, help=help, rich_markup_mode=None)
        self.build = build

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        command = typer.main.get_command(self.build())
        return command.make_context(info_name, args, parent, **extra)


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for step in STEPS:
            self.add_command(_Lazy(step.name, step.help, partial(_step_app, step)))
        for name, (module, help) in COMMANDS.items():
            self.add_command(_Lazy(name, help, partial(_module_app, module)))

    def invoke(self, context: Any) -> Any:
        with _one_sentence():
            return super().invoke(context)


MOST_REASONS = 20  # that `status` lists
STYLE: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
app = typer.Typer(cls=_Commands, help="Make a heap of pictures a data set to trust.", **STYLE)


def _module_app(module: str) -> typer.Typer:
    command = import_module(module).command
    return command if isinstance(command, typer.Typer) else _single(command)


def _single(command: Callable[..., None]) -> typer.Typer:
    single = typer.Typer(**STYLE | {"no_args_is_help": False})
    single.command()(command)
    return single


def _step_app(step: Step) -> typer.Typer:
    """The command of a step, with those options that its function takes."""

    def command(folder: Path, settings: Path | None, force: bool, **options: Any) -> None:
        _run(folder, [step], settings, force, options)

    return _single(_with_options(command, step.options, step.function.__doc__ or step.help))


def _with_options(command: Callable[..., None], names: list[str], doc: str) -> Callable[..., None]:
    """Give a command the signature from which Typer makes its options."""
    parameter, kind = inspect.Parameter, inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        parameter("folder", kind, annotation=Folder),
        parameter("settings", kind, annotation=SettingsFile, default=None),
        parameter("force", kind, annotation=Force, default=False),
        *(parameter(n, kind, annotation=OPTIONS[n][0], default=OPTIONS[n][1]) for n in names),
    ])  # fmt: skip
    command.__annotations__ = {}
    command.__doc__ = doc.split("\n\n    Args:")[0].split("\n\n    Raises:")[0]
    return command


def prepare(folder: Path, settings: Path | None, force: bool, **options: Any) -> None:
    """Run every step in order; those whose input did not change are skipped."""
    _run(folder, list(STEPS), settings, force, options)


app.command()(_with_options(prepare, list(OPTIONS), prepare.__doc__ or ""))


@app.command()
def status(folder: Folder) -> None:
    """Say where things stand: what ran when, what is to run again, how many pictures are kept."""
    from data_prep.prepare import standings
    from ideitify.review import reason_kind

    table, stands = standings(folder)
    statuses = _in_words(dict(table.rows["status"].value_counts()))
    print(f"{folder}: {len(table.rows)} pictures: {statuses}")
    for stand in stands:
        when = f"{stand.run.started.astimezone():%Y-%m-%d %H:%M}" if stand.run else ""
        print(f"  {stand.step:12} {when:18} {stand.stale or 'up to date'}")
        for message in stand.run.messages if stand.run else ():
            print(f"      {message}")
    reasons = table.rows["reject_reason"].map(reason_kind)
    for reason, number in reasons[reasons != ""].value_counts()[:MOST_REASONS].items():
        print(f"  {number:6} {reason}")


@app.command("settings")
def show_settings() -> None:
    """Print a settings file with every threshold, its default and its reason."""
    from data_prep.steps import describe_settings

    print(describe_settings())


def _run(
    folder: Path, steps: list[Step], settings: Path | None, force: bool, options: dict[str, Any]
) -> None:
    """Run steps, tell of each, and of the later ones that this undid."""
    from data_prep.prepare import run_steps

    undone: list[str] = []
    for outcome in run_steps(folder, steps, settings, force=force, options=options):
        did = f"ran ({outcome.reason})" if outcome.reason else "skipped, nothing changed"
        print(f"{outcome.step}: {did}; {_in_words(outcome.statuses)}", flush=True)
        for message in outcome.messages:
            print(f"  {message}", flush=True)
        undone = [name for name in undone if name != outcome.step] + outcome.undone
    if undone:
        print(f"undone: {', '.join(undone)}; python -m data_prep prepare {folder} runs them again")


def _in_words(statuses: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Errors that the user can mend end the program with one sentence."""
    try:
        yield
    except BrokenPipeError:  # whoever reads our output has seen enough
        raise
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        _refuse(f"cannot read or write{place}: {error.strerror or error}")
    except ValueError as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="python -m data_prep")
