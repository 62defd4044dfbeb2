"""One HTTP answer: its bytes go to a file or into memory, never more of them than allowed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import httpcore
import httpx

from scraper.web.refusal import Refused
from scraper.web.signature import HEAD_BYTES, describe, picture_suffix

# The rest of an answer that nobody wants is read if it is short, for its connection can then serve
# the next request.
_REST_BYTES = 64 * 1024
_REST_SECONDS = 2.0

# A body of so many bytes waits in memory, for the loop that serves all others not to wait for the
# disk: making a file takes as long as sending a request. A larger one is written in such pieces.
_HELD_BYTES = 128 * 1024


@dataclass(frozen=True)
class Arrival:
    """A picture that has arrived, as it came; the caller keeps and moves it, or discards it.

    Attributes:
        path: a temporary file; the caller writes a small picture's.
        held: the bytes of a small picture, None for those that are in the file already.
        sha256: of its bytes, 64 hexadecimal digits.
        size: in bytes.
        suffix: by the bytes, whatever name and headers say, such as ".jpg".
        url: where it came from, after redirects.
        etag, last_modified: as the server says them, for `PoliteWeb.is_unchanged`; else "".
    """

    path: Path
    held: bytes | None
    sha256: str
    size: int
    suffix: str
    url: str
    etag: str
    last_modified: str

    def discard(self) -> None:
        """Leave no file."""
        self.path.unlink(missing_ok=True)


class Answer:
    """Status, headers, and a body to be read once; an async context manager.

    At its end, what is left of the body is read, unless that is much or takes long.

    Attributes:
        is_read: whether the body has been read to its end.
    """

    def __init__(self, url: httpx.URL, response: httpcore.Response) -> None:
        self.url = url
        self.host = host_of(url)
        self.status = response.status
        self.headers = httpx.Headers(response.headers)
        self.is_read = False
        self._chunks = self._read(response)

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, Refused):
            await self._finish()

    async def text(self, limit: int) -> bytes:
        """The body, unpacked; where it is longer, its first `limit` bytes and one more.

        Raises:
            Refused: `truncated` or `bad_response`.
        """
        is_packed = self.headers.get("content-encoding") == "gzip"
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_packed else None
        body = bytearray()
        try:
            async for chunk in self._chunks:
                left = limit + 1 - len(body)
                body += unpacker.decompress(chunk, left) if unpacker else chunk[:left]
                if len(body) > limit:
                    break
        except zlib.error as error:
            raise Refused("bad_response", self.host, str(error)) from error
        return bytes(body)

    async def save(self, folder: Path, max_bytes: int) -> Arrival:
        """Take the body in, if it is a picture; a large one goes to a temporary file in `folder`.

        Nothing is unpacked: what a server packed unasked does not begin as a picture does.

        Raises:
            Refused: `too_large`, `not_a_picture` or `truncated`; no file is left.
        """
        too_large = Refused("too_large", self.host, f"max_bytes, {max_bytes / 2**20:.3g} MB")
        if int(self.headers.get("content-length", 0)) > max_bytes:
            raise too_large
        head = await self._head()
        suffix = picture_suffix(head)
        if not suffix:
            raise Refused("not_a_picture", self.host, describe(head))
        path = folder / f".{uuid4().hex}.partial"
        digest, size, held = sha256(), 0, bytearray()
        file: BinaryIO | None = None
        try:
            async for chunk in _chain(head, self._chunks):
                size += len(chunk)
                if size > max_bytes:
                    raise too_large
                digest.update(chunk)
                held += chunk
                if len(held) > _HELD_BYTES:
                    file = file or path.open("xb")
                    file.write(held)
                    held.clear()
            if file:
                file.write(held)
                file.close()
        except BaseException:
            if file:
                file.close()
                path.unlink()
            raise
        return Arrival(
            path=path,
            held=None if file else bytes(held),
            sha256=digest.hexdigest(),
            size=size,
            suffix=suffix,
            url=str(self.url),
            etag=self.headers.get("etag", ""),
            last_modified=self.headers.get("last-modified", ""),
        )

    async def _finish(self) -> None:
        size = int(self.headers.get("content-length", 0))
        try:
            async with asyncio.timeout(_REST_SECONDS):
                while size <= _REST_BYTES and (chunk := await anext(self._chunks, b"")):
                    size += len(chunk)
        except (TimeoutError, Refused):
            pass  # it stays unread

    async def _head(self) -> bytes:
        head = b""
        async for chunk in self._chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        return head

    async def _read(self, response: httpcore.Response) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in response.aiter_stream():
                yield chunk
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Refused("truncated", self.host, str(error).rstrip(".")) from error
        self.is_read = True


def host_of(url: httpx.URL) -> str:
    """The name by which its limits are kept, with the port unless it is the scheme's own."""
    return url.netloc.decode("ascii")


async def _chain(head: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield head
    async for chunk in rest:
        yield chunk
