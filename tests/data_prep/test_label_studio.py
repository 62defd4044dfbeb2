"""Tasks for Label Studio, and its export back into decisions.csv."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from data_prep.label_studio import command
from ideitify.dataset import write_rows
from ideitify.decisions import REASONS, read_decisions
from ideitify.knowledge import knowledge

NAMES = [f"images/ganesha/{number} ā.jpg" for number in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data set"
    rows = [
        {"file_name": name, "category": "ganesha", "status": "review" if number else "kept",
         "reject_reason": "labels: odd", "weak_probability": f"0.{number}"}
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    write_rows(folder, rows)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)))
    return result.exit_code, result.output


def tasks(folder: Path, tmp_path: Path, *options: str) -> list[dict[str, Any]]:
    code, said = run("export", folder, tmp_path / "tasks", *options)
    assert code == 0, said
    return json.loads((tmp_path / "tasks" / "tasks.json").read_text(encoding="utf-8"))


def answer(file_name: str, by: object = 3, **changes: Any) -> dict[str, Any]:
    """A task of an export, with one annotation."""
    chosen = {changes.pop("control", "category"): changes.pop("choice", "ganesha")}
    result = [
        {"id": "x", "from_name": control, "to_name": "picture", "type": "choices",
         "origin": "manual", "value": {"choices": [choice]}}
        for control, choice in chosen.items() if choice
    ]  # fmt: skip
    annotation = {
        "id": 1, "completed_by": by, "result": result, "was_cancelled": False,
        "ground_truth": False, "created_at": "2026-03-01T10:00:00.000000Z",
        "updated_at": "2026-03-01T10:00:05.000000Z", "lead_time": 4.2,
    }  # fmt: skip
    return {
        "id": 7, "annotations": [annotation | changes], "file_upload": "tasks.json",
        "data": {"image": "/x", "file_name": file_name, "category": "ganesha", "question": "?"},
        "meta": {}, "predictions": [], "project": 1,
    }  # fmt: skip


def take(folder: Path, *answers: dict[str, Any], options: tuple[str, ...] = ()) -> tuple[int, str]:
    path = folder.parent / "export.json"
    path.write_text(json.dumps(answers), encoding="utf-8")
    return run("import", folder, path, *options)


def test_a_task_for_each_picture_in_review_the_most_doubtful_first(
    folder: Path, tmp_path: Path
) -> None:
    given = tasks(folder, tmp_path)
    assert [task["data"]["file_name"] for task in given] == NAMES[1:]
    data = given[0]["data"]
    assert data["image"] == "/data/local-files/?d=data%20set/images/ganesha/1%20%C4%81.jpg"
    assert data["question"] == "Is this Ganesha? labels: odd"
    (prediction,) = given[0]["predictions"]
    assert prediction["result"][0]["value"] == {"choices": ["ganesha"]}
    assert prediction["score"] == pytest.approx(0.1)


def test_pictures_can_lie_on_a_server(folder: Path, tmp_path: Path) -> None:
    given = tasks(folder, tmp_path, "--pictures-at", "https://example.org/data/")
    assert given[0]["data"]["image"].startswith("https://example.org/data/images/ganesha/")


@pytest.mark.parametrize(
    ("at", "address"),
    [
        ("https://example.org/data", "https://example.org/data/images/ganesha/"),
        ("/data/local-files/?d=", "/data/local-files/?d=images/ganesha/"),
    ],
)
def test_a_slash_that_was_left_out_is_put_in(
    folder: Path, tmp_path: Path, at: str, address: str
) -> None:
    given = tasks(folder, tmp_path, "--pictures-at", at)
    assert given[0]["data"]["image"].startswith(address)


def test_the_interface_offers_every_entry_and_reason(folder: Path, tmp_path: Path) -> None:
    tasks(folder, tmp_path)
    view = ElementTree.parse(tmp_path / "tasks" / "config.xml").getroot()
    choices = {control.get("name"): list(control) for control in view.iter("Choices")}
    assert {choice.get("alias") for choice in choices["category"]} == knowledge().keys()
    assert [choice.get("value") for choice in choices["reason"]] == list(REASONS)
    assert {control.get("toName") for control in view.iter("Choices")} == {"picture"}


def test_answers_become_decisions(folder: Path) -> None:
    code, said = take(
        folder,
        answer(NAMES[0]),
        answer(NAMES[1], choice="shiva", created_at="2026-03-01T10:00:00Z", updated_at=""),
        answer(NAMES[2], by={"id": 5, "email": "r@example.org"}, control="reason",
               choice=REASONS[1]),
        answer(NAMES[3], was_cancelled=True, by=4),
        options=("--person", "3=Asha  K"),
    )  # fmt: skip
    assert (code, said.strip()) == (0, "4 decisions added")
    made = {decision.file_name: decision for decision in read_decisions(folder)}
    first = made[NAMES[0]]
    assert (first.who, first.action, first.category) == ("Asha K", "keep", "ganesha")
    assert first.when == "2026-03-01T10:00:05.000000Z"
    assert (made[NAMES[1]].action, made[NAMES[1]].category) == ("relabel", "shiva")
    third = made[NAMES[2]]
    assert (third.who, third.action, third.reason) == ("r@example.org", "reject", REASONS[1])
    assert (made[NAMES[3]].who, made[NAMES[3]].action) == ("label-studio-4", "skip")


def test_the_same_export_twice_adds_nothing(folder: Path) -> None:
    take(folder, answer(NAMES[0]))
    code, said = take(folder, answer(NAMES[0]), answer("images/ganesha/gone.jpg"))
    assert code == 0
    assert "0 decisions added, 1 were there already, 1 are about pictures not in here" in said
    assert len(read_decisions(folder)) == 1


@pytest.mark.parametrize("content", ["{", "[1]", '[{"id": 1, "data": {"image": "x"}}]'])
def test_another_file_is_refused_and_nothing_changes(folder: Path, content: str) -> None:
    path = folder.parent / "export.json"
    path.write_text(content)
    code, said = run("import", folder, path)
    assert code == 2
    assert "no export of these tasks" in " ".join(said.split())
    assert read_decisions(folder) == []


def test_wrong_use_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    assert "cannot be read" in run("import", folder, tmp_path / "missing.json")[1]
    assert "3=Asha" in take(folder, options=("--person", "Asha"))[1]
    assert "no metadata.csv" in " ".join(run("export", tmp_path, tmp_path / "out")[1].split())
