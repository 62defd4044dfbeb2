"""What the review page asks of its server beside Streamlit: pictures, and decisions saved.

    GET  /api/review/pictures/{file name}?side=…&key=…    a picture, reduced, as JPEG
    POST /api/review/decisions                            saved when it answers

Streamlit's own round trip runs Python for the whole page or a part of it; a plain request takes a
tenth of that, so that the page can wait for the disk and still be quick. The page hands out keys
for what its reviewer may see and the token with which they decide; both hold for this process only.
"""

from __future__ import annotations

import hmac
import io
import secrets
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ideitify.decisions import Action, Decision, append_decisions, now
from ideitify.knowledge import SLUG_PATTERN
from ideitify.photo import REDUCTION_MARGIN, PhotoError, open_photo
from ideitify.settings import settings

Side = Literal[1024, 192]  # pixels on the long side: looked at, and in the grid
PICTURE_SIDE: Side = 1024
THUMBNAIL_SIDE: Side = 192
CACHED_PICTURES = 512  # reduced ones in memory, about 60 kB each
MOST_AT_ONE_STROKE = 50
MOST_BYTES = 64 * 1024

_SECRET = secrets.token_bytes(32)


class _Stroke(BaseModel):
    """One picture's part of what a reviewer decided with one key."""

    model_config = ConfigDict(extra="forbid")

    file_name: str
    key: str
    action: Action
    category: str = Field("", pattern=rf"{SLUG_PATTERN}|^$", max_length=100)
    reason: str = Field("", max_length=300)

    @model_validator(mode="after")
    def _check(self) -> _Stroke:
        if (self.action in {"keep", "relabel"}) != bool(self.category):
            raise ValueError("keep and relabel name a category, nothing else does")
        if not _same(self.key, picture_key(self.file_name)):
            raise ValueError(f"the key of {self.file_name} is wrong")
        return self


class _Strokes(BaseModel):
    who: str = Field(min_length=1, max_length=100)
    decisions: list[_Stroke] = Field(min_length=1, max_length=MOST_AT_ONE_STROKE)


def picture_key(file_name: str) -> str:
    """What opens a picture; made for names that stand in the folder's `metadata.csv`."""
    return _sign("picture", file_name)


def reviewer_token(who: str) -> str:
    """What lets a reviewer decide; made for those who gave the password."""
    return _sign("reviewer", who)


def _sign(kind: str, text: str) -> str:
    return hmac.new(_SECRET, f"{kind}:{text}".encode(), sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def send_picture(request: Request) -> Response:
    """A picture, upright and reduced; what a folder holds never reaches the browser as it is."""
    name, side = request.path_params["name"], request.query_params.get("side", "")
    if not _same(request.query_params.get("key", ""), picture_key(name)):
        raise HTTPException(403, "This link has expired: reload the page.")
    if side not in {str(PICTURE_SIDE), str(THUMBNAIL_SIDE)}:
        raise HTTPException(422, f"side is {PICTURE_SIDE} or {THUMBNAIL_SIDE}.")
    try:
        picture = _reduced(Path(settings().review_folder, name), int(side))
    except PhotoError as error:
        raise HTTPException(error.status, str(error)) from error
    headers = {"Cache-Control": "private, max-age=86400, immutable"}  # names are content hashes
    return Response(picture, media_type="image/jpeg", headers=headers)


@lru_cache(maxsize=CACHED_PICTURES)
def _reduced(path: Path, side: int) -> bytes:
    image = open_photo(path, side=round(side / REDUCTION_MARGIN))  # no larger than shown
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def receive_decisions(request: Request) -> Response:
    """Append what a reviewer decided at one stroke; an answer means that it is on the disk."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise HTTPException(413, f"Send at most {MOST_BYTES} bytes.")
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        strokes = _Strokes.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, error.errors()[0]["msg"]) from error
    if not _same(token, reviewer_token(strokes.who)):
        raise HTTPException(403, "This page has expired: reload it.")
    when = now()
    decisions = [
        Decision(when, strokes.who, stroke.file_name, stroke.action, stroke.category, stroke.reason)
        for stroke in strokes.decisions
    ]
    try:
        await run_in_threadpool(append_decisions, Path(settings().review_folder), decisions)
    except OSError as error:
        raise HTTPException(507, f"The decision cannot be written: {error.strerror}.") from error
    return JSONResponse({"when": when})


routes: list[BaseRoute] = [
    Route("/api/review/pictures/{name:path}", send_picture),
    Route("/api/review/decisions", receive_decisions, methods=["POST"]),
]
