"""The HTTP API, asked over a real connection to a server in a process of its own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from PIL import Image

from ideitify import Recognizer
from ideitify.api import ApiError, _Memory, _Workers, routes
from ideitify.knowledge import knowledge
from ideitify.openapi import document
from tests.tiny import BLUE, GREY, RED, VIOLET, picture, png, write_bundle

PROJECT = Path(__file__).parents[2]
MAX_BYTES = 1_000_000
SERVE = """
import sys, uvicorn
from starlette.applications import Starlette
from ideitify.api import routes
uvicorn.run(Starlette(routes=routes), fd=int(sys.argv[1]))
"""
# The decoder of GIF knocks at the test's door, and goes on when the test hangs up.
HOLD_GIFS = """
import socket
from PIL import GifImagePlugin
decode = GifImagePlugin.GifImageFile._open
def decode_when_let(image):
    with socket.create_connection(("127.0.0.1", {port})) as door:
        door.recv(1)
    decode(image)
GifImagePlugin.GifImageFile._open = decode_when_let
"""

pytestmark = pytest.mark.xdist_group("api")  # one server for all


class Server(httpx.Client):
    """A client of the API, with what the server logged and the memory it took."""

    process: subprocess.Popen[bytes]
    log: Path

    def memory(self) -> float:
        """The most memory that the server has had so far, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000


@contextmanager
def serve(folder: Path, bundle: Path, first: str = "") -> Iterator[Server]:
    """Start a server, which runs the code `first` before everything else."""
    listener = socket.create_server(("127.0.0.1", 0))
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", first + SERVE, str(listener.fileno())],
            cwd=PROJECT,
            env={**os.environ, "IDEITIFY_BUNDLE": str(bundle),
                 "IDEITIFY_MAX_BYTES": str(MAX_BYTES)},
            pass_fds=[listener.fileno()],
            stdout=file,
            stderr=file,
        )  # fmt: skip
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with Server(base_url=url, timeout=60) as client:
            client.process, client.log = process, log
            yield client  # the connection waits in the listener until the server is up
    finally:
        process.terminate()
        process.wait(10)
        listener.close()


@pytest.fixture(scope="module")
def api(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("api"), tiny_bundle) as client:
        yield client


def failure(answer: httpx.Response, status: int) -> str:
    """The reason of an error, which must be JSON with a sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error", "detail"}
    assert body["detail"]
    return body["error"]


def follows(schema: str, value: object) -> bool:
    """Whether a value is what the OpenAPI document promises."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": document()["components"]}
    Draft202012Validator(root).validate(value)
    return True


def test_a_photo_as_the_body(api: Server) -> None:
    answer = api.post("/api/identify", content=png(RED))
    assert answer.status_code == 200
    body = answer.json()
    assert follows("Answer", body)
    assert body.pop("milliseconds") > 0
    assert body == {
        "file": None,
        "verdict": "deity",
        "candidates": [
            {"deity": "ganesha", "probability": 0.999664},
            {"deity": "krishna", "probability": 0.0},
            {"deity": "shiva", "probability": 0.0},
        ],
        "none_probability": 0.000335,
        "explain": {
            "ganesha": "/api/deities/ganesha",
            "krishna": "/api/deities/krishna",
            "shiva": "/api/deities/shiva",
        },
    }


def test_a_deity_known_from_few_pictures_is_marked(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "few", prototypes=["shiva"])
    with serve(tmp_path, bundle) as client:
        body = client.post("/api/identify", content=png(RED)).json()
    assert follows("Answer", body)
    assert [known.get("few_pictures") for known in body["candidates"]] == [None, None, True]


def test_an_unsure_answer_with_its_circle_follows_the_document(tmp_path: Path) -> None:
    thresholds = {"deity": 0.6, "none": 0.5, "broader": 0.9, "operating_point": "test"}
    recognizer = Recognizer.load(write_bundle(tmp_path / "broader", thresholds=thresholds))
    answer = recognizer.recognize(png(VIOLET)).as_json()
    assert answer["broader"]["kind"] == "tradition"
    assert follows("Answer", {"file": None, **answer, "explain": {}})


def test_a_photo_in_a_form(api: Server) -> None:
    files = {"photo": ("मूर्ति 1.png", png(BLUE), "image/png")}
    body = api.post("/api/identify", files=files, data={"comment": "a bronze"}).json()
    assert follows("Answer", body)
    assert body["file"] == "मूर्ति 1.png"
    assert body["candidates"][0]["deity"] == "krishna"


@pytest.mark.parametrize(
    "kind", ["image/png", "image/jpeg", "application/octet-stream", "text/plain"]
)
def test_the_bytes_tell_what_a_photo_is_and_not_the_header(api: Server, kind: str) -> None:
    answer = api.post("/api/identify", content=png(RED), headers={"Content-Type": kind})
    assert answer.json()["verdict"] == "deity"


def test_the_explanation_can_be_followed(api: Server) -> None:
    body = api.post("/api/identify", content=png(RED)).json()
    assert api.get(body["explain"]["ganesha"]).json()["name"] == "Ganesha"


def test_top_limits_the_candidates(api: Server) -> None:
    assert len(api.post("/api/identify?top=1", content=png(RED)).json()["candidates"]) == 1


@pytest.mark.parametrize("top", ["0", "-1", "101", "many", "1.5", "²", "9" * 5000])
def test_a_bad_top(api: Server, top: str) -> None:
    answer = api.post("/api/identify", params={"top": top}, content=png(RED))
    assert failure(answer, 422) == "bad_top"


def test_the_heat_map_of_a_deity(api: Server) -> None:
    photo = png(RED, BLUE, side=320)
    answer = api.post("/api/heatmap?deity=krishna", content=photo)
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as overlay:
        assert overlay.size == (320, 320)
        grey = overlay.convert("L")
        assert grey.getpixel((300, 160)) > grey.getpixel((20, 160)) + 60


def test_the_heat_map_of_the_first_candidate(api: Server) -> None:
    photo = png(RED, BLUE, BLUE)
    named = api.post("/api/heatmap?deity=krishna", content=photo)
    assert api.post("/api/heatmap", files={"photo": photo}).content == named.content


def test_the_heat_map_of_a_deity_that_the_model_does_not_know(api: Server) -> None:
    answer = api.post("/api/heatmap?deity=zeus", content=png(RED))
    assert failure(answer, 422) == "unknown_deity"
    assert answer.json()["detail"].startswith("The model does not know 'zeus': ")


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "empty"),
        (b"just text", 415, "not_an_image"),
        (b'{"photo": "base64"}', 415, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "svg"),
        (b"%PDF-1.7\n", 415, "pdf"),
        (b"PK\x03\x04" + bytes(100), 415, "archive"),
        (png(RED)[:60], 422, "truncated"),
    ],
)
@pytest.mark.parametrize("path", ["/api/identify", "/api/heatmap"])
@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
def test_what_is_no_photo(
    api: Server, path: str, form: bool, content: bytes, status: int, reason: str
) -> None:
    sent: dict[str, Any] = {"files": {"photo": content}} if form else {"content": content}
    assert failure(api.post(path, **sent), status) == reason


def test_a_png_of_30000_by_30000_pixels(api: Server) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    ]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    assert failure(api.post("/api/identify", content=bomb), 413) == "too_many_pixels"


def fifty_megabytes() -> Iterator[bytes]:
    for _ in range(800):
        yield bytes(65_536)


@pytest.mark.parametrize("path", ["/api/identify", "/api/heatmap"])
def test_an_upload_of_50_megabytes(api: Server, path: str) -> None:
    assert failure(api.post(path, content=b"".join(fifty_megabytes())), 413) == "too_large"


def test_an_upload_of_50_megabytes_that_does_not_say_so(api: Server) -> None:
    """Chunked, without a Content-Length; it is not collected in memory either."""
    api.post("/api/identify", content=png(RED))
    before = api.memory()
    assert failure(api.post("/api/identify", content=fifty_megabytes()), 413) == "too_large"
    assert api.memory() - before < 10


def test_an_upload_of_50_megabytes_in_a_form(api: Server) -> None:
    before = api.memory()
    files = {"photo": ("x.jpg", io.BytesIO(b"".join(fifty_megabytes())))}
    assert failure(api.post("/api/identify", files=files), 413) == "too_large"
    assert api.memory() - before < 10


def test_a_photo_just_within_and_just_beyond_the_limit(api: Server) -> None:
    photo = png(RED)
    within = photo + bytes(MAX_BYTES - len(photo))  # PNG ends before the padding
    for sent in ({"content": within}, {"files": {"photo": within}}):
        assert api.post("/api/identify", **sent).status_code == 200
    for sent in ({"content": within + b"0"}, {"files": {"photo": within + b"0"}}):
        assert failure(api.post("/api/identify", **sent), 413) == "too_large"


CUT_FORM = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\ncut'


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({"files": {"other": b"x"}}, 422, "no_photo"),
        ({"files": {"other": b"x"}, "data": {"photo": "text"}}, 422, "no_photo"),
        ({"files": [("photo", b"x")] * 2}, 400, "bad_form"),
        ({"files": {"photo": b"x"}, "data": {str(n): "x" for n in range(1000)}}, 400, "bad_form"),
        ({"files": {"photo": ("n" * 100_000, b"x")}}, 400, "bad_form"),
        ({"content": b"no form"}, 400, "bad_form"),
        ({"content": b"--b\r\n\r\nno name\r\n--b--"}, 400, "bad_form"),
        ({"content": CUT_FORM}, 400, "bad_form"),
    ],
    ids=["other field", "text", "two", "1000 fields", "long name", "garbage", "nameless", "cut"],
)  # fmt: skip
def test_bad_forms(api: Server, sent: dict[str, Any], status: int, reason: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"} if "content" in sent else {}
    assert failure(api.post("/api/identify", headers=headers, **sent), status) == reason


def test_a_form_without_a_boundary(api: Server) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    answer = api.post("/api/identify", content=png(RED), headers=headers)
    assert failure(answer, 400) == "bad_form"


@contextmanager
def half_a_photo(api: Server, count: int) -> Iterator[socket.socket]:
    """A connection that has sent `count` bytes of a photo, and sends no more."""
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), 60) as connection:
        connection.sendall(
            b"POST /api/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        )
        connection.sendall(bytes(count))
        yield connection


def test_a_photo_that_takes_too_long_to_arrive(tiny_bundle: Path, tmp_path: Path) -> None:
    hurried = "import ideitify.api; ideitify.api.RECEIVE_SECONDS = 0.2\n"
    with serve(tmp_path, tiny_bundle, first=hurried) as api, half_a_photo(api, 100) as connection:
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"error":"too_slow"' in answer


def test_what_all_photos_take_together_is_bounded() -> None:
    memory = _Memory(100)
    with memory.share() as slow:
        slow(60)
        with memory.share() as another:
            another(30)
            with pytest.raises(ApiError) as refused:
                another(20)
        assert (refused.value.status, refused.value.reason) == (503, "busy")
        with memory.share() as third:
            third(40)  # what the refused one held is given back


def test_a_photo_for_which_there_is_no_memory_is_sent_away(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    narrow = "import ideitify.api; ideitify.api._memory = ideitify.api._Memory(500_000)\n"
    with serve(tmp_path, tiny_bundle, first=narrow) as api:
        for sent in ({"content": bytes(600_000)}, {"files": {"photo": bytes(600_000)}}):
            answer = api.post("/api/identify", **sent)
            assert failure(answer, 503) == "busy"
            assert answer.headers["retry-after"] == "5"
            assert api.post("/api/identify", content=png(RED)).status_code == 200


def test_a_client_that_hangs_up_harms_nobody(api: Server) -> None:
    with socket.create_connection((api.base_url.host, api.base_url.port or 80)) as connection:
        connection.sendall(
            b"POST /api/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf"
        )
    assert api.post("/api/identify", content=png(RED)).status_code == 200
    assert "Traceback" not in api.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/identify", "POST"),
        ("DELETE", "/api/heatmap", "POST"),
        ("POST", "/api/deities", "GET, HEAD"),
        ("PUT", "/api/deities/ganesha", "GET, HEAD"),
        ("POST", "/api/health", "GET, HEAD"),
        ("PATCH", "/api/openapi.json", "GET, HEAD"),
    ],
)
def test_wrong_methods(api: Server, method: str, path: str, allowed: str) -> None:
    answer = api.request(method, path)
    assert failure(answer, 405) == "bad_method"
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/nothing", "/api/deities/", "/api/deities/a/b"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_paths_that_lead_nowhere(api: Server, method: str, path: str) -> None:
    assert failure(api.request(method, path), 404) == "not_found"


def test_all_deities(api: Server) -> None:
    body = api.get("/api/deities").json()
    assert follows("Deities", body)
    assert {deity["slug"] for deity in body["deities"]} == set(knowledge())


@pytest.mark.parametrize(
    ("query", "first"), [("गणेश", "ganesha"), ("ganapati", "ganesha"), ("αφροδιτη", "aphrodite")]
)
def test_deities_found_by_name(api: Server, query: str, first: str) -> None:
    body = api.get("/api/deities", params={"q": query}).json()
    assert follows("Deities", body)
    assert body["deities"][0]["slug"] == first


def test_deities_of_a_tradition(api: Server) -> None:
    found = api.get("/api/deities?tradition=hinduism&q=a").json()["deities"]
    assert found
    assert {deity["tradition"] for deity in found} == {"Hinduism"}
    assert api.get("/api/deities?tradition=Jainism&q=zeus").json() == {"deities": []}


def test_a_tradition_that_is_not_among_them(api: Server) -> None:
    answer = api.get("/api/deities?tradition=Pastafarianism")
    assert failure(answer, 422) == "unknown_tradition"
    assert "Hinduism" in answer.json()["detail"]


def test_deities_of_a_region(api: Server) -> None:
    found = api.get("/api/deities?region=nepal").json()["deities"]
    assert {deity["slug"] for deity in found} == {
        slug for slug, entry in knowledge().items() if "Nepal" in entry.regions
    }
    both = api.get("/api/deities?region=Nepal&tradition=Buddhism").json()["deities"]
    assert both == [deity for deity in found if deity["tradition"] == "Buddhism"] != found


def test_a_region_that_is_not_among_them(api: Server) -> None:
    answer = api.get("/api/deities?region=Indai")
    assert failure(answer, 422) == "unknown_region"
    assert "There is no region 'Indai': the closest are India, " in answer.json()["detail"]
    assert len(answer.content) < 300, "not all of them"


def test_every_deity_can_be_read(api: Server) -> None:
    for slug, entry in knowledge().items():
        body = api.get(f"/api/deities/{slug}").json()
        assert follows("Entry", body)
        assert body["slug"] == slug
        assert len(body["body"].split()) >= (40 if entry.brief else 150)


@pytest.mark.parametrize("slug", ["ganehsa", "Ganesha", "गणेश", "..%2FREADME", "%00", "x" * 5000])
def test_a_deity_that_has_no_entry(api: Server, slug: str) -> None:
    answer = api.get(f"/api/deities/{slug}")
    assert answer.status_code == 404
    assert answer.json()["error"] in {"unknown_deity", "not_found"}


def test_close_matches_are_named(api: Server) -> None:
    assert "did you mean ganesha?" in api.get("/api/deities/गणेश").json()["detail"]


def test_health(api: Server) -> None:
    body = api.get("/api/health").json()
    assert follows("Health", body)
    assert body["bundle"] == {"name": "tiny", "created": "2025-01-01T00:00:00Z", "labels": 4}
    assert api.head("/api/health").content == b""


def test_the_openapi_document_is_valid(api: Server) -> None:
    served = api.get("/api/openapi.json").json()
    validate(served)
    assert served == json.loads(json.dumps(document()))


def test_the_openapi_document_names_every_path() -> None:
    served = {getattr(route, "path", "") for route in routes}
    nowhere = {"/api", "/api/{rest:path}"}
    assert set(document()["paths"]) == served - nowhere - {"/api/openapi.json"}


def test_the_openapi_document_names_what_deities_are_filtered_by() -> None:
    parameters = document()["paths"]["/api/deities"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert list(schemas) == ["q", "tradition", "region"]
    assert "Hinduism" in schemas["tradition"]["enum"]
    assert "Nepal" in schemas["region"]["enum"]


@pytest.mark.parametrize("path", ["/api/health", "/api/deities", "/api/nothing"])
def test_no_answer_is_cached(api: Server, path: str) -> None:
    assert api.get(path).headers["cache-control"] == "no-store"


def test_nothing_of_a_photo_is_logged(api: Server) -> None:
    api.post("/api/identify", files={"photo": ("my-secret-name.png", png(GREY))})
    api.post("/api/identify", files={"photo": ("my-secret-name.png", b"broken")})
    log = api.log.read_text()
    assert "POST /api/identify" in log
    assert "secret" not in log
    assert "Traceback" not in log


def test_eight_users_at_once_get_their_own_answers(api: Server) -> None:
    photos = {RED: "ganesha", BLUE: "krishna"}

    def use(number: int) -> bool:
        colour = list(photos)[number % 2]
        with httpx.Client(base_url=api.base_url, timeout=60) as client:
            answers = [client.post("/api/identify", content=png(colour)) for _ in range(5)]
        return all(a.json()["candidates"][0]["deity"] == photos[colour] for a in answers)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(8)))


def test_other_requests_are_answered_while_a_photo_is_in_work(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    """Photos are worked on beside the event loop; this one until another request is answered."""
    photo = io.BytesIO()
    picture(VIOLET).save(photo, "GIF")
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(60)
        hold = HOLD_GIFS.format(port=door.getsockname()[1])
        with serve(tmp_path, tiny_bundle, first=hold) as api, ThreadPoolExecutor(1) as pool:
            working = pool.submit(api.post, "/api/identify", content=photo.getvalue())
            held, _ = door.accept()
            with held:
                assert api.get("/api/openapi.json").status_code == 200
                assert not working.done()
            assert working.result().json()["verdict"] == "unsure"


def test_too_many_waiting_photos_are_sent_away() -> None:
    async def ask() -> list[object]:
        workers = _Workers(at_once=1, most_waiting=2)
        release = threading.Event()
        calls = [asyncio.ensure_future(workers.run(release.wait)) for _ in range(4)]
        await asyncio.sleep(0.05)
        release.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [*answers, await workers.run(lambda: "free again")]

    *answers, busy, later = asyncio.run(ask())
    assert answers == [True] * 3
    assert isinstance(busy, ApiError)
    assert (busy.status, busy.reason, busy.headers) == (503, "busy", {"Retry-After": "5"})
    assert later == "free again"


def test_without_a_usable_model_everything_else_works(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "model.onnx").write_bytes(b"changed")
    with serve(tmp_path, bundle) as api:
        assert failure(api.get("/api/health"), 503) == "no_model"
        answer = api.post("/api/identify", content=png(RED))
        assert failure(answer, 503) == "no_model"
        assert "model.onnx is damaged or was changed" in answer.json()["detail"]
        assert api.get("/api/deities/ganesha").status_code == 200
        write_bundle(bundle)
        assert api.get("/api/health").status_code == 200, "repaired without a restart"
