"""CleanVision's raw values from a reduced picture: the worker's part of `data_prep_quality`."""

from __future__ import annotations

import cv2
from PIL import Image

from data_prep.decode import KEPT_SIDE
from data_prep.looks import cleanvision_measures
from ideitify.photo import REDUCTION_MARGIN, open_photo


def seven_checks(paths: tuple[str, ...]) -> list[dict[str, object]]:
    """CleanVision's raw values from reduced pictures, as `data_prep.decode` computes them."""
    cv2.setNumThreads(1)  # there are as many processes as processors
    return [_seven_checks(path) for path in paths]


def _seven_checks(path: str) -> dict[str, object]:
    image = open_photo(path, side=round(KEPT_SIDE / REDUCTION_MARGIN))
    with Image.open(path) as header:
        mode, size = header.mode, header.size
    return {"mode": mode, **cleanvision_measures(image, mode, size)}
