"""Batch norm with fixed statistics, applied to the weights before it rather than to pictures.

The network keeps the statistics of its pretraining (`training.network`), so batch norm is a scale
and a shift per channel: conv(x, w) * scale + shift = conv(x, w * scale) + shift. Computed so, with
gradients to the same parameters, a step saves two passes over every activation. Depthwise
convolutions of large kernels or strides stay in float32, for which CPUs have a fast backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.layers.padding import pad_same
from torch import nn
from torch.nn import functional


class FoldedConvolution(nn.Conv2d):
    """A convolution that does the work of the batch norm behind it, kept in `norms`."""

    norms: tuple[BatchNormAct2d]  # in a tuple, so that it is no submodule and names stay

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        (norm,) = self.norms
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = self.weight * scale[:, None, None, None]
        shift = norm.bias - norm.running_mean * scale
        if self.bias is not None:
            shift = shift + self.bias * scale
        padding = self.padding
        if isinstance(self, Conv2dSame):
            photos = pad_same(photos, self.kernel_size, self.stride, self.dilation)
            padding = (0, 0)
        rest = (self.stride, padding, self.dilation, self.groups)
        if self.groups > 1 and (self.kernel_size[0] > 3 or self.stride[0] > 1):
            with torch.autocast(photos.device.type, enabled=False):
                wide = functional.conv2d(photos.float(), weight, shift, *rest)
            return wide.to(photos.dtype)
        return functional.conv2d(photos, weight, shift, *rest)


class FoldedConvolutionSame(FoldedConvolution, Conv2dSame):
    """The same with TensorFlow's padding."""


class FoldedNorm(BatchNormAct2d):
    """What is left of a folded batch norm: its activation."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(photos))


FOLDED = {nn.Conv2d: FoldedConvolution, Conv2dSame: FoldedConvolutionSame}


def fold_norms(network: nn.Module) -> int:
    """Fold, in place, every batch norm that directly follows a convolution; returns how many.

    Names and shapes of parameters stay, so `state_dict` fits a network that was not folded.
    Networks without batch norm stay as they are.
    """
    pairs = list(norm_pairs(network))
    for convolution, norm in pairs:
        convolution.norms = (norm,)
        convolution.__class__ = FOLDED[type(convolution)]
        norm.__class__ = FoldedNorm
    return len(pairs)


def norm_pairs(network: nn.Module) -> Iterator[tuple[nn.Conv2d, BatchNormAct2d]]:
    """Every convolution with the batch norm that directly follows it.

    They are children of one module, one after the other, as timm's networks name what they compute
    in turn. Where a convolution beside the path comes before the path's first norm, as in Xception,
    they have other numbers of channels.
    """
    for parent in network.modules():
        for convolution, norm in pairwise(parent.children()):
            if (
                type(convolution) in FOLDED
                and type(norm) is BatchNormAct2d
                and convolution.out_channels == norm.num_features
            ):
                yield convolution, norm
