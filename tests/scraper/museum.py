"""A local museum: a web server with pictures, which also misbehaves in every way that we know.

    with Museum(pictures=20) as museum:
        museum.url("picture/3.jpg")
        museum.count("picture/3.jpg")  # how often it was asked for

The first part of a path is a way to behave, one of the `give_…` of `Visit`; the last is the number
of a picture and a suffix. What lies between is free: names in any script, or with `../`.

As a program it serves until it is stopped, and `/counts` tells how often each path was asked for:

    python -m tests.scraper.museum --pictures 2000 --bytes 3000000 --latency 0.1
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from itertools import count
from pathlib import PurePosixPath
from threading import Event, Thread
from typing import NoReturn
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body>No picture.</body></html>"
OPENED = "Sat, 01 Feb 2025 10:00:00 GMT"
ZEROS = memoryview(bytes(2**18))


@cache
def picture(number: int, side: int = 256) -> bytes:
    """A JPEG that looks like no other number's, the same in every run."""
    colours = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


@cache
def bomb() -> bytes:
    """100 KB that unpack to 100 MB."""
    return gzip.compress(bytes(10**8))


@dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        path: as it was sent, with its query.
        headers: their names in lower case.
        time: when it came, in the seconds of `time.monotonic`.
    """

    path: str
    headers: dict[str, str]
    time: float


class Museum:
    """An HTTP/1.1 server in a thread of its own, open until the end of its context.

    Attributes:
        robots: the text of `/robots.txt`, or the status that is answered instead.
        latency: seconds before each answer.
        requests: all that came, in their order; those for `/robots.txt` and `/counts` too.
        most_visitors: requests that were being answered at a time.
        connections: that were made.
    """

    def __init__(
        self, pictures: int = 20, *, side: int = 256, bytes_each: int = 0, latency: float = 0.0
    ) -> None:
        """Open.

        Args:
            pictures: how many there are.
            side: theirs, in pixels.
            bytes_each: to which each file is filled up behind the end of its JPEG; 0 for not.
        """
        self.pictures = pictures
        self.side = side
        self.bytes_each = bytes_each
        self.latency = latency
        self.robots: str | int = 404
        self.requests: list[Request] = []
        self.visitors = self.most_visitors = self.connections = 0
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port: int = self._loop.run_until_complete(opening).sockets[0].getsockname()[1]
        self._thread = Thread(target=self._loop.run_forever, name="museum", daemon=True)

    def __enter__(self) -> Museum:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._send_all_home(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}/{path}"

    def redirect(self, target: str, host: str = "127.0.0.1") -> str:
        """The address of a redirect to a URL."""
        return self.url(f"redirect/{quote(target, safe='')}", host)

    def urls(self) -> list[str]:
        """The addresses of all pictures, without any misbehaviour."""
        return [self.url(f"picture/{number}.jpg") for number in range(self.pictures)]

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return self._counts[f"/{path}"]

    def counts(self) -> dict[str, int]:
        """How often each path was asked for."""
        return dict(self._counts)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has left, or the museum closes
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; False when the connection is to be closed."""
        request = _parse(await reader.readuntil(b"\r\n\r\n"))
        self.requests.append(request)
        self._counts[request.path] += 1
        self.visitors += 1
        self.most_visitors = max(self.visitors, self.most_visitors)
        try:
            await asyncio.sleep(self.latency)
            await Visit(self, request, self._counts[request.path], writer).answer()
        except HangUp:
            return False
        finally:
            self.visitors -= 1
        return request.headers.get("connection") != "close"

    async def _send_all_home(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _parse(head: bytes) -> Request:
    line, *fields = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (field.split(":", 1) for field in fields)
    headers = {name.lower(): value.strip() for name, value in pairs}
    return Request(line.split(" ")[1], headers, time.monotonic())


class HangUp(Exception):
    """The museum closes the connection, in the middle of an answer or at its end."""


class Visit:
    """One request, and the ways to answer it.

    Attributes:
        times: this path has been asked for, this time included.
        rest: what follows the way to behave in the path, unquoted.
    """

    def __init__(
        self, museum: Museum, request: Request, times: int, writer: asyncio.StreamWriter
    ) -> None:
        self.museum = museum
        self.request = request
        self.times = times
        self.writer = writer
        way, _, rest = request.path.removeprefix("/").partition("?")[0].partition("/")
        self.way = way.replace("-", "_").replace(".", "_")
        self.rest = unquote(rest)

    async def answer(self) -> None:
        await getattr(self, f"give_{self.way}", self.give_nothing)()

    # -------------------------------------------------------------------------------- as it should

    async def give_picture(self) -> None:
        """With validators: asked again with its ETag, it is 304."""
        body = self.picture()
        is_there = self.number() < self.museum.pictures
        if is_there and self.request.headers.get("if-none-match") == _etag(body):
            await self.send(b"", 304, ETag=_etag(body))
        else:
            await self.send_picture(ETag=_etag(body), Last_Modified=OPENED)

    async def give_copy(self) -> None:
        """The same bytes as `picture/<number>`."""
        await self.send_picture()

    async def give_png(self) -> None:
        """The same pixels as `picture/<number>`, in other bytes."""
        file = io.BytesIO()
        Image.open(io.BytesIO(self.picture())).save(file, "PNG")
        await self.send(file.getvalue(), Content_Type="image/png")

    async def give_gif(self) -> None:
        """The beginning of one."""
        await self.send(b"GIF89a" + bytes(100), Content_Type="image/gif")

    async def give_changing(self) -> None:
        """Another picture each time."""
        await self.send(picture(self.number() + 1000 * self.times), Content_Type="image/jpeg")

    async def give_chunked(self) -> None:
        body = self.picture()
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (body[:999], body[999:], b""))
        await self.send(chunks, Content_Length=None, Transfer_Encoding="chunked")

    async def give_redirect(self) -> None:
        """To the URL that the rest of the path is, quoted there."""
        await self.send(b"over there", 302, Location=self.rest)

    async def give_robots_txt(self) -> None:
        robots = self.museum.robots
        if isinstance(robots, int):
            await self.send(b"no robots.txt", robots, Content_Type="text/plain")
        else:
            await self.send(robots.encode(), Content_Type="text/plain")

    async def give_json(self) -> None:
        """What was asked, as an API might answer."""
        answer = {"path": self.request.path, "headers": self.request.headers}
        await self.send(json.dumps(answer).encode(), Content_Type="application/json")

    async def give_packed_json(self) -> None:
        body = gzip.compress(b'{"packed": true}')
        await self.send(body, Content_Type="application/json", Content_Encoding="gzip")

    async def give_deep_json(self) -> None:
        """Deeper than parsers go."""
        await self.send(b"[" * 10**5, Content_Type="application/json")

    async def give_counts(self) -> None:
        await self.send(json.dumps(self.museum.counts()).encode(), Content_Type="application/json")

    # ------------------------------------------------------------------------- not now, or not ever

    async def give_busy_seconds(self) -> None:
        """429 and a wait of one second at first."""
        await self.first(1, 429, Retry_After="1")

    async def give_busy_date(self) -> None:
        """429 and a moment, two seconds from now, at first."""
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        await self.first(1, 429, Retry_After=moment)

    async def give_busy_silently(self) -> None:
        """429 at first, without saying how long."""
        await self.first(1, 429)

    async def give_closed(self) -> None:
        """503 until tomorrow."""
        await self.send(b"come back tomorrow", 503, Retry_After="86400")

    async def give_healing(self) -> None:
        """500 twice, then the picture."""
        await self.first(2, 500)

    async def give_status(self) -> None:
        """The one that the path names first."""
        await self.send(PAGE, int(self.rest.split("/")[0]), Content_Type="text/html")

    async def give_nothing(self) -> None:
        await self.send(PAGE, 404, Content_Type="text/html")

    # ------------------------------------------------------------------------------ broken bodies

    async def give_truncated(self) -> None:
        """Half of what was announced, and the end."""
        await self.half_of_it(Content_Length=len(self.picture()))

    async def give_truncated_once(self) -> None:
        await (self.give_truncated() if self.times == 1 else self.send_picture())

    async def give_truncated_chunks(self) -> None:
        body = self.picture()
        half = b"%x\r\n" % len(body) + body[: len(body) // 2]
        await self.send(half, Content_Length=None, Transfer_Encoding="chunked")
        raise HangUp

    async def give_truncated_silently(self) -> None:
        """Half of the picture, without any length: only its decoder can tell."""
        await self.half_of_it(Content_Length=None, Connection="close")

    async def give_cut(self) -> None:
        """Content-Length says half of what is sent, so that clients stop there."""
        await self.send_picture(Content_Length=len(self.picture()) // 2)
        raise HangUp

    async def give_nonsense_length(self) -> None:
        await self.send_picture(Content_Length="many")
        raise HangUp

    async def give_two_lengths(self) -> None:
        await self.send_picture(Content_Length="100\r\nContent-Length: 200")
        raise HangUp

    async def give_drip(self) -> None:
        """The picture, a byte every 50 ms."""
        await self.send(b"", Content_Length=len(self.picture()))
        for byte in self.picture():
            await self.write(bytes([byte]))
            await asyncio.sleep(0.05)

    async def give_drip_of_headers(self) -> None:
        await self.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in count():
            await self.write(b".")
            await asyncio.sleep(0.05)

    async def give_silence(self) -> None:
        """A connection, and not a word."""
        await asyncio.sleep(3600)

    async def give_half_silence(self) -> None:
        """Most of a picture, enough not to be held in memory, and not a byte more."""
        beginning = self.picture() + bytes(200_000)
        await self.send(beginning, Content_Length=len(beginning) + 1)
        await asyncio.sleep(3600)

    async def give_endless(self) -> None:
        """A picture that never ends."""
        await self.send(self.picture(), Content_Length=None, Connection="close")
        for _ in count():
            await self.write(ZEROS)

    async def give_huge(self) -> None:
        """A terabyte, as it says."""
        await self.send(self.picture(), Content_Length=10**12)
        raise HangUp

    async def give_garbage(self) -> None:
        await self.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        raise HangUp

    async def give_hang_up(self) -> None:
        raise HangUp

    async def give_bomb(self) -> None:
        """Packed, so that it would take a thousand times its size."""
        await self.send(bomb(), Content_Type="image/jpeg", Content_Encoding="gzip")

    # ---------------------------------------------------------------------- redirects that mislead

    async def give_loop(self) -> None:
        await self.send(b"", 301, Location=self.request.path)

    async def give_chain(self) -> None:
        """`chain/<n>/<number>.jpg`: n redirects to the picture."""
        left, name = self.rest.split("/", 1)
        onward = f"/chain/{int(left) - 1}/{name}" if int(left) > 1 else f"/picture/{name}"
        await self.send(b"", 307, Location=onward)

    # ------------------------------------------------------------------------- not what they seem

    async def give_page(self) -> None:
        """A web page with status 200."""
        await self.send(PAGE, Content_Type="text/html")

    async def give_page_as_picture(self) -> None:
        await self.send(PAGE, Content_Type="image/jpeg")

    async def give_picture_as_page(self) -> None:
        await self.send_picture(Content_Type="text/html; charset=utf-8")

    async def give_empty(self) -> None:
        await self.send(b"", Content_Type="image/jpeg")

    async def give_named(self) -> None:
        """A header wants the file to be written elsewhere."""
        name = 'attachment; filename="../../elsewhere.jpg"'
        await self.send_picture(Content_Disposition=name)

    # ---------------------------------------------------------------------------------- opted out

    async def give_noai(self) -> None:
        await self.send_picture(X_Robots_Tag="noindex, noai")

    async def give_noimageai(self) -> None:
        await self.send_picture(X_Robots_Tag="noimageai")

    async def give_reserved(self) -> None:
        await self.send_picture(TDM_Reservation="1", TDM_Policy="https://example.org/policy.json")

    # -------------------------------------------------------------------------------------- helpers

    def number(self) -> int:
        """Of the picture that the path means."""
        return int(PurePosixPath(self.rest).stem)

    def picture(self) -> bytes:
        return picture(self.number(), self.museum.side)

    async def first(self, times: int, status: int, **headers: object) -> None:
        """Answer with a status so many times, then with the picture."""
        if self.times <= times:
            await self.send(b"not now", status, **headers)
        else:
            await self.send_picture()

    async def half_of_it(self, **headers: object) -> NoReturn:
        body = self.picture()
        await self.send(body[: len(body) // 2], Content_Type="image/jpeg", **headers)
        raise HangUp

    async def send_picture(self, **headers: object) -> None:
        if self.number() >= self.museum.pictures:
            await self.give_nothing()
            return
        body = self.picture()
        filling = max(0, self.museum.bytes_each - len(body))
        await self.send(
            body, **{"Content_Type": "image/jpeg", "Content_Length": len(body) + filling} | headers
        )
        while filling:
            await self.write(ZEROS[:filling])
            filling -= min(filling, len(ZEROS))

    async def send(self, body: bytes, status: int = 200, **headers: object) -> None:
        """Send an answer; a header that is None is left out."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                lines.append(f"{name.replace('_', '-')}: {value}")
        await self.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def write(self, data: bytes | memoryview) -> None:
        self.writer.write(data)
        await self.writer.drain()


def _etag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:16]}"'


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--side", type=int, default=256, help="in pixels")
    parser.add_argument("--bytes", type=int, default=0, help="to fill each file up to")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    for number in range(options.pictures):
        picture(number, options.side)
    with Museum(
        options.pictures, side=options.side, bytes_each=options.bytes, latency=options.latency
    ) as museum:
        print(museum.url(""), flush=True)
        Event().wait()


if __name__ == "__main__":
    main()
