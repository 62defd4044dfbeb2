"""A network whose weights fit half precision is stored in half the space, and nothing is lost."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch

from training.export import export_onnx
from training.halving import SMALLEST, round_to_half, store_in_half


class ThreeOutputs(torch.nn.Module):
    """A network with the outputs of a bundle."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = self.network(photo)
        return logits, logits * 1, logits[:, :, None, None]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """With statistics of batch norm that are not those of a fresh one."""
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv2_035", num_classes=7).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def test_rounding_changes_little_and_no_name(network: torch.nn.Module) -> None:
    rounded = round_to_half(copy.deepcopy(network))
    assert list(rounded.state_dict()) == list(network.state_dict())
    photos = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, actual = network(photos), rounded(photos)
    assert 0 < (actual - expected).abs().max() <= 0.01 * expected.abs().max()
    for weight in rounded.parameters():
        if weight.numel() >= SMALLEST:
            torch.testing.assert_close(weight, weight.half().float(), rtol=0, atol=0)


def test_the_stored_file_is_half_as_large_and_gives_the_same_logits(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    rounded = round_to_half(copy.deepcopy(network))
    path = tmp_path / "model.onnx"
    export_onnx(ThreeOutputs(rounded), 64, path)
    size = path.stat().st_size
    store_in_half(path)
    assert path.stat().st_size < 0.7 * size
    assert str(Path(timm.__file__).parent).encode() not in path.read_bytes(), "no path of ours"
    photos = torch.randn(3, 3, 64, 64)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits, *_) = session.run(None, {"photo": photos.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, rounded(photos).numpy(), atol=1e-5, rtol=1e-4)
