"""Pictures and decisions over a real connection."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette

from ideitify.decisions import DECISIONS_NAME, read_decisions
from ideitify.review_api import PICTURE_SIDE, THUMBNAIL_SIDE, picture_key, reviewer_token, routes
from ideitify.settings import settings
from tests.tiny import RED, png
from tests.waiting import wait_until

NAME = "images/ganesha/ā 1.png"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one large picture, and one that is none, named in the settings."""
    (tmp_path / "images" / "ganesha").mkdir(parents=True)
    (tmp_path / NAME).write_bytes(png(RED, side=1500))
    (tmp_path / "images" / "ganesha" / "broken.png").write_bytes(b"<html>")
    monkeypatch.setenv("IDEITIFY_REVIEW_FOLDER", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def api(folder: Path) -> Iterator[httpx.Client]:
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}/api/review/", trust_env=False, timeout=60
    ) as client:
        yield client
    server.should_exit = True
    thread.join()


def stroke(**changes: str) -> dict[str, str]:
    return {
        "file_name": NAME, "key": picture_key(NAME), "action": "keep", "category": "ganesha",
    } | changes  # fmt: skip


def post(
    api: httpx.Client, *strokes: dict[str, str], who: str = "Āśā", token: str = ""
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or reviewer_token(who)}".encode()}
    content = {"who": who, "decisions": strokes or (stroke(),)}
    return api.post("decisions", json=content, headers=headers)


@pytest.mark.parametrize("side", [PICTURE_SIDE, THUMBNAIL_SIDE])
def test_a_picture_comes_reduced(api: httpx.Client, side: int) -> None:
    answer = api.get(f"pictures/{NAME}", params={"side": side, "key": picture_key(NAME)})
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) == side


@pytest.mark.parametrize(
    "key",
    ["", "0" * 64, "ключ", picture_key("images/ganesha/other.png")],
    ids=["none", "zeros", "another script", "another picture's"],  # keys differ between processes
)
def test_a_picture_needs_its_own_key(api: httpx.Client, key: str) -> None:
    assert api.get(f"pictures/{NAME}", params={"side": 1024, "key": key}).status_code == 403


def test_a_broken_picture_says_what_is_wrong(api: httpx.Client) -> None:
    name = "images/ganesha/broken.png"
    answer = api.get(f"pictures/{name}", params={"side": 1024, "key": picture_key(name)})
    assert answer.status_code == 415
    assert "web page" in answer.text


def test_a_size_that_is_not_offered_is_refused(api: httpx.Client) -> None:
    params = {"side": "99999", "key": picture_key(NAME)}
    assert api.get(f"pictures/{NAME}", params=params).status_code == 422


def test_a_stroke_is_on_disk_when_it_is_answered(api: httpx.Client, folder: Path) -> None:
    answer = post(api, stroke(), stroke(action="reject", category="", reason="duplicate"))
    assert answer.status_code == 200
    first, second = read_decisions(folder)
    assert (first.who, first.file_name, first.action, first.category) == (
        "Āśā", NAME, "keep", "ganesha",
    )  # fmt: skip
    assert (second.action, second.reason) == ("reject", "duplicate")
    assert first.when == second.when == answer.json()["when"]


@pytest.mark.parametrize("token", ["wrong", "ключ"])
def test_nobody_decides_without_the_token(api: httpx.Client, folder: Path, token: str) -> None:
    assert post(api, token=token).status_code == 403
    assert read_decisions(folder) == []


def test_nobody_decides_in_another_name(api: httpx.Client, folder: Path) -> None:
    assert post(api, who="Ravi", token=reviewer_token("Asha")).status_code == 403
    assert read_decisions(folder) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "0" * 64},
        {"file_name": "../../etc/passwd"},
        {"action": "burn"},
        {"category": ""},
        {"category": "../x"},
        {"action": "reject"},
        {"action": "reject", "category": "", "reason": "x" * 400},
        {"surprise": "x"},
    ],
)
def test_a_stroke_that_makes_no_sense_is_refused(
    api: httpx.Client, folder: Path, changes: dict[str, str]
) -> None:
    assert post(api, stroke(**changes)).status_code == 422
    assert read_decisions(folder) == []


def test_too_long_a_message_is_refused_before_it_is_read(api: httpx.Client) -> None:
    answer = api.post("decisions", content=b"x" * 100_000)
    assert answer.status_code == 413
    assert api.post("decisions", content=iter([b"{}"])).status_code == 413  # of unknown length


def test_a_decision_that_cannot_be_written_is_not_acknowledged(
    api: httpx.Client, folder: Path
) -> None:
    (folder / DECISIONS_NAME).mkdir()
    answer = post(api)
    assert answer.status_code == 507
    assert "cannot be written" in answer.text
