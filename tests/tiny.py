"""A bundle of a few kilobytes whose answers can be worked out by hand.

The network looks at colours: red speaks for Ganesha, green for Shiva, blue for Krishna, and `none`
has the same small logit everywhere. So a red photo shows Ganesha, a grey one nobody, and a violet
one leaves it between Ganesha and Krishna. `answer` makes answers without any bundle.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ideitify import Answer, Candidate, Verdict
from ideitify.circles import Broader
from ideitify.files import sha256_of

LABELS = ["ganesha", "krishna", "none", "shiva"]
SIDE = 32
CELLS = 4

RED, GREEN, BLUE, GREY, VIOLET = (
    (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 0, 255),
)  # fmt: skip
_WEIGHTS = {  # label -> what red, green and blue in 0..1 say for it
    "ganesha": (10, -5, -5),
    "shiva": (-5, 10, -5),
    "krishna": (-5, -5, 10),
}
NONE_LOGIT = 2.0


def answer(
    verdict: Verdict,
    none: float = 0.01,
    broader: Broader | None = None,
    few: Collection[str] = (),
    **candidates: float,
) -> Answer:
    """An answer with these candidates, by slug, a hyphen as an underscore.

    `few` are those known from few pictures only.
    """
    listed = [
        Candidate(slug.replace("_", "-"), probability, slug in few)
        for slug, probability in candidates.items()
    ]
    return Answer(verdict, listed, none, np.zeros(1), np.zeros((1, 1, 1)), ("none",), broader)


def write_bundle(folder: Path, labels: list[str] = LABELS, **changes: Any) -> Path:
    """Write the bundle; `changes` replace fields of `bundle.json`, None removes one."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(labels), folder / "model.onnx")
    (folder / "README.md").write_text("# A tiny model for tests\n", encoding="utf-8")
    write_manifest(folder, manifest(folder, labels) | changes)
    return folder


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / "bundle.json").write_text(json.dumps(kept), encoding="utf-8")


def manifest(folder: Path, labels: list[str] = LABELS) -> dict[str, Any]:
    """The content of a valid `bundle.json` for the files in `folder`."""
    estimate = {"value": 0.9, "low": 0.8, "high": 0.95, "pictures": 100}
    return {
        "format_version": 1,
        "name": "tiny",
        "created": "2025-01-01T00:00:00Z",
        "labels": labels,
        "input": {"size": SIDE, "resize": "squish", "mean": [0, 0, 0], "std": [1, 1, 1],
                  "flip": False},
        "temperature": 1.0,
        "thresholds": {"deity": 0.6, "none": 0.5, "operating_point": "worked out by hand"},
        "metrics": {"validation": {"accuracy": estimate}},
        "per_class": dict.fromkeys(labels, estimate),
        "training": {"backbone": {"name": "none"}},
        "files": {name: sha256_of(folder / name) for name in ("model.onnx", "README.md")},
    }  # fmt: skip


def network(labels: list[str] = LABELS, side: int = SIDE, photo: str = "photo") -> onnx.ModelProto:
    """Mean colour of each cell -> map of each label -> mean over the cells."""
    weights = np.array([_WEIGHTS.get(label, (0, 0, 0)) for label in labels], np.float32)
    bias = np.array([NONE_LOGIT if label == "none" else 0 for label in labels], np.float32)
    step = side // CELLS
    nodes = [
        helper.make_node("AveragePool", [photo], ["cells"], kernel_shape=[step, step],
                         strides=[step, step]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["activation_map"]),
        helper.make_node("GlobalAveragePool", ["activation_map"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
        helper.make_node("Flatten", ["cells"], ["features"]),
        helper.make_node("Add", ["features", "one"], ["embedding"]),
    ]  # fmt: skip
    outputs = {
        "logits": ["n", len(labels)],
        "embedding": ["n", 3 * CELLS**2],
        "activation_map": ["n", len(labels), CELLS, CELLS],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(photo, TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [
            numpy_helper.from_array(weights[:, :, None, None], "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.ones(1, np.float32), "one"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def picture(*colours: tuple[int, int, int], side: int = 64) -> Image.Image:
    """Vertical stripes of equal width, from left to right."""
    image = Image.new("RGB", (side, side))
    width = side // len(colours)
    for number, colour in enumerate(colours):
        image.paste(colour, (number * width, 0, (number + 1) * width, side))
    return image


def png(*colours: tuple[int, int, int], side: int = 64) -> bytes:
    """The same as the bytes of a PNG."""
    buffer = io.BytesIO()
    picture(*colours, side=side).save(buffer, "PNG")
    return buffer.getvalue()
