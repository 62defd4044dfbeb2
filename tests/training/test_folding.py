"""Folded batch norm gives the numbers and gradients of batch norm with fixed statistics."""

from __future__ import annotations

import copy

import pytest
import timm
import torch

from training.folding import fold_norms


def body(architecture: str) -> torch.nn.Module:
    """An evaluated network whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=3).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return network


@pytest.mark.parametrize(
    "architecture", ["mobilenet_edgetpu_v2_xs", "tf_efficientnet_b0", "mobilenetv2_035"]
)
def test_same_logits_and_gradients(architecture: str) -> None:
    plain = body(architecture)
    folded = copy.deepcopy(plain)
    assert fold_norms(folded) > 20
    photos = torch.randn(2, 3, 64, 64)
    for network in (plain, folded):
        network(photos).square().sum().backward()
    torch.testing.assert_close(folded(photos), plain(photos), rtol=1e-4, atol=1e-5)
    for (name, expected), actual in zip(plain.named_parameters(), folded.parameters(), strict=True):
        scale = expected.grad.abs().max()
        assert (actual.grad - expected.grad).abs().max() <= 1e-3 * scale + 1e-7, name


@torch.no_grad()
def test_a_norm_that_is_named_behind_a_convolution_but_not_computed_so_stays() -> None:
    plain = body("xception41p")  # each block names its shortcut first
    folded = copy.deepcopy(plain)
    assert fold_norms(folded) == 1
    photos = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(folded(photos), plain(photos), rtol=1e-4, atol=1e-5)


def test_names_stay_and_a_copy_is_on_its_own() -> None:
    plain = body("mobilenetv2_035")
    names = list(plain.state_dict())
    folded = copy.deepcopy(plain)
    fold_norms(folded)
    assert list(folded.state_dict()) == names
    photos = torch.randn(2, 3, 64, 64)
    before = folded(photos)
    other = copy.deepcopy(folded)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    torch.testing.assert_close(folded(photos), before)
    assert not other(photos).abs().max()


def test_networks_without_batch_norm_stay() -> None:
    network = timm.create_model("vit_tiny_patch16_224", depth=1, num_classes=3)
    assert fold_norms(network) == 0
