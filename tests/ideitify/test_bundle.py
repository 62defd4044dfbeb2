"""A bundle is used whole, unchanged and understood, or not at all."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from ideitify import BundleError, Recognizer
from ideitify.bundle import Manifest, read_manifest, verify_bundle
from tests.tiny import LABELS, RED, manifest, network, picture, write_bundle, write_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A valid bundle to spoil."""
    return write_bundle(tmp_path / "bundle")


def rewrite(bundle: Path, **changes: Any) -> None:
    write_manifest(bundle, manifest(bundle) | changes)


def replace_model(bundle: Path, model: onnx.ModelProto) -> None:
    """Exchange the model and its hash."""
    onnx.save(model, bundle / "model.onnx")
    rewrite(bundle)


def test_a_valid_bundle_is_read(bundle: Path) -> None:
    content = verify_bundle(bundle)
    assert content.labels == LABELS
    assert content.thresholds.deity == 0.6
    assert content.metrics["validation"]["accuracy"].pictures == 100


def test_a_manifest_survives_being_written(bundle: Path) -> None:
    content = read_manifest(bundle)
    assert Manifest.model_validate_json(content.model_dump_json()) == content


@pytest.mark.parametrize("folder", ["", "nowhere", "a-file"])
def test_a_folder_that_is_no_bundle(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a-file").write_text("")
    with pytest.raises(BundleError, match=r"is not a model bundle: it has no bundle\.json"):
        read_manifest(tmp_path / folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is this file")
@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_a_file_that_cannot_be_read(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    (bundle / name).symlink_to("/proc/self/mem")  # a file that nobody, root neither, may read
    with pytest.raises(BundleError, match=rf"{name} cannot be read: Input/output error"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"not json",
        b'{"format_version":1',
        b"[" * 100_000,
        b"1" * 5000,
    ],
    ids=["empty", "brace", "utf-16", "text", "cut", "deep", "long number"],
)
def test_bad_json(bundle: Path, content: bytes) -> None:
    (bundle / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json is not valid JSON"):
        verify_bundle(bundle)


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "{}", '{"format_version": 2}'])
def test_another_format_version(bundle: Path, content: str) -> None:
    (bundle / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match="this program reads version 1; export the model again"):
        verify_bundle(bundle)


INPUT = {"size": 32, "resize": "squish", "mean": [0, 0, 0], "std": [1, 1, 1], "flip": False}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"surprise": 1}, "surprise"),
        ({"labels": None}, "labels"),
        ({"labels": ["ganesha"]}, "labels"),
        ({"labels": ["ganesha", "ganesha"]}, "labels repeat"),
        ({"labels": "ganesha"}, "labels"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 1e-300}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"thresholds": {"deity": 1.5, "none": 0.5, "operating_point": ""}}, "thresholds.deity"),
        ({"input": {"size": 32}}, "input.resize"),
        ({"input": INPUT | {"std": [1, 0, 1]}}, "input.std.1"),
        ({"input": INPUT | {"std": [1, 1, math.inf]}}, "input.std.2"),
        ({"input": INPUT | {"mean": [math.nan, 0, 0]}}, "input.mean.0"),
        ({"files": {}}, r"files does not list model\.onnx"),
        ({"files": {"model.onnx": "abc"}}, "files"),
        ({"metrics": {"validation": {"accuracy": 0.9}}}, "metrics.validation.accuracy"),
    ],
)
def test_a_manifest_that_breaks_the_format_is_refused_by_field(
    bundle: Path, changes: dict[str, Any], named: str
) -> None:
    rewrite(bundle, **changes)
    with pytest.raises(BundleError, match=rf"(?s)does not follow the bundle format: .*{named}"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b.onnx", "", ".", "..", "bundle.json"]
)
def test_a_file_name_that_leaves_the_bundle(bundle: Path, name: str) -> None:
    files = manifest(bundle)["files"]
    rewrite(bundle, files={**files, name: "0" * 64})
    with pytest.raises(BundleError, match="is not a plain name inside the bundle"):
        verify_bundle(bundle)


def test_a_missing_file(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"is incomplete: model\.onnx is missing"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "README.md"])
def test_a_changed_file(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[-1] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} is damaged or was changed: its sha256"):
        Recognizer.load(bundle)


def test_a_label_without_an_entry(bundle: Path) -> None:
    rewrite(bundle, labels=["ganesha", "krishna", "none", "zzz"])
    with pytest.raises(BundleError, match=r"label 'zzz' has no .* add knowledge/zzz\.md"):
        Recognizer.load(bundle)


@pytest.mark.parametrize("label", ["../README", "ganesha/../shiva", "Ganesha", "", "ganesha\n"])
def test_a_label_that_is_no_slug(bundle: Path, label: str) -> None:
    rewrite(bundle, labels=["ganesha", "krishna", "none", label])
    with pytest.raises(BundleError, match="has no knowledge entry"):
        Recognizer.load(bundle)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x09" * 100])
def test_a_model_that_is_no_model(bundle: Path, content: bytes) -> None:
    (bundle / "model.onnx").write_bytes(content)
    rewrite(bundle)
    with pytest.raises(BundleError, match=r"model\.onnx is not a model that can be run"):
        Recognizer.load(bundle)


def test_a_model_of_other_labels(bundle: Path) -> None:
    replace_model(bundle, network(LABELS[:3]))
    with pytest.raises(BundleError, match=r"knows 3 labels, bundle\.json lists 4"):
        Recognizer.load(bundle)


def test_a_model_of_another_input_size(bundle: Path) -> None:
    replace_model(bundle, network(side=64))
    with pytest.raises(BundleError, match=r"takes .*64, 64.*, bundle\.json promises .*32, 32"):
        Recognizer.load(bundle)


def test_a_model_of_another_input(bundle: Path) -> None:
    replace_model(bundle, network(photo="x"))
    with pytest.raises(BundleError, match="must have one input 'photo'"):
        Recognizer.load(bundle)


def test_a_model_without_an_output(bundle: Path) -> None:
    model = network()
    del model.graph.output[2]
    replace_model(bundle, model)
    with pytest.raises(BundleError, match=r"lacks the output\(s\) activation_map"):
        Recognizer.load(bundle)


def test_files_that_the_manifest_does_not_list_do_not_matter(bundle: Path) -> None:
    (bundle / "model.pkl").write_bytes(b"for those who want to go on training")
    assert Recognizer.load(bundle).recognize(picture(RED)).candidates[0].deity == "ganesha"
