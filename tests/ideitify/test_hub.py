"""Bundles from the Hub, with the real client and a local server that speaks for the Hub."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ideitify.bundle import BundleError
from ideitify.files import sha256_of
from ideitify.hub import bundle_folder
from tests.hub_server import Commit, Hub, running_hub
from tests.tiny import RED, manifest, png, write_bundle, write_manifest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub() as hub:
        hub.add("someone/tiny", write_bundle(tmp_path / "published"))
        yield hub


@pytest.fixture
def load(hub: Hub, tmp_path: Path):
    """Run `python -m ideitify info --bundle …` with a Hub's cache of its own."""

    def load(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ideitify", "info", "--bundle", *arguments],
            cwd=PROJECT,
            env={**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": hub.url,
                 "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
            capture_output=True,
            text=True,
            timeout=240,
        )  # fmt: skip

    return load


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a refusal, which must be one, and no traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_repository_is_downloaded_and_verified(load) -> None:
    done = load("hf://someone/tiny")
    assert done.returncode == 0, done.stderr
    assert "all as bundle.json says" in done.stdout


def test_only_the_bundles_own_files_are_downloaded(hub: Hub, load) -> None:
    hub.repositories["someone/tiny"]["model.pkl"] = b"large and not needed"
    hub.repositories["someone/tiny"]["photos.zip"] = b"large and not needed"
    assert load("hf://someone/tiny@v1").returncode == 0
    fetched = {line.rpartition("/")[2] for line in hub.requests if "/resolve/" in line}
    assert fetched == {"bundle.json", "model.onnx", "README.md"}


@pytest.fixture
def with_references(tmp_path: Path) -> Path:
    """A bundle that lists one more file."""
    bundle = write_bundle(tmp_path / "with-references")
    references = bundle / "references.npz"
    references.write_bytes(b"embeddings of known images")
    files = {**manifest(bundle)["files"], references.name: sha256_of(references)}
    write_manifest(bundle, manifest(bundle) | {"files": files})
    return bundle


def test_every_file_that_the_bundle_lists_is_downloaded(
    hub: Hub, load, with_references: Path
) -> None:
    hub.add("someone/more", with_references)
    done = load("hf://someone/more")
    assert done.returncode == 0, done.stderr
    assert re.search(r"references\.npz .* all as bundle\.json says", " ".join(done.stdout.split()))


def test_a_branch_that_moves_during_a_download_does_not_mix_two_bundles(
    hub: Hub, load, with_references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = hub.commit("someone/tiny")
    answer = hub.answer

    def answer_and_move(request: BaseHTTPRequestHandler) -> None:
        answer(request)
        fetched = request.command == "GET" and request.path.endswith(f"{begun}/bundle.json")
        if fetched and hub.commit("someone/tiny") == begun:
            hub.versions["someone/tiny", begun] = hub.repositories["someone/tiny"]
            hub.commits["someone/tiny"] = [Commit("Add references", "")]
            hub.add("someone/tiny", with_references)

    monkeypatch.setattr(hub, "answer", answer_and_move)
    done = load("hf://someone/tiny")
    assert done.returncode == 0, done.stderr
    assert hub.commit("someone/tiny") != begun
    assert f"snapshots/{begun}" in "".join(done.stdout.split())
    assert "references.npz" in load("hf://someone/tiny").stdout, "the next time, the new one"


def test_the_cache_serves_while_the_hub_is_down(hub: Hub, load) -> None:
    assert load("hf://someone/tiny").returncode == 0
    hub.status = 503
    assert load("hf://someone/tiny").returncode == 0


def test_the_cache_serves_without_a_network(load) -> None:
    assert load("hf://someone/tiny").returncode == 0
    assert load("hf://someone/tiny", HF_ENDPOINT="http://127.0.0.1:9").returncode == 0
    assert load("hf://someone/tiny", HF_HUB_OFFLINE="1").returncode == 0


def test_a_pinned_commit_needs_no_request_the_second_time(hub: Hub, load) -> None:
    source = f"hf://someone/tiny@{hub.commit('someone/tiny')}"
    assert load(source).returncode == 0
    hub.requests.clear()
    assert load(source).returncode == 0
    assert not [line for line in hub.requests if "someone" in line]


def test_without_network_and_cache_the_network_is_named(load) -> None:
    message = refused(load("hf://someone/tiny", HF_ENDPOINT="http://127.0.0.1:9"))
    assert "hf://someone/tiny@main cannot be downloaded and is not in the cache" in message
    assert "check the network" in message


def test_a_file_changed_on_the_hub_is_refused(hub: Hub, load) -> None:
    model = hub.repositories["someone/tiny"]["model.onnx"]
    hub.repositories["someone/tiny"]["model.onnx"] = model[:-1] + b"!"
    message = refused(load("hf://someone/tiny"))
    assert re.search(r"model\.onnx is damaged or was changed: its sha256 is not the one", message)


def test_an_incomplete_repository_is_refused(hub: Hub, load) -> None:
    del hub.repositories["someone/tiny"]["model.onnx"]
    assert "model.onnx is missing" in refused(load("hf://someone/tiny"))


def test_an_unknown_repository_is_refused(load) -> None:
    message = refused(load("hf://someone/other"))
    assert "there is no repository 'someone/other' on the Hub, or it is private" in message


def test_an_unknown_revision_is_refused(load) -> None:
    assert "hf://someone/tiny has no revision 'v9'" in refused(load("hf://someone/tiny@v9"))


def test_a_repository_of_something_else_is_refused(hub: Hub, load) -> None:
    hub.repositories["someone/else"] = {"README.md": b"#", "model.safetensors": b"0"}
    message = refused(load("hf://someone/else", "--trust-pickle"))
    assert "hf://someone/else@main is not a model bundle: it has no bundle.json" in message


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_neither_run_nor_fetched_without_trust(hub: Hub, load, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    hub.repositories["someone/old"] = {"model.pkl": pickle.dumps(Trap(trap))}
    message = refused(load("hf://someone/old"))
    assert "runs whatever code its author put in it" in message
    assert "pass --trust-pickle" in message
    assert not trap.exists()
    assert not [line for line in hub.requests if line.startswith("GET /someone/old/resolve")]


def test_a_trusted_pickle_of_something_else_is_refused(hub: Hub, load, tmp_path: Path) -> None:
    hub.repositories["someone/old"] = {"model.pkl": pickle.dumps({"not": "a learner"})}
    message = refused(load("hf://someone/old", "--trust-pickle"))
    assert "the model.pkl of hf://someone/old@main cannot be converted: " in message
    assert "is not a fastai image classifier" in message
    leftovers = [path for path in tmp_path.rglob("converted/**/*") if path.is_dir()]
    assert [path.name for path in leftovers] == ["bundles"]


def test_a_trusted_learner_is_converted_once_and_then_works_offline(
    hub: Hub, load, tmp_path: Path
) -> None:
    export_learner(tmp_path / "model.pkl")
    hub.repositories["someone/old"] = {"model.pkl": (tmp_path / "model.pkl").read_bytes()}
    first = load("hf://someone/old", "--trust-pickle")
    assert first.returncode == 0, first.stderr
    assert "2: ganesha, none" in first.stdout
    hub.status = 503
    again = load("hf://someone/old", "--trust-pickle")
    assert again.stdout == first.stdout, "the same folder, made at the same time"


def export_learner(path: Path) -> None:
    """Write a fastai learner, untrained and small, as `Learner.export` does."""
    from fastai.vision.all import ImageDataLoaders, Learner, Resize
    from torch import nn

    photos = [path.with_name(f"{label}-{n}.png") for n in range(4) for label in ("ganesha", "none")]
    for photo in photos:
        photo.write_bytes(png(RED))
    loaders = ImageDataLoaders.from_path_func(
        path.parent, photos, lambda photo: photo.name.split("-")[0], item_tfms=Resize(32), bs=2
    )
    body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    Learner(loaders, nn.Sequential(body, head), nn.CrossEntropyLoss()).export(path)


@pytest.mark.parametrize(
    "source",
    [
        "hf://tiny",
        "hf://someone/tiny@",
        "hf://someone/tiny/model.onnx",
        "hf://../../etc/passwd",
        "https://huggingface.co/someone/tiny",
    ],
)
def test_a_malformed_source_is_refused_with_the_right_form(source: str) -> None:
    with pytest.raises(BundleError, match="give a folder, or hf://owner/repo@revision"):
        bundle_folder(source)


def test_a_name_the_hub_does_not_allow_is_refused() -> None:
    with pytest.raises(BundleError, match="is not a repository's name"):
        bundle_folder("hf://someone/tiny..model")


def test_a_local_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert bundle_folder(str(tmp_path)) == tmp_path


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no bundle folder .*nowhere"):
        bundle_folder(str(tmp_path / "nowhere"))
