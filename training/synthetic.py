"""Machine-made variants beside the pictures that they were made of, on the training side alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ideitify.dataset import Picture, read_dataset
from training.split import Split


def add_variants(
    pictures: Sequence[Picture], split: Split, folder: Path
) -> tuple[list[Picture], Split]:
    """Add the variants whose originals are trained on, under the label that these have now.

    A variant of a validation picture would show the network what it is about to be judged on, so it
    is left out, as is one whose original is not among the pictures or has another label.

    Args:
        folder: what `training synthesize` wrote.

    Returns:
        The pictures with the variants after them, and the split of all; no variant validates.

    Raises:
        DatasetError: the folder holds no variant.
    """
    trained = {
        (picture.sha256, picture.category)
        for picture, trains in zip(pictures, split.is_train, strict=True)
        if trains
    }
    variants = [
        variant
        for variant in read_dataset(folder, synthetic=True)
        if (variant.columns.get("original"), variant.category) in trained
    ]
    nowhere = np.zeros(len(variants), bool)
    return [*pictures, *variants], replace(
        split,
        is_valid=np.concatenate([split.is_valid, nowhere]),
        is_unseen_group=np.concatenate([split.is_unseen_group, nowhere]),
        is_test=None if split.is_test is None else np.concatenate([split.is_test, nowhere]),
    )
