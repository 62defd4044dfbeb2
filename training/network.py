"""The network: a timm body, or several, and one linear layer on the mean of the feature map.

That simple head makes the class activation map exact (Zhou et al., "Learning Deep Features for
Discriminative Localization", CVPR 2016): the logit is the mean of the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import timm
import torch
from torch import nn

from training.backbone import Backbone, BackboneError


def create_body(backbone: Backbone, drop_path: float, pretrained: bool) -> nn.Module:
    """A timm network without its head, or several side by side.

    Args:
        drop_path: stochastic depth, where the network has any.
    """
    if backbone.parts:
        return SideBySide(backbone, drop_path, pretrained)
    create = partial(
        timm.create_model,
        backbone.architecture, pretrained=pretrained, num_classes=0, **backbone.keywords,
    )  # fmt: skip
    if not drop_path:
        return create()
    try:
        return create(drop_path_rate=drop_path)
    except TypeError:  # VGG, DenseNet and others have no branch to leave out
        return create()


def feature_map(body: nn.Module, photos: torch.Tensor) -> torch.Tensor:
    """Last features of a body, (n, d, h, w), for convolutional and for token networks.

    Raises:
        BackboneError: the body gives features of neither kind.
    """
    features = body.forward_features(photos)
    if not isinstance(features, torch.Tensor) or features.ndim not in (3, 4):
        raise BackboneError("this backbone gives no feature map; choose another")
    if features.ndim == 3:  # tokens (n, t, d) of a square grid, class tokens first
        patches = features[:, getattr(body, "num_prefix_tokens", 0) :]
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise BackboneError("this backbone's tokens are not a square grid")
        features = patches.transpose(1, 2).unflatten(2, (side, side))
    elif features.shape[1] != body.num_features:
        features = features.permute(0, 3, 1, 2)  # Swin and others keep channels last
    return features


def check_sizes(backbone: Backbone, sizes: Iterable[int]) -> None:
    """Ask, without computing anything, whether a backbone takes square photos of these sides.

    Raises:
        BackboneError: it does not, or gives no feature map of them.
    """
    with torch.device("meta"), torch.no_grad():
        body = create_body(backbone, drop_path=0, pretrained=False).eval()
        for size in sizes:
            try:
                feature_map(body, torch.zeros(2, 3, size, size))
            except (AssertionError, RuntimeError) as error:
                why = f" ({error})" if str(error) else ""
                raise BackboneError(
                    f"{backbone.name} does not take photos of {size} pixels{why}: set train_size "
                    "and valid_size in a file for --settings"
                ) from error


def renormalisation(given: Backbone, wanted: Backbone) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift, (3, 1, 1) each, that turn photos normalised for one backbone into photos
    normalised for another: `photos * scale + shift`."""
    given_mean, given_std = torch.tensor(given.mean), torch.tensor(given.std)
    mean, std = torch.tensor(wanted.mean), torch.tensor(wanted.std)
    scale, shift = given_std / std, (given_mean - mean) / std
    return scale[:, None, None], shift[:, None, None]


class SideBySide(nn.Module):
    """Bodies that see the same photo, each normalised as it expects; their channels in a row."""

    def __init__(self, backbone: Backbone, drop_path: float, pretrained: bool) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(
            create_body(part, drop_path, pretrained) for part in backbone.parts
        )
        self.num_features = sum(body.num_features for body in self.bodies)
        for number, part in enumerate(backbone.parts):
            scale, shift = renormalisation(backbone, part)
            self.register_buffer(f"scale_{number}", scale, persistent=False)
            self.register_buffer(f"shift_{number}", shift, persistent=False)

    def forward_features(self, photos: torch.Tensor) -> torch.Tensor:
        """Photos, normalised as the first body expects them -> (n, sum of d, h, w).

        Raises:
            BackboneError: the bodies look at grids of different sizes.
        """
        maps = [
            feature_map(body, photos * getattr(self, f"scale_{i}") + getattr(self, f"shift_{i}"))
            for i, body in enumerate(self.bodies)
        ]
        if len({features.shape[2:] for features in maps}) > 1:
            raise BackboneError("these backbones' feature maps are of different sizes")
        return torch.cat(maps, dim=1)


def joined_weights(networks: Sequence[Network]) -> dict[str, torch.Tensor]:
    """Weights of a network with all bodies side by side, whose logits are the mean of theirs."""
    heads = [network.head for network in networks]
    weights = {
        f"body.bodies.{number}.{name}": value
        for number, network in enumerate(networks)
        for name, value in network.body.state_dict().items()
    }
    weights["head.weight"] = torch.cat([head.weight.detach() for head in heads], 1) / len(heads)
    weights["head.bias"] = torch.stack([head.bias.detach() for head in heads]).mean(0)
    return weights


def mean_weights(networks: Sequence[Network]) -> dict[str, torch.Tensor]:
    """The mean of the weights of networks that were fine-tuned from the same ones.

    Such networks lie in one basin of the loss, and their mean nearer to its middle (Wortsman et
    al., "Model soups", ICML 2022). Batch norm's statistics are the pretrained ones in all of them.
    """
    states = [network.state_dict() for network in networks]
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


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
        self.body = create_body(backbone, drop_path, pretrained)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.body.num_features, label_count)

    def feature_map(self, photos: torch.Tensor) -> torch.Tensor:
        """Last features of the body, (n, d, h, w)."""
        return feature_map(self.body, photos)

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
