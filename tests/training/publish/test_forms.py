"""timm's and fastai's forms give the trained network's logits, or are not made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from fastai.learner import load_learner

from ideitify.bundle import InputSpec, verify_bundle
from tests.training.conftest import Trained
from training.backbone import Backbone
from training.finished import Finished, load_finished
from training.network import Network
from training.publish.forms import (
    FormError,
    Reference,
    calibrated_head,
    read_reference,
    write_fastai,
    write_timm,
)

pytestmark = pytest.mark.xdist_group("trained")  # one worker trains for all
LABELS = ["ganesha", "none", "shiva"]
GREY = (0.5, 0.5, 0.5)


def untrained(architecture: str, size: int, **keywords: object) -> tuple[Finished, InputSpec]:
    """A network with random weights, also in its norms, where a fresh one has ones and zeros."""
    torch.manual_seed(0)
    backbone = Backbone(architecture, architecture, keywords, GREY, GREY, "CC0-1.0", "here")
    network = Network(backbone, len(LABELS), 0.2, pretrained=False).eval()
    with torch.no_grad():
        for parameter in network.body.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.rand_like(parameter) / 4)
    spec = InputSpec(size=size, resize="squish", mean=GREY, std=GREY, flip=False)
    return Finished(network, backbone, LABELS), spec


def asked(finished: Finished, spec: InputSpec, dataset: Path) -> Reference:
    """The network itself, asked about noise."""
    photos = torch.randn(4, 3, spec.size, spec.size)
    with torch.no_grad():
        logits = finished.network(photos).numpy()
    return Reference(sorted((dataset / "images").rglob("*.png"))[:2], photos, logits)


@pytest.mark.parametrize(
    ("architecture", "size", "keywords"),
    [
        ("test_efficientnet", 64, {"pad_type": "same"}),  # the family of MobileNet EdgeTPU and V2
        ("test_resnet", 64, {}),
        ("test_vit", 224, {"img_size": 224}),  # the family of vit_small_patch32_224
    ],
)
def test_timm_and_fastai_load_the_same_network(
    architecture: str, size: int, keywords: dict, drawn_dataset: Path, tmp_path: Path
) -> None:
    finished, spec = untrained(architecture, size, **keywords)
    reference = asked(finished, spec, drawn_dataset)
    head = calibrated_head(finished, reference)
    write_timm(finished, head, reference, spec, tmp_path)
    write_fastai(finished, head, reference, spec, tmp_path)
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    learner = load_learner(tmp_path / "model.pkl")
    with torch.no_grad():
        for loaded in (model, learner.model.eval()):
            assert np.abs(loaded(reference.photos).numpy() - reference.logits).max() < 1e-3
    assert model.pretrained_cfg["label_names"] == list(learner.dls.vocab) == LABELS


@pytest.mark.parametrize("architecture", ["mobilenetv3_small_050", "test_convnext"])
def test_a_head_that_timm_does_not_have_is_not_given_in_its_form(
    architecture: str, drawn_dataset: Path, tmp_path: Path
) -> None:
    finished, spec = untrained(architecture, 64)
    reference = asked(finished, spec, drawn_dataset)
    head = calibrated_head(finished, reference)
    with pytest.raises(FormError, match="more than a linear layer after the mean"):
        write_timm(finished, head, reference, spec, tmp_path)
    assert list(tmp_path.iterdir()) == []
    write_fastai(finished, head, reference, spec, tmp_path)  # whose head is whatever one gives it


def test_networks_side_by_side_have_no_form_but_the_bundle(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    one, spec = untrained("test_resnet", 64)
    backbone = dataclasses.replace(one.backbone, name="a+b", parts=(one.backbone, one.backbone))
    network = Network(backbone, len(LABELS), 0.2, pretrained=False).eval()
    finished = Finished(network, backbone, LABELS)
    reference = asked(finished, spec, drawn_dataset)
    head = calibrated_head(finished, reference)
    for write in (write_timm, write_fastai):
        with pytest.raises(FormError, match=r"a\+b are several networks side by side"):
            write(finished, head, reference, spec, tmp_path)


def test_what_calibration_added_to_the_logits_is_in_the_head(drawn_dataset: Path) -> None:
    finished, spec = untrained("test_resnet", 64)
    reference = asked(finished, spec, drawn_dataset)
    shift = np.array([0, -1.5, 0], np.float32)
    head = calibrated_head(
        finished, dataclasses.replace(reference, logits=reference.logits + shift)
    )
    difference = (head.bias - finished.network.head.bias).detach().numpy()
    assert difference == pytest.approx(shift, abs=1e-5)


def test_another_network_s_logits_are_refused(drawn_dataset: Path, tmp_path: Path) -> None:
    finished, spec = untrained("test_resnet", 64)
    reference = asked(finished, spec, drawn_dataset)
    other = dataclasses.replace(reference, logits=reference.logits[::-1].copy())
    for write in (write_timm, write_fastai):
        with pytest.raises(FormError):
            write(finished, calibrated_head(finished, other), other, spec, tmp_path)


def test_labels_known_from_a_prototype_are_not_compared(trained: Trained) -> None:
    manifest = verify_bundle(trained.bundle)
    paths = sorted((trained.data / "images").rglob("*.png"))
    whole = read_reference(trained.bundle, manifest, paths)
    without = read_reference(
        trained.bundle, manifest.model_copy(update={"prototypes": ["none"]}), paths
    )
    assert np.array_equal(without.logits, whole.logits[:, [0, 2]])


def test_a_learner_names_a_photo_as_the_bundle_does_and_has_no_path_of_this_machine(
    trained: Trained, tmp_path: Path
) -> None:
    manifest = verify_bundle(trained.bundle)
    finished = load_finished(trained.run, manifest, trained.backbone)
    paths = sorted((trained.data / "images").rglob("*.png"))
    reference = read_reference(trained.bundle, manifest, paths)
    head = calibrated_head(finished, reference)
    write_fastai(finished, head, reference, manifest.input, tmp_path)
    learner = load_learner(tmp_path / "model.pkl")
    for number in (0, -1):
        name, _, _ = learner.predict(reference.paths[number])
        assert name == manifest.labels[reference.logits[number].argmax()]
    written = (tmp_path / "model.pkl").read_bytes()
    for place in (trained.data, Path(timm.__file__).parents[1]):
        assert str(place).encode() not in written
