"""A model in half the space: weights are stored in half precision and computed with in single.

Rounding comes first, in the network itself, so that what is calibrated, measured and published is
what ships; storing then loses nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.folding import norm_pairs

SMALLEST = 1024  # numbers; smaller tensors stay as they are


@torch.no_grad()
def round_to_half(network: nn.Module) -> nn.Module:
    """Round, in place, every large weight to what half precision can hold; returns the network.

    The scale of a batch norm goes into the convolution before it, as it will in the exported model:
    the product is what must fit. Names and shapes stay.
    """
    for convolution, norm in norm_pairs(network):
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        bias = convolution.bias
        norm.bias += scale * ((0 if bias is None else bias) - norm.running_mean)
        convolution.weight *= scale[:, None, None, None]
        if bias is not None:
            bias.zero_()
        norm.weight.fill_(1)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    for tensor in network.parameters():
        if tensor.numel() >= SMALLEST:
            tensor.copy_(tensor.half())
    return network


def store_in_half(path: Path) -> None:
    """Store the large weights of an ONNX file in half precision; it still computes in single.

    What the exporter notes about the code behind each node, paths of its machine included, goes.
    """
    model = onnx.load(path)
    for noted in (*model.graph.node, *model.graph.value_info, *model.graph.initializer,
                  *model.graph.input, *model.graph.output, model.graph, model):  # fmt: skip
        noted.doc_string = ""
        del noted.metadata_props[:]
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and np.prod(weight.dims) >= SMALLEST:
            name = weight.name
            half = numpy_helper.to_array(weight).astype(np.float16)
            weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
