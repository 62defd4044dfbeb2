"""Networks of one or of several bodies: features, maps and logits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from ideitify import Recognizer
from training.backbone import Backbone, BackboneError, find_backbone
from training.export import export_bundle
from training.network import Network, check_sizes, joined_weights
from training.settings import FitSettings
from training.train import fit

ONE = Backbone(
    "one", "mobilenetv3_small_050", {}, (0.5,) * 3, (0.5,) * 3, license="CC0-1.0", origin="here"
)
OTHER = dataclasses.replace(
    ONE, name="other", architecture="mobilenetv2_035", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
)
BOTH = dataclasses.replace(ONE, name="one+other", parts=(ONE, OTHER))


def normalised(photos: torch.Tensor, backbone: Backbone) -> torch.Tensor:
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    return (photos - mean) / std


def test_the_logits_of_bodies_side_by_side_are_the_mean_of_theirs() -> None:
    torch.manual_seed(0)
    apart = [Network(backbone, 5, 0.0, pretrained=False).eval() for backbone in (ONE, OTHER)]
    joined = Network(BOTH, 5, 0.0, pretrained=False).eval()
    joined.load_state_dict(joined_weights(apart))
    photos = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = torch.stack(
            [
                network(normalised(photos, backbone))
                for network, backbone in zip(apart, BOTH.parts, strict=True)
            ]
        ).mean(0)
        features = joined.feature_map(normalised(photos, BOTH))
        torch.testing.assert_close(joined(normalised(photos, BOTH)), expected)
        torch.testing.assert_close(joined.activation_maps(features).mean((2, 3)), expected)
    assert features.shape == (2, joined.head.in_features, 3, 3)


def test_bodies_that_look_at_different_grids_are_refused() -> None:
    vit = dataclasses.replace(
        ONE, architecture="vit_tiny_patch16_224", keywords={"depth": 1, "dynamic_img_size": True}
    )
    with pytest.raises(BackboneError, match="different sizes"):
        check_sizes(dataclasses.replace(BOTH, parts=(ONE, vit)), [224])


@pytest.mark.parametrize("architecture", ["vit_small_patch32_224", "swin_tiny_patch4_window7_224"])
def test_token_networks_take_photos_of_other_sizes(architecture: str) -> None:
    check_sizes(find_backbone(architecture), [224, 256])


@pytest.mark.parametrize("architecture", ["mixer_b16_224", "vit_base_patch14_dinov2"])
def test_a_size_that_a_backbone_does_not_take_is_refused(architecture: str) -> None:
    backbone = find_backbone(architecture)
    check_sizes(backbone, [224])
    with pytest.raises(BackboneError, match="does not take photos of 256 pixels"):
        check_sizes(backbone, [224, 256])


def test_a_backbone_without_a_feature_map_is_refused() -> None:
    with pytest.raises(BackboneError, match="gives no feature map"):
        check_sizes(find_backbone("crossvit_9_240"), [240])


def test_fit_refuses_such_a_size_before_it_decodes_a_picture(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match="does not take photos of 256 pixels"):
        fit(drawn_dataset, "mixer_b16_224", tmp_path / "run", FitSettings(), cache=tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("architecture", ["densenet121", "vgg11", "ghostnet_100"])
def test_a_backbone_without_stochastic_depth_is_trained_without(architecture: str) -> None:
    with torch.device("meta"):
        network = Network(find_backbone(architecture), 3, 0.1, drop_path=0.1, pretrained=False)
    assert network.head.out_features == 3


def test_a_backbone_that_is_not_on_the_hub_has_the_address_of_its_weights() -> None:
    assert find_backbone("gcvit_xxtiny").origin.startswith("https://github.com/")


def test_one_of_several_backbones_that_is_missing_is_named() -> None:
    with pytest.raises(BackboneError, match="no backbone 'nowhere'"):
        find_backbone("mobilenetv3_small_100+nowhere")


def test_several_backbones_are_trained_apart_and_exported_as_one(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    first = Path(tiny_backbone)
    second = first.with_name("tiny2")
    for suffix in (".json", ".safetensors"):
        content = first.with_name(first.name + suffix).read_bytes()
        if suffix == ".json":
            content = json.dumps(
                json.loads(content) | {"name": "tiny2", "mean": [0.4] * 3}
            ).encode()
        second.with_name(second.name + suffix).write_bytes(content)
    settings = FitSettings(
        epochs=1, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25
    )
    names, run = f"{first}+{second}", tmp_path / "run"
    fitted = fit(drawn_dataset, names, run, settings, cache=tmp_path / "cache")
    assert sorted(path.parent.name for path in run.glob("*/history.csv")) == ["tiny", "tiny2"]
    assert (run / "checkpoint.pth").is_file()
    manifest = export_bundle(fitted, tmp_path / "bundle", "both")
    assert manifest.training["backbone"]["name"] == "tiny+tiny2"
    answer = Recognizer(tmp_path / "bundle").recognize(fitted.data.pictures[0].path)
    assert len(answer.embedding) == fitted.network.head.in_features


def test_several_runs_are_trained_apart_and_their_weights_averaged(
    drawn_dataset: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    settings = FitSettings(
        epochs=1, train_size=64, valid_size=64, batch_size=8, precision="fp32", valid_share=0.25,
        seed=3, runs=2,
    )  # fmt: skip
    run, cache = tmp_path / "run", tmp_path / "cache"
    fitted = fit(drawn_dataset, tiny_backbone, run, settings, cache=cache)
    assert fitted.settings == settings
    each = [torch.load(run / f"seed-{n}/checkpoint.pth", weights_only=True) for n in (3, 4)]
    weights = torch.load(run / "checkpoint.pth", weights_only=True)["average"]
    first, second = (state["average"]["head.weight"] for state in each)
    assert not torch.equal(first, second)
    torch.testing.assert_close(weights["head.weight"], (first + second) / 2)
    torch.testing.assert_close(fitted.network.state_dict()["head.weight"], weights["head.weight"])
    alone = fit(
        drawn_dataset, tiny_backbone, tmp_path / "alone",
        settings.model_copy(update={"seed": 4, "runs": 1}), cache=cache,
    )  # fmt: skip
    torch.testing.assert_close(alone.network.head.weight, second)
    before = (run / "seed-3/checkpoint.pth").stat().st_mtime_ns
    again = fit(drawn_dataset, tiny_backbone, run, settings, cache=cache, resume=True)
    assert (run / "seed-3/checkpoint.pth").stat().st_mtime_ns == before
    torch.testing.assert_close(again.network.head.weight, fitted.network.head.weight)
