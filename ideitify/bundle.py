"""The model bundle: a folder that holds everything needed to recognise, and no code.

    bundle.json   what the model expects and promises (`Manifest`), with the hash of every file
    model.onnx    photo tensor -> `logits`, `embedding`, `activation_map`
    README.md     the model card

The same folder is a Hub repository. `training` writes it, `Recognizer` reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ideitify.files import sha256_of

FORMAT_VERSION = 1
SEEN_DIGITS = 12  # of the sha256 of each picture that it was made of, in `training["seen"]`
MANIFEST_NAME = "bundle.json"
MODEL_NAME = "model.onnx"
INPUT_NAME = "photo"
OUTPUT_NAMES = ("logits", "embedding", "activation_map")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(ge=1e-3, allow_inf_nan=False)]


class BundleError(ValueError):
    """The bundle cannot be used; the message says which file is wrong and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSpec(_Strict):
    """How a photo becomes the model's input, float32 (n, 3, size, size)."""

    size: int = Field(gt=0, le=2048, description="side in pixels")
    resize: Literal["squish", "pad"] = Field(
        description="squish: both sides to `size`; pad: the long side to `size`, grey around"
    )
    mean: tuple[Finite, Finite, Finite]
    std: tuple[Spread, Spread, Spread]
    flip: bool = Field(description="average the logits of the photo and its mirror image")


class Thresholds(_Strict):
    """When an answer is `deity` or `no_deity`; everything between is `unsure`."""

    deity: Probability = Field(description="least probability of the first candidate")
    none: Probability = Field(description="least probability of `none`")
    broader: Probability | None = Field(
        None, description="least summed probability at which an unsure answer names a circle"
    )
    operating_point: str = Field(description="what the thresholds were chosen for, and on what")


class Estimate(_Strict):
    """A measured share with its sample size and 95 % confidence interval."""

    value: float
    low: float
    high: float
    pictures: int = Field(ge=0)


class Manifest(_Strict):
    """The content of `bundle.json`."""

    format_version: Literal[1]
    name: str
    created: str = Field(description="UTC, ISO 8601")
    labels: list[str] = Field(
        min_length=2, description="knowledge slugs in the order of the logits"
    )
    input: InputSpec
    temperature: float = Field(
        ge=1e-3, le=1e3, description="logits are divided by it before the softmax"
    )
    thresholds: Thresholds
    metrics: dict[str, dict[str, Estimate]] = Field(description="picture set -> metric -> estimate")
    per_class: dict[str, Estimate] = Field(description="label -> recall on the validation pictures")
    prototypes: list[str] = Field(
        [], description="labels known from the mean embedding of few pictures, not trained"
    )
    training: dict[str, Any] = Field(description="data fingerprint, backbone, settings, versions")
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _check(self) -> Manifest:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        if unknown := set(self.prototypes) - set(self.labels):
            raise ValueError(f"prototypes names {sorted(unknown)[0]!r}, which is no label")
        if MODEL_NAME not in self.files:
            raise ValueError(f"files does not list {MODEL_NAME}")
        for name in self.files:
            if Path(name).name != name or name in {"", ".", "..", MANIFEST_NAME}:
                raise ValueError(f"file name {name!r} is not a plain name inside the bundle")
        return self


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `bundle.json` without looking at the other files.

    Raises:
        BundleError: the folder or the file is missing, is not JSON, of another format version, or
            breaks the schema.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{folder} is not a model bundle: it has no {MANIFEST_NAME}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{path} is not valid JSON: {error}; download or export the bundle again"
        ) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path} has format version {version!r}, this program reads version {FORMAT_VERSION}; "
            "export the model again, or update Ideitify"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise BundleError(f"{path} does not follow the bundle format: {error}") from error


def verify_bundle(folder: Path) -> Manifest:
    """Read the manifest and check that every file is there and has the hash it names.

    Raises:
        BundleError: see `read_manifest`; or a file is missing or differs from its hash.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder} is incomplete: {name} is missing; download it again")
        try:
            found = sha256_of(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error
        if found != expected:
            raise BundleError(
                f"{path} is damaged or was changed: its sha256 is not the one in {MANIFEST_NAME}; "
                "download or export the bundle again"
            )
    return manifest
