"""The HTTP API: Starlette routes that the app's own process serves, described in `openapi.json`.

    POST /api/identify            a photo -> the answer, as JSON
    POST /api/heatmap             a photo -> where the model looked, as PNG
    GET  /api/deities             the entries, searched and filtered
    GET  /api/deities/{slug}      one entry
    GET  /api/health              whether the model can be used
    GET  /api/openapi.json        this, for programs

A photo comes as the body itself or as the field `photo` of a form. It is held in memory while it is
answered; nothing of it is stored, cached or logged. Every error is `{"error": reason, "detail":
sentence}`.
"""

from __future__ import annotations

import asyncio
import difflib
import io
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, NoReturn, TypeVar

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ideitify.bundle import BundleError
from ideitify.heatmap import PHOTO_SIDE, HeatMapError, heat_map, heat_overlay
from ideitify.knowledge import (
    Entry,
    close_slugs,
    has_entry,
    knowledge,
    regions,
    search_entries,
    traditions,
)
from ideitify.openapi import document
from ideitify.photo import PhotoError, open_photo
from ideitify.serving import default_recognizer
from ideitify.settings import settings

WORKERS = min(4, os.cpu_count() or 1)  # photos in work at once; each may take its limit of memory
MOST_WAITING = 64  # photos that wait for a worker; more are sent away
MOST_BYTES = 256 * 2**20  # of photos that are received or wait; more are sent away, for memory
RECEIVE_SECONDS = 180.0  # for a whole photo: 20 MB take them at 1 Mbit/s
FORM_BYTES = 64 * 1024  # what the rest of a form may take beside the photo
FORM_FIELDS = 10
MOST_CANDIDATES = 100
MOST_NAMED = 5  # of the values that a parameter may have, where one is refused

T = TypeVar("T")
Hold = Callable[[int], None]
Handler = Callable[[Request], Awaitable[Response]]


class ApiError(Exception):
    """An answer other than the one asked for.

    Attributes:
        status: of HTTP.
        reason: short stable code for programs.
        detail: sentence for people: what is wrong, what to do.
    """

    def __init__(self, status: int, reason: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail, self.headers = status, reason, detail, headers


async def identify(request: Request) -> Response:
    """Recognise a photo."""
    top = _integer(request, "top", default=5, most=MOST_CANDIDATES)
    async with _photo_of(request) as (photo, name):
        answer = await _workers.run(lambda: default_recognizer().recognize(photo, top).as_json())
    deities = f"{request.scope.get('root_path', '')}/api/deities"
    explain = {known["deity"]: f"{deities}/{known['deity']}" for known in answer["candidates"]}
    return _json({"file": name, **answer, "explain": explain})


async def draw_heatmap(request: Request) -> Response:
    """Draw where the model looked, for the deity asked for or its first candidate."""
    deity = request.query_params.get("deity") or None
    async with _photo_of(request) as (photo, _):
        picture = await _workers.run(lambda: _heatmap(photo, deity))
    return Response(picture, media_type="image/png")


def _heatmap(photo: bytes, deity: str | None) -> bytes:
    recognizer = default_recognizer()
    heat = heat_map(recognizer.recognize(photo), deity)
    image = open_photo(photo, side=PHOTO_SIDE, limits=recognizer.settings)
    buffer = io.BytesIO()
    overlay = heat_overlay(image, heat, recognizer.manifest.input.resize)
    overlay.save(buffer, "PNG", compress_level=3)  # twice as fast as 6 and hardly larger
    return buffer.getvalue()


async def list_deities(request: Request) -> Response:
    """List entries, all or those that match `q`, `tradition` and `region`."""
    query = request.query_params.get("q", "")
    tradition = _one_of(request, "tradition", traditions())
    region = _one_of(request, "region", regions())
    found = [
        entry
        for entry in (search_entries(query) if query.strip() else knowledge().values())
        if (tradition is None or entry.tradition == tradition)
        and (region is None or region in entry.regions)
    ]
    base = f"{request.scope.get('root_path', '')}/api/deities"
    return _json({"deities": [_summary(entry, base) for entry in found]})


def _summary(entry: Entry, base: str) -> dict[str, Any]:
    fields = {"slug", "name", "names", "also_known_as", "kind", "tradition", "family", "regions"}
    return {**entry.model_dump(mode="json", include=fields), "url": f"{base}/{entry.slug}"}


async def show_deity(request: Request) -> Response:
    """Tell everything about one deity."""
    slug = request.path_params["slug"]
    if not has_entry(slug):
        close = close_slugs(slug)
        advice = f"did you mean {' or '.join(close)}?" if close else "/api/deities lists them all."
        raise ApiError(404, "unknown_deity", f"There is no entry {slug!r}: {advice}")
    return _json(knowledge()[slug].model_dump(mode="json"))


async def tell_health(request: Request) -> Response:
    """Tell whether the model can be used; loads it if need be."""
    manifest = (await _workers.run(default_recognizer)).manifest
    return _json(
        {
            "status": "ok",
            "bundle": {
                "name": manifest.name,
                "created": manifest.created,
                "labels": len(manifest.labels),
            },
        }
    )


async def describe_api(request: Request) -> Response:
    """Describe this API."""
    return _json(document())


async def nothing_here(request: Request) -> NoReturn:
    """Answer what would otherwise get the app's page."""
    raise ApiError(404, "not_found", "There is nothing here: see /api/openapi.json.")


@asynccontextmanager
async def _photo_of(request: Request) -> AsyncGenerator[tuple[bytes, str | None]]:
    """The photo's bytes, held as long as the body runs, and the name its sender gave it.

    Raises:
        PhotoError: too large.
        ApiError: too slow, a form without a photo, or too many are held already.
    """
    with _memory.share() as hold:
        try:
            async with asyncio.timeout(RECEIVE_SECONDS):
                received = await _receive_photo(request, hold)
        except TimeoutError as error:
            detail = "The photo took too long to arrive: send it again, or a smaller one."
            raise ApiError(408, "too_slow", detail, Connection="close") from error
        yield received


async def _receive_photo(request: Request, hold: Hold) -> tuple[bytes, str | None]:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await _photo_field(request, hold)
    async with aclosing(_bounded(request, settings().max_bytes, hold)) as chunks:
        return b"".join([chunk async for chunk in chunks]), None


async def _photo_field(request: Request, hold: Hold) -> tuple[bytes, str | None]:
    async with aclosing(_bounded(request, settings().max_bytes + FORM_BYTES, hold)) as chunks:
        parser = _Form(request.headers, chunks, max_files=1, max_fields=FORM_FIELDS)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise ApiError(400, "bad_form", f"The form cannot be read: {error.message}") from error
        except UnicodeError as error:  # a charset that is none for bytes
            raise ApiError(400, "bad_form", "The form cannot be read: name no charset.") from error
    try:
        if not parser.is_whole:
            raise ApiError(400, "bad_form", "The form ends in the middle: send it again.")
        file = form.get("photo")
        if not isinstance(file, UploadFile):
            raise ApiError(422, "no_photo", "The form must have a file in its field 'photo'.")
        return await file.read(), file.filename or None
    finally:
        await form.close()


class _Form(MultiPartParser):
    spool_max_size = 0  # never on disk: photos are not stored
    is_whole = False

    def on_end(self) -> None:
        """Take note of the last boundary, without which the last part is missing or cut."""
        self.is_whole = True


async def _bounded(request: Request, most: int, hold: Hold) -> AsyncGenerator[bytes]:
    """The body in chunks, refused at the first byte too many and whatever its header promised."""
    error = PhotoError("too_large", settings().max_bytes / 2**20)
    promised = request.headers.get("content-length", "")
    if promised.isdigit() and int(promised) > most:
        raise error
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise error
        hold(len(chunk))
        yield chunk


def _integer(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= most:
        raise ApiError(422, f"bad_{name}", f"{name} must be a number from 1 to {most}.")
    return int(text)


def _one_of(request: Request, name: str, known: Sequence[str]) -> str | None:
    """A parameter as one of `known` spells it; None where it is not given."""
    text = request.query_params.get(name)
    if not text:
        return None
    spelt = {value.casefold(): value for value in known}
    if text.casefold() not in spelt:
        closest = difflib.get_close_matches(text, known, n=MOST_NAMED, cutoff=0)
        raise ApiError(
            422,
            f"unknown_{name}",
            f"There is no {name} {text!r}: the closest are {', '.join(closest)}; "
            "/api/openapi.json lists them all.",
        )
    return spelt[text.casefold()]


def _json(
    content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(content, status, headers)


def _busy() -> ApiError:
    detail = "Too many photos are waiting: try again in a few seconds."
    return ApiError(503, "busy", detail, **{"Retry-After": "5"})


class _Memory:
    """Counts the bytes of all photos that are held, whoever sends them and however slowly."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def share(self) -> Iterator[Hold]:
        """A function that adds bytes to those held; at the end all of them are given back.

        It raises `ApiError` where they would be too many.
        """
        mine = 0

        def hold(count: int) -> None:
            nonlocal mine
            if self._held + count > self._most:
                raise _busy()
            self._held += count
            mine += count

        try:
            yield hold
        finally:
            self._held -= mine


class _Workers:
    """Runs what takes long beside the event loop, a few calls at once, the others in a queue."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="ideitify-api")
        self._most = at_once + most_waiting
        self._calls = 0  # running or waiting

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in a thread.

        Raises:
            ApiError: too many are waiting already.
        """
        if self._calls >= self._most:
            raise _busy()
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        finally:
            self._calls -= 1


_workers = _Workers(WORKERS, MOST_WAITING)
_memory = _Memory(MOST_BYTES)


class _Endpoint:
    """An ASGI app for one path: calls the method's handler, turns errors into JSON."""

    def __init__(self, **handlers: Handler) -> None:
        self._handlers = handlers | ({"HEAD": handlers["GET"]} if "GET" in handlers else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            return  # nobody is left to answer
        response.headers["Cache-Control"] = "no-store"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._handler(request.method)(request)
        except ApiError as error:
            return _failure(error.status, error.reason, error.detail, error.headers)
        except PhotoError as error:
            return _failure(error.status, error.reason, str(error))
        except HeatMapError as error:
            return _failure(422, "unknown_deity", str(error))
        except BundleError as error:
            return _failure(503, "no_model", str(error))

    def _handler(self, method: str) -> Handler:
        if method not in self._handlers:
            allowed = ", ".join(self._handlers)
            raise ApiError(405, "bad_method", f"Use {allowed} here.", Allow=allowed)
        return self._handlers[method]


def _failure(
    status: int, reason: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    return _json({"error": reason, "detail": detail}, status, headers)


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NOWHERE = _Endpoint(**dict.fromkeys(_METHODS, nothing_here))

routes: list[BaseRoute] = [
    Route("/api/identify", _Endpoint(POST=identify)),
    Route("/api/heatmap", _Endpoint(POST=draw_heatmap)),
    Route("/api/deities", _Endpoint(GET=list_deities)),
    Route("/api/deities/{slug}", _Endpoint(GET=show_deity)),
    Route("/api/health", _Endpoint(GET=tell_health)),
    Route("/api/openapi.json", _Endpoint(GET=describe_api)),
    Route("/api", _NOWHERE),
    Route("/api/{rest:path}", _NOWHERE),
]
