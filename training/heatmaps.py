"""Where a trained network looked, on pictures of its data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from fastai.torch_core import default_device
from PIL import Image

from ideitify.heatmap import heat_of, heat_overlay
from ideitify.photo import open_photo
from training.backbone import Backbone
from training.data import PictureDataset, valid_transform
from training.network import Network
from training.settings import FitSettings
from training.train import TrainingData

SIDE = 320  # pixels of an overlay's short side: enough to see what was looked at


@torch.no_grad()
def heat_overlays(
    network: Network,
    data: TrainingData,
    backbone: Backbone,
    settings: FitSettings,
    indices: Sequence[int],
    labels: Sequence[int],
) -> Iterator[Image.Image]:
    """Lay over each picture what speaks for a label.

    Args:
        indices: into `data.pictures`.
        labels: for each of them the index of the label to explain.

    Yields:
        RGB, in the order of `indices`, the pictures' own shapes.
    """
    look = valid_transform(settings.valid_size, backbone.mean, backbone.std)
    photos = PictureDataset(data.pixels, np.asarray(indices), data.targets, look)
    network.eval().to(default_device())
    for position, (index, label) in enumerate(zip(indices, labels, strict=True)):
        features = network.feature_map(photos[position][0][None].to(default_device()))
        maps = network.activation_maps(features)[0].float().cpu().numpy()
        picture = open_photo(data.pictures[index].path, side=SIDE)
        scale = SIDE / min(picture.size)
        if scale < 1:
            picture = picture.resize([round(side * scale) for side in picture.size])
        yield heat_overlay(picture, heat_of(maps, label), settings.resize)
