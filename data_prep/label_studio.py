"""Label Studio: doubtful pictures as its tasks, and what was decided there into `decisions.csv`.

    python -m data_prep label-studio export FOLDER tasks/
    python -m data_prep label-studio import FOLDER export.json

`tasks/config.xml` is the project's labelling interface, `tasks/tasks.json` what to import: one
task a picture, the most doubtful first, with the label that it has as a prediction. Annotators
choose who is shown, or a reason to reject; skipping is skipping. What comes back is Label Studio's
export in the format "JSON".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from xml.etree import ElementTree

import typer
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from data_prep.decisions import ExportError, import_decisions
from ideitify.dataset import DatasetError, read_rows
from ideitify.decisions import REASONS, Action, Decision, read_decisions
from ideitify.files import write_whole
from ideitify.knowledge import knowledge
from ideitify.review import Item, name_of, review_queue

CONFIG_NAME, TASKS_NAME = "config.xml", "tasks.json"
PICTURE, CATEGORY, REASON = "picture", "category", "reason"  # names in the labelling interface
LOCAL_FILES = "/data/local-files/?d="  # Label Studio's own address for files on its disk

command = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Dataset folder (metadata.csv).")]


class _Result(BaseModel):
    from_name: str
    value: dict[str, Any]


class _Annotation(BaseModel):
    """One annotator's answer to one task."""

    completed_by: int | dict[str, Any] | None = None
    was_cancelled: bool = False
    created_at: str
    updated_at: str = ""
    result: list[_Result] = []


class _Data(BaseModel):
    file_name: str
    category: str


class _Task(BaseModel):
    data: _Data
    annotations: list[_Annotation] = Field(default_factory=list)


@command.command("export")
def export_tasks(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="Folder to write.", file_okay=False)],
    pictures_at: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where Label Studio finds the dataset folder. By default on its own disk, with "
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to the folder's parent.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the labelling interface and the tasks of the pictures in review."""
    try:
        queue = review_queue(read_rows(folder), read_decisions(folder), who="")
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    asked = [item for item in queue if item.asked]
    at = pictures_at or f"{LOCAL_FILES}{quote(folder.absolute().name)}"
    at += "" if at.endswith(("/", "=")) else "/"  # `…?d=` is followed by the name itself
    tasks = [task(item, at) for item in asked]
    categories = {item.category for item in asked} | knowledge().keys()
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / CONFIG_NAME, labelling_config(categories))
    write_whole(out / TASKS_NAME, json.dumps(tasks, ensure_ascii=False, indent=1))
    print(f"{len(tasks)} tasks: make a project with {out / CONFIG_NAME}, import {out / TASKS_NAME}")


@command.command("import")
def import_answers(
    folder: Folder,
    export: Annotated[Path, typer.Argument(help="Label Studio's export, as JSON.")],
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID=NAME",
            help="Whose answers those of user ID are; else user 3 is label-studio-3.",
        ),
    ] = None,
) -> None:
    """Append the answers of an export to decisions.csv; those that are there already are left."""
    try:
        names = dict(_identity(text) for text in person or [])
        print(import_decisions(folder, read_export(export, names)))
    except (DatasetError, ExportError) as error:
        raise typer.BadParameter(str(error)) from error


def labelling_config(categories: Iterable[str]) -> str:
    """The XML of the labelling interface: the picture, who it shows, or why to reject it."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$question")
    who = ElementTree.SubElement(
        view, "Choices", name=CATEGORY, toName=PICTURE, choice="single", layout="select"
    )
    for category in sorted(categories, key=name_of):
        ElementTree.SubElement(who, "Choice", value=name_of(category), alias=category)
    ElementTree.SubElement(view, "Header", value="Or reject it, because it is …", size="5")
    why = ElementTree.SubElement(
        view, "Choices", name=REASON, toName=PICTURE, choice="single", showInline="true"
    )
    for reason in REASONS:
        ElementTree.SubElement(why, "Choice", value=reason)
    ElementTree.SubElement(view, "Image", name=PICTURE, value="$image", zoom="true")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def task(item: Item, pictures_at: str) -> dict[str, Any]:
    """One task in Label Studio's JSON format, with its present label as a prediction."""
    label = {
        "from_name": CATEGORY, "to_name": PICTURE, "type": "choices",
        "value": {"choices": [item.category]},
    }  # fmt: skip
    return {
        "data": {
            "image": f"{pictures_at}{quote(item.file_name)}",
            "question": f"Is this {name_of(item.category)}? {item.why}".strip(),
            "file_name": item.file_name,
            "category": item.category,
        },
        "predictions": [
            {"model_version": "label so far", "score": round(1 - item.doubt, 4), "result": [label]}
        ],
    }


def read_export(path: Path, names: Mapping[str, str]) -> list[Decision]:
    """The decisions in an export, in the order in which they were made.

    Args:
        names: user id -> the reviewer's name.

    Raises:
        ExportError: no such file, not JSON, or not tasks that `export` wrote.
    """
    try:
        tasks = TypeAdapter(list[_Task]).validate_json(path.read_bytes())
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ExportError(
            f"{path} is no export of these tasks in the format JSON: {where}: {first['msg']}"
        ) from error
    made = [
        _decision(task.data, annotation, names) for task in tasks for annotation in task.annotations
    ]
    return sorted(made, key=lambda decision: decision.when)


def _decision(data: _Data, annotation: _Annotation, names: Mapping[str, str]) -> Decision:
    when, who = annotation.updated_at or annotation.created_at, _annotator(annotation, names)
    chosen = {
        result.from_name: choice
        for result in annotation.result
        for choice in result.value.get("choices", [])
    }
    category = chosen.get(CATEGORY, "")
    if annotation.was_cancelled or not chosen:
        return Decision(when, who, data.file_name, "skip")
    if REASON in chosen:
        return Decision(when, who, data.file_name, "reject", reason=chosen[REASON])
    action: Action = "keep" if category == data.category else "relabel"
    return Decision(when, who, data.file_name, action, category)


def _annotator(annotation: _Annotation, names: Mapping[str, str]) -> str:
    """The name that was given for the user, else their e-mail if it is there, else the number."""
    by = annotation.completed_by
    user = by.get("id") if isinstance(by, dict) else by
    email = by.get("email") if isinstance(by, dict) else None
    return names.get(str(user)) or email or f"label-studio-{user}"


def _identity(text: str) -> tuple[str, str]:
    user, _, name = text.partition("=")
    if not user.isdigit() or not name.strip():
        raise ExportError(f"--person {text}: write it as 3=Asha")
    return user, " ".join(name.split())
