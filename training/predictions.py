"""What a bundle says of the pictures of a dataset folder: the ground of every later figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from ideitify.bundle import Manifest
from ideitify.dataset import DatasetError, Picture
from ideitify.photo import PhotoError
from ideitify.recognizer import Recognizer, softmax

UNKNOWN = -1  # target of a picture whose category is no label of the bundle


@dataclass(frozen=True)
class Predictions:
    """The answers of one bundle to pictures.

    Attributes:
        pictures: (n,) rows of a dataset folder.
        manifest: of the bundle.
        logits: float32 (n, labels), before the temperature.
        embeddings: float32 (n, d), of unit length.
    """

    pictures: list[Picture]
    manifest: Manifest
    logits: np.ndarray
    embeddings: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated as the bundle says, float32 (n, labels)."""
        return softmax(self.logits / self.manifest.temperature)

    @property
    def targets(self) -> np.ndarray:
        """int (n,): index of each picture's label, or `UNKNOWN`."""
        index = {label: i for i, label in enumerate(self.manifest.labels)}
        return np.array([index.get(picture.category, UNKNOWN) for picture in self.pictures])

    @property
    def groups(self) -> np.ndarray:
        """str (n,): the source of each picture."""
        return np.array([picture.group for picture in self.pictures])

    def of(self, chosen: np.ndarray) -> Predictions:
        """The predictions of some pictures, by index or by mask."""
        indices = np.arange(len(self.pictures))[chosen]
        return Predictions(
            [self.pictures[i] for i in indices],
            self.manifest,
            self.logits[indices],
            self.embeddings[indices],
        )


def predict_pictures(
    bundle: Path, pictures: Sequence[Picture], flip: bool | None = None
) -> Predictions:
    """Recognise pictures as the app would.

    Args:
        flip: average with the mirror image; None as the bundle says.

    Raises:
        BundleError: see `Recognizer`.
        DatasetError: a picture cannot be read; it is named.
    """
    recognizer = Recognizer(bundle)
    if flip is not None:
        spec = recognizer.manifest.input.model_copy(update={"flip": flip})
        recognizer.manifest = recognizer.manifest.model_copy(update={"input": spec})
    answers = recognizer.recognize_many(picture.path for picture in pictures)
    logits, embeddings = [], []
    for picture, answer in zip(
        pictures, track(answers, "recognising", total=len(pictures)), strict=True
    ):
        if isinstance(answer, PhotoError):
            raise DatasetError(f"{picture.path}: {answer}; run data_prep first")
        logits.append(answer.activation_maps.mean((1, 2)))  # exactly the logits, by design
        embeddings.append(answer.embedding)
    return Predictions(list(pictures), recognizer.manifest, np.array(logits), np.array(embeddings))
