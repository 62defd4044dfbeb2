"""Backbones: any timm name, or a local weights file with its JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch


class BackboneError(ValueError):
    """The backbone cannot be loaded; the message says what is wrong."""


@dataclass(frozen=True)
class Backbone:
    """What timm needs to build the network, and where its weights come from.

    Attributes:
        name: identifies the weights, e.g. `mobilenet_edgetpu_100.mlperf_in1k`.
        architecture: timm model name.
        keywords: further arguments of `timm.create_model`, the weights' overlay included.
        mean, std: normalisation of RGB in 0..1 that the weights expect.
        license, origin: for the model card.
        parts: backbones whose features stand side by side; none for a single one.
    """

    name: str
    architecture: str
    keywords: dict[str, Any] = field(repr=False)
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    license: str
    origin: str
    parts: tuple[Backbone, ...] = ()


def find_backbone(name: str) -> Backbone:
    """Describe a backbone.

    Args:
        name: a path `folder/NAME` with `NAME.safetensors` and `NAME.json` (with or without either
            suffix), or a timm model name such as `vit_small_patch32_224` (weights from the Hub).
            Several of them, joined by `+`, stand side by side.

    Raises:
        BackboneError: neither such a file nor a timm model with pretrained weights.
    """
    if len(names := name.split("+")) > 1:
        return _side_by_side(tuple(map(find_backbone, names)))
    path = Path(name)
    stem = path.with_suffix("") if path.suffix in {".json", ".safetensors"} else path
    description = stem.with_name(stem.name + ".json")
    weights = stem.with_name(stem.name + ".safetensors")
    if description.is_file() and weights.is_file():
        return _local_backbone(description, weights)
    config = (
        timm.get_pretrained_cfg(name, allow_unregistered=False) if timm.is_model(name) else None
    )
    if config is None or not config.has_weights:
        raise BackboneError(
            f"no backbone {name!r}: give NAME.safetensors with NAME.json beside it, or a timm "
            "model with pretrained weights (timm.list_pretrained())"
        )
    return Backbone(
        name,
        name,
        _for_any_size(name, {}),
        config.mean,
        config.std,
        config.license or "unknown",
        f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else str(config.url),
    )


def _side_by_side(parts: tuple[Backbone, ...]) -> Backbone:
    """Several backbones as one; photos come normalised as the first one expects them."""
    return Backbone(
        name="+".join(part.name for part in parts),
        architecture="+".join(part.architecture for part in parts),
        keywords={},
        mean=parts[0].mean,
        std=parts[0].std,
        license="; ".join(dict.fromkeys(part.license for part in parts)),
        origin="; ".join(part.origin for part in parts),
        parts=parts,
    )


def _for_any_size(architecture: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with which timm's token networks take photos of other sizes than they saw.

    They resample their position embeddings then; other networks do not know the argument.
    """
    flexible = {"dynamic_img_size": True, **keywords}
    try:
        with torch.device("meta"):  # no weights: it is only asked
            timm.create_model(architecture, pretrained=False, num_classes=0, **flexible)
    except TypeError:
        return dict(keywords)
    return flexible


def _local_backbone(description: Path, weights: Path) -> Backbone:
    try:
        facts = json.loads(description.read_text(encoding="utf-8"))
        overlay = {
            key: facts[key]
            for key in ("mean", "std", "input_size", "interpolation", "crop_pct", "num_classes")
        }
        overlay["file"] = str(weights)
        return Backbone(
            name=facts["name"],
            architecture=facts["arch"],
            keywords={
                "pretrained_cfg_overlay": overlay,
                **_for_any_size(facts["arch"], facts["model_kwargs"]),
            },
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            license=facts["licence"] or "unknown",
            origin="{repo} {path}".format(**facts["source"]),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise BackboneError(f"{description} is not a backbone description: {error!r}") from error
