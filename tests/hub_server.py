"""A local server that speaks for the Hugging Face Hub: repositories to read, and to write to.

What it knows of the protocol is what the real client (`huggingface_hub`) asks and sends: revisions,
trees and files to read; `preupload`, git LFS batches, uploads in one or many parts, and commits to
write, and tags. It checks what the Hub checks: the token, hashes of parts and of wholes, the card's
YAML with the results in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import yaml

LARGE_SUFFIXES = (
    ".jpg",
    ".png",
    ".webp",
    ".gif",
    ".parquet",
    ".zip",
    ".onnx",
    ".safetensors",
    ".pkl",
)  # as a new .gitattributes has
LICENSES = {
    "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "mit", "other",
    "unknown",
}  # fmt: skip

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Commit:
    """What a commit said of itself, and which files it brought and took."""

    summary: str
    description: str
    added: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """Something to go wrong: the next `times` requests that match are answered by `status`.

    Status 0 hangs up in the middle of the request's body.
    """

    method: str
    path: str
    status: int
    times: int = 1


class Hub:
    """Repositories, what was asked for, and what is to go wrong.

    Names of models are `owner/name`, of data sets `datasets/owner/name`, as in addresses.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.commits: dict[str, list[Commit]] = {}
        self.versions: dict[tuple[str, str], dict[str, bytes]] = {}  # (name, commit) -> files
        self.tags: dict[str, dict[str, str]] = {}  # name -> tag -> commit
        self.private: dict[str, bool] = {}
        self.requests: list[str] = []
        self.status = 200  # of every answer, so that the Hub can be down
        self.faults: list[Fault] = []
        self.tokens = {"hf_valid"}
        self.token_requests = math.inf  # with a token, before all tokens expire
        self.large: dict[str, bytes] = {}  # the LFS store: sha256 -> content
        self.parts: dict[tuple[str, int], bytes] = {}
        self.part_bytes = 16_384  # larger objects are uploaded in parts
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add(self, name: str, folder: Path) -> None:
        """Put the files of a folder into a repository."""
        self.repositories[name] = {path.name: path.read_bytes() for path in folder.iterdir()}

    def commit(self, name: str) -> str:
        """The hash of a repository's last commit."""
        count = len(self.commits.get(name, []))
        return hashlib.sha1(f"{name}{count or ''}".encode()).hexdigest()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlparse(request.path)
        path = unquote(url.path)
        self.requests.append(f"{request.command} {path}")
        length = int(request.headers.get("Content-Length") or 0)
        fault = self._fault(request.command, path)
        if fault and fault.status == 0:
            request.rfile.read(length // 2)
            request.connection.close()
            request.close_connection = True
            return
        content = request.rfile.read(length)
        if fault:
            status, headers, body = fault.status, {}, b"{}"
        elif request.command in {"GET", "HEAD"} and not path.startswith("/api/whoami"):
            status, headers, body = self._find(path, url.query)
        else:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            status, headers, body = self._write(request.command, path, token, content)
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.method == method and re.search(fault.path, path) and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    # Reading

    def _find(self, path: str, query: str) -> Answer:
        if self.status != 200:
            return self.status, {}, b"down"
        name = _repository(path)
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        rest = path.partition(name)[2].strip("/").split("/", 2)
        if rest == ["refs"]:
            return _json(self._refs(name))
        if rest == [""]:
            rest = ["revision", "main"]
        commit = self._resolve(name, rest[1])
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        files = self.versions.get((name, commit), self.repositories[name])
        if rest[0] == "revision":
            siblings = [{"rfilename": file} for file in files]
            info = {"id": name.removeprefix("datasets/"), "sha": commit, "siblings": siblings}
            return _json(info | {"private": self.private.get(name, False), "tags": []})
        if rest[0] == "tree":
            recursive = parse_qs(query).get("recursive", [""])[0].lower() in {"true", "1"}
            return _json(_tree(files, rest[2] if len(rest) > 2 else "", recursive))
        if rest[2] not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        body = files[rest[2]]
        return 200, {"ETag": f'"{_blob_id(body)}"', "X-Repo-Commit": commit}, body

    def _resolve(self, name: str, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit; None if there is none of these."""
        head = self.commit(name)
        tags = self.tags.get(name, {})
        if revision in {"main", "v1", head}:
            return head
        return revision if (name, revision) in self.versions else tags.get(revision)

    def _refs(self, name: str) -> dict[str, Any]:
        branches = {"main": self.commit(name)}
        return {
            kind: [
                {"name": ref, "ref": f"refs/{folder}/{ref}", "targetCommit": commit}
                for ref, commit in refs.items()
            ]
            for kind, folder, refs in (
                ("branches", "heads", branches),
                ("tags", "tags", self.tags.get(name, {})),
                ("converts", "convert", {}),
            )
        }

    # Writing

    def _write(self, method: str, path: str, token: str, content: bytes) -> Answer:
        if self.status != 200:
            return self.status, {}, b"down"
        if re.match("/lfs/", path):  # addresses signed for their purpose
            return self._store(method, path, content)
        if path == "/api/validate-yaml":
            return _check_card(json.loads(content)["content"])
        self.token_requests -= 1
        if token not in self.tokens or self.token_requests < 0:
            return 401, {}, b'{"error": "Invalid username or password."}'
        if path == "/api/whoami-v2":
            return _json({"type": "user", "name": "someone", "auth": {}})
        if path == "/api/repos/create":
            return self._create(json.loads(content))
        name = _repository(path)
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if "/preupload/" in path:
            return _json({"files": [self._mode(name, f) for f in json.loads(content)["files"]]})
        if path.endswith(".git/info/lfs/objects/batch"):
            return _json({"objects": [self._upload(f) for f in json.loads(content)["objects"]]})
        if "/tag/" in path:
            return self._tag(name, path.rpartition("/")[2], json.loads(content)["tag"])
        if "/commit/" in path:
            return self._commit(name, [json.loads(line) for line in content.splitlines()])
        return 404, {}, b"{}"

    def _create(self, wanted: dict[str, Any]) -> Answer:
        prefix = "datasets/" if wanted.get("type") == "dataset" else ""
        name = f"{prefix}{wanted.get('organization') or 'someone'}/{wanted['name']}"
        if name in self.repositories:
            known = {"url": f"{self.url}/{name}", "error": "You already created this repo"}
            return 409, {}, json.dumps(known).encode()
        self.repositories[name] = {".gitattributes": b"*.jpg filter=lfs\n"}
        self.private[name] = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        return _json({"url": f"{self.url}/{name}", "name": name, "id": "1"})

    def _mode(self, name: str, file: dict[str, Any]) -> dict[str, Any]:
        """Whether a file is to be sent with the commit or before it; its hash if it is there."""
        mode = "lfs" if file["path"].endswith(LARGE_SUFFIXES) else "regular"
        old = self.repositories[name].get(file["path"])
        known = old and (hashlib.sha256(old).hexdigest() if mode == "lfs" else _blob_id(old))
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known}

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Where to send a large file; nowhere if its content is there already."""
        oid, size = wanted["oid"], wanted["size"]
        if oid in self.large:
            return {"oid": oid, "size": size}
        verify = {"href": f"{self.url}/lfs/{oid}/verify", "header": {}}
        if size <= self.part_bytes:
            upload = {"href": f"{self.url}/lfs/{oid}/1", "header": {}}
        else:
            parts = range(1, math.ceil(size / self.part_bytes) + 1)
            header = {str(part): f"{self.url}/lfs/{oid}/{part}" for part in parts}
            header["chunk_size"] = str(self.part_bytes)
            upload = {"href": f"{self.url}/lfs/{oid}/complete", "header": header}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}

    def _store(self, method: str, path: str, content: bytes) -> Answer:
        _, _, oid, step = path.split("/")
        if method == "PUT":
            self.parts[oid, int(step)] = content
            if hashlib.sha256(content).hexdigest() == oid:  # sent in one
                self.large[oid] = content
            return 200, {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}, b""
        if step == "complete":
            return self._complete(oid, json.loads(content)["parts"])
        size = len(self.large[oid]) if oid in self.large else -1
        return (200 if size == json.loads(content)["size"] else 422), {}, b"{}"

    def _complete(self, oid: str, parts: list[dict[str, Any]]) -> Answer:
        contents = [self.parts.get((oid, part["partNumber"]), b"") for part in parts]
        etags = [f'"{hashlib.md5(content).hexdigest()}"' for content in contents]
        whole = b"".join(contents)
        if etags != [part["etag"] for part in parts] or hashlib.sha256(whole).hexdigest() != oid:
            return 422, {}, b'{"error": "the parts do not add up"}'
        self.large[oid] = whole
        return _json({"success": True})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> Answer:
        header, *operations = lines
        commit = Commit(header["value"]["summary"], header["value"]["description"])
        files = dict(self.repositories[name])
        for operation in operations:
            key, value = operation["key"], operation["value"]
            if key == "deletedFile":
                del files[value["path"]]
                commit.deleted.append(value["path"])
                continue
            if key == "lfsFile" and value["oid"] not in self.large:
                return 400, {}, b'{"error": "Your push was rejected: an LFS object is missing"}'
            body = (
                self.large[value["oid"]] if key == "lfsFile" else base64.b64decode(value["content"])
            )
            files[value["path"]] = body
            commit.added.append(value["path"])
        self.repositories[name] = files
        self.commits.setdefault(name, []).append(commit)
        oid = self.commit(name)
        self.versions[name, oid] = files
        return _json({"commitUrl": f"{self.url}/{name}/commit/{oid}", "commitOid": oid})

    def _tag(self, name: str, revision: str, tag: str) -> Answer:
        tags = self.tags.setdefault(name, {})
        if tag in tags:
            return 409, {}, b'{"error": "Tag already exists"}'
        commit = self._resolve(name, revision)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        tags[tag] = commit
        return _json({})


def _repository(path: str) -> str:
    """`/api/datasets/a/b/tree/main`, `/datasets/a/b.git/info` -> `datasets/a/b`."""
    path = path.removeprefix("/api/models/").removeprefix("/api/").strip("/")
    words = path.split("/")
    return "/".join(words[: 3 if words[0] == "datasets" else 2]).removesuffix(".git")


def _json(content: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _check_card(content: str) -> Answer:
    """Refuse a card as the Hub does, for what ours can have wrong."""
    errors = []
    match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    try:
        card = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        card = None
    if not isinstance(card, dict):
        errors.append("the metadata is no YAML mapping")
    elif card.get("license") not in LICENSES:
        errors.append('"license" must be one of the known ones')
    elif not re.fullmatch(r"n<1K|\d+[KM]<n<\d+[KM]", card.get("size_categories", "n<1K")):
        errors.append('"size_categories" must be one of the known ones')
    elif not all(map(_is_model, _as_list(card.get("base_model", [])))):
        errors.append('"base_model" must be the id of a model, or a list of them')
    elif not all(_is_result(result) for result in _model_index(card)):
        errors.append('"model-index" must name task, dataset and metrics of every result')
    answer = {"errors": [{"message": error} for error in errors], "warnings": []}
    return (400 if errors else 200), {}, json.dumps(answer).encode()


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _is_model(name: object) -> bool:
    """Whether it could be the id of a repository."""
    return isinstance(name, str) and bool(re.fullmatch(r"([\w.-]+/)?[\w.-]+", name))


def _model_index(card: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of every model of a card."""
    return [result for model in card.get("model-index", []) for result in model["results"]]


def _is_result(result: dict[str, Any]) -> bool:
    """Whether a row of the `model-index` has what the Hub demands."""
    metrics = result.get("metrics") or [{}]
    return (
        bool(result.get("task", {}).get("type"))
        and {"name", "type"} <= result.get("dataset", {}).keys()
        and all({"type", "value"} <= metric.keys() for metric in metrics)
    )


def _tree(files: dict[str, bytes], folder: str, recursive: bool) -> list[dict[str, object]]:
    """What lies in a folder, or also in those below it."""
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    folders: set[str] = set()
    entries: list[dict[str, object]] = []
    for path, content in files.items():
        inner = path.removeprefix(prefix)
        if path == inner and prefix:
            continue
        if "/" in inner and not recursive:
            folders.add(prefix + inner.partition("/")[0])
            continue
        entry = {"type": "file", "path": path, "size": len(content), "oid": _blob_id(content)}
        if path.endswith(LARGE_SUFFIXES):
            oid = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
        entries.append(entry)
    oid = "0" * 40
    return [
        *entries,
        *({"type": "directory", "path": p, "size": 0, "oid": oid} for p in sorted(folders)),
    ]


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A Hub that answers until the context ends."""
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        thread.join()
        hub.server.server_close()
