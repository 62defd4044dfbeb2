"""The steps in their order, and how each is called.

A step `name` is a module `data_prep/<name>.py` with

- a function `name(table, settings, ...) -> Table` that changes the table and returns it. It may
  take `bundle`, and `engine`, `workers` and `address` as `**where` (`data_prep.workers.Where`); its
  command has options for those it takes;
- a pydantic model of its settings, the annotation of `settings`, with a description of each field;
- `VERSION`, a number to raise when the same input is to give another result (1 if absent);
- `reads(table) -> Iterable[Path]`, if its result depends on files in the folder beside the table:
  which ones;
- `BINDING = True`, if it runs again when anyone set back even one cell that it had set.

What it logs as `data_prep.…` at level INFO is told to its user, and again by `status`.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:  # pandas takes longer to import than `--help` to answer
    from data_prep.table import Table

OPTIONS = ("engine", "workers", "address", "bundle")


class SettingsError(ValueError):
    """A settings file cannot be used; the message names what is wrong in it."""


@dataclass(frozen=True)
class Step:
    """One step; its module is imported when it is first asked for."""

    name: str
    help: str

    @cached_property
    def module(self) -> ModuleType:
        """The step's module."""
        return import_module(f"data_prep.{self.name}")

    @property
    def function(self) -> Callable[..., Table]:
        """The step itself."""
        return getattr(self.module, self.name)

    @property
    def settings(self) -> type[BaseModel]:
        """The model of the step's settings."""
        return get_type_hints(self.function)["settings"]

    @property
    def options(self) -> list[str]:
        """Those of `OPTIONS` that the step takes."""
        from data_prep.workers import Where

        taken = inspect.signature(self.function).parameters.keys()
        where = Where.__annotations__.keys() if "where" in taken else ()
        return [name for name in OPTIONS if name in {*taken, *where}]

    @property
    def version(self) -> int:
        """Number of the step's code."""
        return getattr(self.module, "VERSION", 1)

    @property
    def binding(self) -> bool:
        """Whether no cell that it set may be set back."""
        return getattr(self.module, "BINDING", False)

    def reads(self, table: Table) -> Iterable[Path]:
        """The files in the folder, apart from `metadata.csv`, that the step's result depends on."""
        reads = getattr(self.module, "reads", None)
        return reads(table) if reads else ()


STEPS = (
    Step("enrol", "Add rows for files that have none."),
    Step("decisions", "Apply what people decided (decisions.csv)."),
    Step("validate", "Find files that are missing, broken, tiny or extreme."),
    Step("quality", "Flag dark, blurry, empty, framed, collaged or printed-over pictures."),
    Step("duplicates", "Group near-duplicates, keep the best of each group."),
    Step("labels", "Rank likely label errors."),
    Step("weak", "Label by what the harvest knows and the model sees."),
    Step("balance", "Cap categories and sources; say what to collect next."),
    Step("split", "Divide into train, valid and test by group and source."),
    Step("report", "Write report.html, to send to someone."),
    Step("explore", "Write montages and a map of the pictures."),
)


def find_step(name: str) -> Step:
    """The step of this name."""
    return next(step for step in STEPS if step.name == name)


def load_settings(path: Path | None, step: Step) -> BaseModel:
    """A step's settings: its section of a TOML file, the defaults where there is none.

    Raises:
        SettingsError: no such file, not TOML, an unknown section or name, or a bad value.
    """
    try:
        sections: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path else {}
        if unknown := sections.keys() - {step.name for step in STEPS}:
            raise SettingsError(f"{path} has a section {min(unknown)!r}, which is no step")
        return step.settings.model_validate(sections.get(step.name, {}))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path} cannot be read as TOML settings: {why}") from error
    except ValidationError as error:
        first = error.errors()[0]
        name, fault = ".".join(map(str, first["loc"])), first["msg"]
        raise SettingsError(
            f"{path}, section [{step.name}]: {name}: {fault}; `python -m data_prep settings` "
            "prints every name with its default"
        ) from error


def describe_settings() -> str:
    """A TOML settings file with every default, each below its reason."""
    return "\n\n".join(_section(step.name, step.settings()) for step in STEPS)


def _section(name: str, settings: BaseModel) -> str:
    lines, sections = [f"[{name}]"], []
    for key, field in type(settings).model_fields.items():
        value = getattr(settings, key)
        if isinstance(value, BaseModel):
            sections.append(_section(f"{name}.{key}", value))
        else:
            lines += [f"# {field.description}", f"{key} = {json.dumps(value)}"]
    return "\n\n".join(["\n".join(lines), *sections])
