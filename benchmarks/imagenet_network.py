"""A backbone as it was before it saw a deity, as a peer's or an untrained view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image


def imagenet_network(backbone: str) -> tuple[Any, Callable[[Image.Image], Any]]:
    """A timm network without its last layer, and how it wants its pictures."""
    import timm
    import torch

    from training.backbone import find_backbone

    found = find_backbone(backbone)
    model = timm.create_model(found.architecture, True, num_classes=0, **found.keywords).eval()
    mean, std = np.array(found.mean, np.float32), np.array(found.std, np.float32)

    def transform(image: Image.Image) -> torch.Tensor:
        pixels = np.asarray(image.convert("RGB").resize((224, 224)), np.float32) / 255
        return torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1))

    return model, transform
