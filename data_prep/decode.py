"""One picture decoded once, at reduced size: what its file says and what its pixels measure.

Workers import this and no tables: they are at work sooner.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from data_prep.looks import cleanvision_measures, layout_measures, mark_signature
from ideitify.photo import REDUCTION_MARGIN, PhotoError, open_photo, upright_size

KEPT_SIDE = 288  # pixels of the short side: letters of a page are still letters

Task = tuple[tuple[str, str], ...]  # (file name, absolute path)


@dataclass(frozen=True)
class Pixels:
    """What a picture's file says and what its pixels measure.

    Attributes:
        refusal: reason of the `PhotoError` with which it was refused; "" for one that can be read.
            The rest is empty then.
        message: the error's sentence.
        width, height: in pixels, upright, as stored.
        format: Pillow's name, such as "JPEG".
        animated: it has more than one frame or page.
        measures: see `data_prep.looks`.
    """

    refusal: str = ""
    message: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    mode: str = ""
    animated: bool = False
    measures: dict[str, float] = field(default_factory=dict)


def measure_task(task: Task) -> list[tuple[Pixels, bytes]]:
    """Look at pictures: what is seen of each, and its signature."""
    cv2.setNumThreads(1)  # there are as many processes as processors
    return [look_at(Path(path)) for _, path in task]


def look_at(path: Path) -> tuple[Pixels, bytes]:
    """Decode a picture and measure it; the second part is `mark_signature`."""
    try:
        image = open_photo(path, side=round(KEPT_SIDE / REDUCTION_MARGIN))
        content = path.read_bytes()  # not larger than `open_photo` allows
        with Image.open(io.BytesIO(content)) as header:
            facts = _facts(header)
    except PhotoError as error:
        return refused(error)
    except OSError as error:  # it went away in between
        return refused(PhotoError("unreadable", error.strerror))
    size = (facts["width"], facts["height"])
    measures = cleanvision_measures(image, facts["mode"], size) | layout_measures(image)
    seen = Pixels(sha256=sha256(content).hexdigest(), measures=measures, **facts)
    return seen, mark_signature(image)


def refused(error: PhotoError) -> tuple[Pixels, bytes]:
    """What is seen of a picture that cannot be read."""
    return Pixels(error.reason, str(error)), b""


def _facts(header: Image.Image) -> dict[str, Any]:
    """What the stored picture is; width and height as it stands upright."""
    width, height = upright_size(header)
    return {
        "width": width,
        "height": height,
        "format": header.format or "",
        "mode": header.mode,
        "animated": header.format != "MPO" and _has_second_frame(header),
    }


def _has_second_frame(header: Image.Image) -> bool:
    try:
        header.seek(1)
    except EOFError:
        return False
    return True
