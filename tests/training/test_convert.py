"""A fastai `model.pkl`, as the original published it, becomes a bundle that answers alike."""

from pathlib import Path

import numpy as np
import pytest
from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, vision_learner
from typer.testing import CliRunner

from ideitify.recognizer import Recognizer
from training.__main__ import app
from training.convert import convert_learner


@pytest.fixture(scope="module")
def learner_pickle(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaders = ImageDataLoaders.from_folder(
        drawn_dataset / "images", valid_pct=0.2, seed=0, bs=8, num_workers=0,
        item_tfms=Resize(80, method="squish"), batch_tfms=aug_transforms(size=64),
    )  # fmt: skip
    learner = vision_learner(loaders, "mobilenetv3_small_050", pretrained=False)
    path = tmp_path_factory.mktemp("pickle") / "model.pkl"
    learner.path = path.parent
    learner.export(path.name)
    return path


def test_the_converted_bundle_gives_the_learner_s_probabilities(
    learner_pickle: Path, drawn_dataset: Path, tmp_path: Path
) -> None:
    from fastai.learner import load_learner

    manifest = convert_learner(learner_pickle, tmp_path / "bundle")
    assert manifest.input.size == 64
    assert "not measured" in manifest.thresholds.operating_point
    recognizer = Recognizer(tmp_path / "bundle")
    learner = load_learner(learner_pickle)
    for path in sorted((drawn_dataset / "images" / "shiva").iterdir())[:3]:
        expected = learner.predict(path)[2].numpy()
        answer = recognizer.recognize(path)
        found = {c.deity: c.probability for c in answer.candidates}
        found["none"] = answer.none_probability
        assert np.allclose([found[label] for label in manifest.labels], expected, atol=0.03)


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"nothing of the kind")
    result = CliRunner().invoke(
        app, ["convert", str(tmp_path / "model.pkl"), str(tmp_path / "out")], env={"COLUMNS": "500"}
    )
    assert result.exit_code == 2
    assert "not a fastai image classifier" in result.output
    assert not (tmp_path / "out").exists()
