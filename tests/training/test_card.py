"""Under which licence a model stands, by what its backbone's weights allow."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ideitify.bundle import Manifest, verify_bundle
from ideitify.dataset import read_dataset
from tests.training.conftest import Trained
from training.card import license_of, model_card

pytestmark = pytest.mark.xdist_group("trained")  # one worker trains for all


def card_of(trained: Trained, backbone_license: str | None) -> ModelCard:
    """The card of a bundle whose backbone is of this licence."""
    manifest: Manifest = verify_bundle(trained.bundle)
    manifest.training["backbone"]["license"] = backbone_license
    return ModelCard(model_card(manifest, read_dataset(Path(trained.data)), unseen=3))


@pytest.mark.parametrize(
    ("backbone", "license_and_name"),
    [
        ("mit", ("mit", None)),
        ("bsd-3-clause", ("mit", None)),
        ("Apache-2.0 (LICENSE of the repository; by its makers); CC0-1.0", ("mit", None)),
        ("cc-by-nc-4.0", ("cc-by-nc-4.0", None)),
        ("CC BY-NC-SA 4.0", ("cc-by-nc-sa-4.0", None)),
        ("dinov3-license", ("other", "dinov3-license")),
        ("Terms of the museum (see its page)", ("other", "terms-of-the-museum")),
        ("cc-by-nc-4.0; apache-2.0", ("other", "apache-2.0-and-cc-by-nc-4.0")),
        ("mit; unknown", ("other", "mit-and-unknown")),
        ("unknown", ("other", "unknown")),
        ("", ("other", "unknown")),
        (None, ("other", "unknown")),
    ],
)
def test_only_permissive_weights_make_a_model_under_the_projects_licence(
    backbone: str | None, license_and_name: tuple[str, str | None]
) -> None:
    assert license_of(backbone) == license_and_name


def test_the_card_says_so_to_machines_and_in_words(trained: Trained) -> None:
    free, bound = card_of(trained, "Apache-2.0"), card_of(trained, "cc-by-nc-4.0")
    assert (free.data.license, bound.data.license) == ("mit", "cc-by-nc-4.0")
    assert "The weights derive from the backbone's" in bound.text
    assert "The weights derive from the backbone's" not in free.text


def test_a_licence_that_the_hub_has_no_word_for_is_named_beside_other(trained: Trained) -> None:
    front = card_of(trained, "mit; unknown").data
    assert (front.license, front.license_name) == ("other", "mit-and-unknown")
