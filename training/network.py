"""The network: a timm body and one linear layer on the mean of its feature map.

That simple head makes the class activation map exact (Zhou et al., "Learning Deep Features for
Discriminative Localization", CVPR 2016): the logit is the mean of the map.
"""

from __future__ import annotations

import timm
import torch
from torch import nn

from training.backbone import Backbone, BackboneError


class Network(nn.Module):
    """Photos float32 (n, 3, size, size) -> logits (n, labels)."""

    def __init__(
        self,
        backbone: Backbone,
        label_count: int,
        dropout: float,
        drop_path: float = 0,
        pretrained: bool = True,
    ):
        super().__init__()
        keywords = backbone.keywords | ({"drop_path_rate": drop_path} if drop_path else {})
        self.body = timm.create_model(
            backbone.architecture, pretrained=pretrained, num_classes=0, **keywords
        )
        self.body.eval()
        with torch.no_grad():
            width = self.feature_map(torch.zeros(2, 3, 224, 224)).shape[1]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, label_count)

    def feature_map(self, photos: torch.Tensor) -> torch.Tensor:
        """Last features of the body, (n, d, h, w), for convolutional and for token networks.

        Raises:
            BackboneError: the body gives features of neither kind.
        """
        features = self.body.forward_features(photos)
        if features.ndim == 3:  # tokens (n, t, d) of a square grid, class tokens first
            patches = features[:, getattr(self.body, "num_prefix_tokens", 0) :]
            side = round(patches.shape[1] ** 0.5)
            if side * side != patches.shape[1]:
                raise BackboneError("this backbone's tokens are not a square grid")
            features = patches.transpose(1, 2).unflatten(2, (side, side))
        elif features.ndim == 4 and features.shape[1] != self.body.num_features:
            features = features.permute(0, 3, 1, 2)  # Swin and others keep channels last
        elif features.ndim != 4:
            raise BackboneError("this backbone gives no feature map; choose another")
        return features

    def activation_maps(self, features: torch.Tensor) -> torch.Tensor:
        """Feature map (n, d, h, w) -> class activation maps (n, labels, h, w)."""
        weights = self.head.weight[:, :, None, None]
        return nn.functional.conv2d(features, weights, self.head.bias)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.feature_map(photos).mean((2, 3))))

    def train(self, mode: bool = True) -> Network:
        """Training mode, except that batch norm keeps the statistics of its pretraining.

        Batches of few and mixed pictures would give worse ones, and the fitted head would be lost.
        """
        super().train(mode)
        for module in self.body.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Parameters from the deepest to the head: a sixth of the body, to its middle, the rest."""
        body = list(self.body.parameters())
        sixth, half = len(body) // 6, len(body) // 2
        return [body[:sixth], body[sixth:half], body[half:], list(self.head.parameters())]
