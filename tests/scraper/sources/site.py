"""APIs on this machine: a real HTTP server that gives prepared answers and writes down requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

ANSWERS = Path(__file__).parent / "answers"
RECORDED = Path(__file__).parents[4] / "shared" / "fixtures" / "apis"

needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason=f"the recorded answers are not there: {RECORDED}"
)

BLOCK_PAGE = b"<!DOCTYPE html><html><body>Request unsuccessful. Incident 1234</body></html>"


@dataclass
class Request:
    path: str
    params: dict[str, str]


@dataclass
class Site:
    """What it answers, and what it was asked."""

    url: str
    requests: list[Request] = field(default_factory=list)
    _answers: list[tuple[str, dict[str, str], int, bytes]] = field(default_factory=list)

    def answer(self, path: str, body: Any, status: int = 200, **params: str) -> None:
        """Give `body` (JSON, or bytes as they are) to requests of `path` with these parameters.

        Of several that fit, the one with the most parameters is given, the latest of these.
        `{site}` in texts becomes this site's address.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content = content.replace(b"{site}", self.url.encode())
        self._answers.append((path, params, status, content))

    def forget(self) -> None:
        """Answer nothing, as at the beginning."""
        self._answers.clear()
        self.requests.clear()

    def find(self, request: Request) -> tuple[int, bytes]:
        fitting = [
            (len(params), status, content)
            for path, params, status, content in reversed(self._answers)
            if path == request.path and params.items() <= request.params.items()
        ]
        if not fitting:
            return 404, json.dumps({"detail": f"nothing at {request.path}"}).encode()
        return max(fitting, key=lambda each: each[0])[1:]

    def asked(self, path: str) -> list[dict[str, str]]:
        """The parameters of all requests of a path, in order."""
        return [request.params for request in self.requests if request.path == path]


@contextmanager
def serve() -> Iterator[Site]:
    """A site, while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            request = Request(unquote(parts.path), dict(parse_qsl(parts.query)))
            site.requests.append(request)
            status, content = site.find(request)
            is_page = content.startswith(b"<")
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answers(api: str) -> dict[str, Any]:
    """Our own answers of an API, by name."""
    return json.loads((ANSWERS / f"{api}.json").read_text(encoding="utf-8"))


def recorded(api: str) -> Any:
    """Recorded answers of an API."""
    return json.loads((RECORDED / f"{api}.json").read_text(encoding="utf-8"))["response"]


def recorded_raw(name: str) -> Any:
    """An untouched recording."""
    return json.loads((RECORDED / "raw" / f"{name}.json").read_text(encoding="utf-8"))
