"""A local server that speaks for Kaggle and for the storage behind it.

It is an HTTP proxy: the real client (`kaggle`) is told by the environment to go through it and to
trust its certificate, and then talks to the addresses that it always talks to. What it knows of the
protocol is what that client asks and sends: introspection of tokens, status, metadata, downloads by
redirect, and uploads as Google's storage takes them, which can break and be resumed.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import ssl
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

HOSTS = ("api.kaggle.com", "storage.googleapis.com")
STORAGE = f"https://{HOSTS[1]}"

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Version:
    """What a version consists of: files as people find them, archives unpacked."""

    notes: str
    files: dict[str, bytes]


@dataclass
class Dataset:
    """A data set and its page."""

    settings: dict[str, Any]
    versions: list[Version] = field(default_factory=list)
    cover: bytes = b""


@dataclass
class Upload:
    """One file on its way."""

    name: str
    size: int
    content: bytes = b""


class Kaggle:
    """Data sets by owner/slug, what was asked for, and what is to go wrong."""

    def __init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.uploads: dict[str, Upload] = {}
        self.requests: list[str] = []
        self.received: Counter[str] = Counter()  # bytes of each file, those sent twice, too
        self.tokens = {"KGAT_valid": "someone"}
        self.keys = {("someone", "valid-key")}
        self.requests_before_expiry = math.inf
        self.refusal = ""  # of every change of a page
        self.not_ready = 0  # how often a status is not yet "ready"
        self.break_uploads: list[tuple[str, int, int]] = []  # name, bytes that arrive, status then
        self.authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*HOSTS).configure_cert(self.context)
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                """Become the server that the client asked for."""
                self.send_response(200)
                self.end_headers()
                self.connection = kaggle.context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb", -1)
                self.wfile = self.connection.makefile("wb", 0)
                self.close_connection = False

            def do_GET(self) -> None:
                kaggle.answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def environment(self, folder: Path) -> dict[str, str]:
        """What makes a client in a process of its own come here, with a home of its own."""
        bundle = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(bundle))
        (folder / "tmp").mkdir(exist_ok=True)
        return {
            "HTTPS_PROXY": self.url, "HTTP_PROXY": self.url, "NO_PROXY": "",
            "REQUESTS_CA_BUNDLE": str(bundle), "HOME": str(folder), "TMPDIR": str(folder / "tmp"),
            "KAGGLE_API_TOKEN": "KGAT_valid",
        }  # fmt: skip

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        self.requests.append(f"{request.command} {url.path}")
        length = int(request.headers.get("Content-Length") or 0)
        if url.path == "/upload":
            return self._receive(request, parse_qs(url.query)["upload_id"][0], length)
        content = request.rfile.read(length)
        if request.command == "GET":
            return _send(request, self._stored(url.path))
        method = url.path.rpartition("/")[2]
        if method != "IntrospectToken" and not self._knows(request.headers["Authorization"] or ""):
            return _send(request, _error(401, "Unauthenticated"))
        return _send(request, getattr(self, f"_{method}")(json.loads(content or b"{}")))

    def _knows(self, authorization: str) -> bool:
        kind, _, secret = authorization.partition(" ")
        self.requests_before_expiry -= 1
        if self.requests_before_expiry < 0:
            return False
        if kind == "Basic":
            return tuple(base64.b64decode(secret).decode().split(":", 1)) in self.keys
        return secret in self.tokens

    # What the client calls, by the names of its calls

    def _IntrospectToken(self, asked: dict[str, Any]) -> Answer:
        user = self.tokens.get(asked["token"])
        return _json({"active": user is not None, "username": user or ""})

    def _GetDatasetStatus(self, asked: dict[str, Any]) -> Answer:
        if not self._asked(asked):
            return _error(403, "Permission 'datasets.get' was denied")
        if self.not_ready > 0:
            self.not_ready -= 1
            return _json({"status": "BLOBS_RECEIVED"})
        return _json({"status": "READY"})

    def _GetDatasetMetadata(self, asked: dict[str, Any]) -> Answer:
        return _json({"info": self._asked(asked).settings})

    def _UpdateDatasetMetadata(self, asked: dict[str, Any]) -> Answer:
        dataset, settings = self._asked(asked), asked["settings"]
        if errors := [*_faults(settings), *filter(None, [self.refusal])]:
            return _json({"errors": errors})
        image = settings.pop("image", None)
        if image:
            dataset.cover = self.uploads[image["token"]].content
        dataset.settings = {"isPrivate": False} | settings  # what is not said is public
        return _json({"errors": []})

    def _DownloadDataset(self, asked: dict[str, Any]) -> Answer:
        dataset = self._asked(asked)
        if asked.get("fileName", "") not in {"", *dataset.versions[-1].files}:
            return _error(404, "Not found")
        name = f"{asked['ownerSlug']}/{asked['datasetSlug']}/{asked.get('fileName', 'archive.zip')}"
        return 302, {"Location": f"{STORAGE}/data-sets/{name}?X-Goog-Signature=secret"}, b""

    def _StartBlobUpload(self, asked: dict[str, Any]) -> Answer:
        token = f"blob-{len(self.uploads)}"
        self.uploads[token] = Upload(asked["name"], asked["contentLength"])
        return _json({"token": token, "createUrl": f"{STORAGE}/upload?upload_id={token}"})

    def _CreateDataset(self, asked: dict[str, Any]) -> Answer:
        name = f"{asked['ownerSlug']}/{asked['slug']}"
        settings = {key: asked[key] for key in ("title", "subtitle", "description") if key in asked}
        settings["licenses"] = [{"name": asked["licenseName"]}]
        settings["isPrivate"] = asked.get("isPrivate", False)
        if faults := _faults(settings):
            return _json({"status": "error", "error": faults[0]})
        self.datasets[name] = Dataset(settings)
        return self._version(self.datasets[name], "Initial release", asked["files"])

    def _CreateDatasetVersion(self, asked: dict[str, Any]) -> Answer:
        return self._version(
            self._asked(asked), asked["body"].get("versionNotes", ""), asked["body"]["files"]
        )

    def _version(self, dataset: Dataset, notes: str, files: list[dict[str, str]]) -> Answer:
        unpacked: dict[str, bytes] = {}
        for upload in (self.uploads[file["token"]] for file in files):
            if len(upload.content) != upload.size:
                return _json({"status": "error", "error": f"{upload.name} is incomplete"})
            unpacked |= _unpacked(upload)
        dataset.versions.append(Version(notes, unpacked))
        return _json({"status": "ok", "url": "https://www.kaggle.com/…", "ref": "/…"})

    def _asked(self, asked: dict[str, Any]) -> Dataset | None:
        return self.datasets.get(f"{asked['ownerSlug']}/{asked['datasetSlug']}")

    # The storage

    def _receive(self, request: BaseHTTPRequestHandler, token: str, length: int) -> None:
        """Take a file, or what is still missing of it, or say how much of it is there."""
        upload = self.uploads.get(token)
        if upload is None:
            request.rfile.read(length)
            return _send(request, (404, {}, b""))
        content_range = request.headers.get("Content-Range", "")
        if content_range.startswith("bytes */"):
            return _send(request, _progress(upload))
        if not content_range:
            upload.content = b""
        breaks = next((b for b in self.break_uploads if b[0] == upload.name), None)
        if breaks:
            self.break_uploads.remove(breaks)
            self._keep(upload, request.rfile.read(length)[: breaks[1]])
            return _send(request, (breaks[2], {}, b""))
        self._keep(upload, request.rfile.read(length))
        return _send(request, _progress(upload))

    def _keep(self, upload: Upload, content: bytes) -> None:
        upload.content += content
        self.received[upload.name] += len(content)

    def uploaded(self, name: str) -> bytes:
        """The content of the last file of this name that is complete."""
        complete = {u.name: u.content for u in self.uploads.values() if len(u.content) == u.size}
        return complete[name]

    def _stored(self, path: str) -> Answer:
        """A file of a last version, or all of them in an archive."""
        owner, slug, name = path.removeprefix("/data-sets/").split("/", 2)
        files = self.datasets[f"{owner}/{slug}"].versions[-1].files
        headers = {"Last-Modified": "Sun, 01 Jun 2025 10:00:00 GMT"}
        if name != "archive.zip":
            return 200, headers, files[name]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return 200, headers, buffer.getvalue()


def _unpacked(upload: Upload) -> dict[str, bytes]:
    if not upload.name.endswith(".zip"):
        return {upload.name: upload.content}
    folder = upload.name.removesuffix(".zip")
    with zipfile.ZipFile(io.BytesIO(upload.content)) as archive:
        return {f"{folder}/{name}": archive.read(name) for name in archive.namelist()}


def _faults(settings: dict[str, Any]) -> list[str]:
    """What Kaggle would not take."""
    licenses = [license["name"] for license in settings.get("licenses", [])]
    faults = {
        "title must have 6 to 50 characters": not 6 <= len(settings.get("title", "")) <= 50,
        "subtitle must have 20 to 80": not 20 <= len(settings.get("subtitle", "")) <= 80,
        "exactly one licence": len(licenses) != 1,
        "unknown licence": any(not re.fullmatch(r"CC[\w.-]+|other", name) for name in licenses),
    }
    return [fault for fault, found in faults.items() if found]


def _progress(upload: Upload) -> Answer:
    if len(upload.content) == upload.size:
        return 200, {}, b""
    received = {"Range": f"bytes=0-{len(upload.content) - 1}"} if upload.content else {}
    return 308, received, b""


def _json(content: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _error(code: int, message: str) -> Answer:
    body = json.dumps({"code": code, "message": message}).encode()
    return code, {"Content-Type": "application/json"}, body


def _send(request: BaseHTTPRequestHandler, answer: Answer) -> None:
    status, headers, body = answer
    request.send_response(status)
    for key, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(key, value)
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def running_kaggle() -> Iterator[Kaggle]:
    """A Kaggle that answers until the context ends."""
    kaggle = Kaggle()
    thread = threading.Thread(target=kaggle.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield kaggle
    finally:
        kaggle.server.shutdown()
        thread.join()
        kaggle.server.server_close()
