"""What docs/deploy.md and the Dockerfile say is run: the image's files and command, and nginx."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from ideitify.api import FORM_BYTES
from ideitify.settings import Settings

PROJECT = Path(__file__).parents[1]
DOCUMENT = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
PHOTO = PROJECT / "tests" / "pictures" / "ganesha.jpg"
PORT = "8501"
PATIENCE = 60.0  # seconds, for a busy machine
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

pytestmark = pytest.mark.xdist_group("deploy")  # one app serves all


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of that name in the Dockerfile."""
    return re.findall(rf"^ *{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[tuple[str, str]]:
    """What the Dockerfile copies: (source, destination)."""
    pairs = []
    for line in instructions("COPY"):
        *sources, destination = line.split()
        pairs += [(s, f"{destination}{s}" if destination == "./" else destination) for s in sources]
    return pairs


def block(language: str) -> str:
    """The document's one example in a language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return text


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@dataclass(frozen=True)
class Image:
    """The files and the process of the image."""

    folder: Path
    port: str


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The Dockerfile's command, on the files that it copies, without those of the checkout."""
    folder = tmp_path_factory.mktemp("image")
    for source, destination in copied():
        target = folder / destination
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (PROJECT / source).is_dir() else shutil.copy)(PROJECT / source, target)
    port = free_port()
    command = json.loads(
        instructions("CMD")[-1].replace(PORT, port).replace("0.0.0.0", "127.0.0.1")
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, stdout=output, stderr=output,
            env={"PATH": "", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", log)
        yield Image(folder, port)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def wait_for(address: str, log: Path, **options: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if httpx.get(address, trust_env=False, **options).is_success:  # type: ignore[arg-type]
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"{address} does not answer:\n{log.read_text(errors='replace')}")


def test_the_image_answers_with_the_files_that_it_copies(image: Image) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{image.port}/api/identify", content=PHOTO.read_bytes(), trust_env=False
    )
    assert answer.json()["candidates"][0]["deity"] == "ganesha"


def test_the_health_check_passes_on_the_running_app_and_fails_without_one(image: Image) -> None:
    (check,) = (line.partition("CMD ")[2] for line in instructions("HEALTHCHECK"))
    for port, healthy in ((image.port, True), (free_port(), False)):
        command = json.loads(check.replace(PORT, port))
        done = subprocess.run([sys.executable, *command[1:]], capture_output=True, timeout=PATIENCE)
        assert (done.returncode == 0) is healthy


def test_port_user_and_context_agree() -> None:
    assert instructions("EXPOSE") == [PORT]
    assert instructions("USER") == re.findall(r"--uid (\d+)", DOCKERFILE)
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert kept == {source for source, _ in copied()}
    assert f"app_port: {PORT}" in block("yaml")
    assert f"proxy_pass http://127.0.0.1:{PORT};" in block("nginx")


def test_the_service_runs_what_the_image_runs() -> None:
    (start,) = re.findall(r"^ExecStart=\S+/(streamlit .*)$", block("ini"), re.MULTILINE)
    command = json.loads(instructions("CMD")[-1])
    assert shlex.split(start.replace("127.0.0.1", "0.0.0.0")) == command


def test_nginx_lets_through_what_the_app_takes() -> None:
    (kibibytes,) = re.findall(r"client_max_body_size (\d+)k;", block("nginx"))
    assert int(kibibytes) * 1024 == Settings().max_bytes + FORM_BYTES


@dataclass(frozen=True)
class Proxy:
    """nginx in front of the app: its addresses, and whom to trust."""

    plain: str
    secure: str
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def proxy(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx with the document's configuration, on free ports and with a certificate of its own."""
    if NGINX is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(folder / "certificate.pem")
    )
    plain, secure = free_port(), free_port()
    server = re.sub(r"(ssl_certificate\w*) +\S+;", rf"\1 {folder}/certificate.pem;", block("nginx"))
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443", f"listen 127.0.0.1:{secure}"),
        ("ideitify.example", "localhost"),
        (PORT, image.port),
    ):
        assert old in server
        server = server.replace(old, new)
    scratch = "\n".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{scratch}\n{server}}}\n"
    )
    command = [NGINX, "-p", str(folder), "-c", str(configuration)]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    try:
        address = f"https://localhost:{secure}"
        wait_for(f"{address}/_stcore/health", folder / "error.log", verify=trust)
        yield Proxy(f"http://localhost:{plain}", address, trust)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


@pytest.fixture
def visitor(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=proxy.secure, verify=proxy.trust, trust_env=False, timeout=PATIENCE
    ) as client:
        yield client


def test_nginx_sends_plain_visitors_to_tls(proxy: Proxy) -> None:
    answer = httpx.get(f"{proxy.plain}/api/health", trust_env=False)
    assert answer.status_code == 301
    assert answer.headers["location"] == "https://localhost/api/health"


def test_pages_and_api_answer_behind_nginx(visitor: httpx.Client) -> None:
    assert visitor.get("/api/health").json()["status"] == "ok"
    assert "<title>" in visitor.get("/").text
    answer = visitor.post("/api/identify", content=PHOTO.read_bytes())
    assert answer.json()["candidates"][0]["deity"] == "ganesha"


def test_a_page_s_websocket_opens_behind_nginx(proxy: Proxy) -> None:
    host, port = proxy.secure.removeprefix("https://").split(":")
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {proxy.secure}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        proxy.trust.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(request.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(("excess", "who"), [(0, "app"), (FORM_BYTES + 1, "nginx")])
def test_the_largest_photo_reaches_the_app_and_a_larger_one_is_stopped_before(
    visitor: httpx.Client, excess: int, who: str
) -> None:
    answer = visitor.post("/api/identify", content=bytes(Settings().max_bytes + excess))
    if who == "app":
        assert "not an image" in answer.text
    else:
        assert answer.status_code == 413
        assert "nginx" in answer.text
