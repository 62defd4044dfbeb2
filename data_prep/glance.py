"""What one picture shows at a glance: its hash, how much of it is margin, how sharp the rest is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import cv2
import numpy as np
from PIL import Image

from data_prep.workers import Where, run_on_pictures
from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import PhotoError, open_photo

if TYPE_CHECKING:  # pandas takes each worker half a second
    from data_prep.table import Table

SIDE = 256  # long side, pixels: copies of any size are compared at this one
PLAIN = 12.0  # range of the grey values in one line of a margin: JPEG leaves some noise there
BLUR = 1.0  # pixels: keeps the noise of JPEG from looking sharp


_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Glance:
    """What is seen of one picture.

    Attributes:
        perceptual_hash: 16 hexadecimal digits.
        content: 0..1, the share of the picture that is left without plain margins.
        sharpness: 0 or more, how much of the content's variation is fine detail, contrast apart;
            comparable between copies of one picture.
    """

    perceptual_hash: str
    content: float
    sharpness: float


def glance(path: str) -> Glance:
    """Look at a picture.

    Raises:
        PhotoError: it cannot be read.
    """
    image = open_photo(path, side=SIDE)  # of the short side: margins may take much of it
    grey = image.convert("L")
    box = _content(np.asarray(grey))
    share = (box[2] - box[0]) * (box[3] - box[1]) / (grey.width * grey.height)
    grey = grey.crop(box)
    grey.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    smooth = cv2.GaussianBlur(np.asarray(grey, np.float32), (0, 0), BLUR)
    detail = cv2.Laplacian(smooth, cv2.CV_32F).var() / (smooth.var() + 1)
    return Glance(perceptual_hash(image), share, float(detail))


def glances(table: Table, names: Iterable[str], **where: Unpack[Where]) -> dict[str, Glance | None]:
    """Look at these pictures of a table; None for one that cannot be read."""
    name_of = {str(table.path(name).absolute()): name for name in names}
    return {
        name_of[path]: seen
        for paths, looks in run_on_pictures(name_of, glance_task, fatal=None, **where)
        for path, seen in zip(paths, looks, strict=True)
    }


def glance_task(paths: tuple[str, ...]) -> list[Glance | None]:
    """Look at pictures; None for one that cannot be read."""
    cv2.setNumThreads(1)  # there are as many processes as processors
    return [_glance_or_none(path) for path in paths]


def fill_hashes(table: Table, **where: Unpack[Where]) -> None:
    """Fill `perceptual_hash` where there is none and the picture can be read."""
    empty = table.rows.index[~table.rows["perceptual_hash"].map(is_hash).astype(bool)]
    for name, seen in glances(table, empty, **where).items():
        table.rows.at[name, "perceptual_hash"] = seen.perceptual_hash if seen else ""


def is_hash(text: str) -> bool:
    """Whether a text is a perceptual hash: 16 hexadecimal digits."""
    return _HASH.fullmatch(text) is not None


def _glance_or_none(path: str) -> Glance | None:
    try:
        return glance(path)
    except PhotoError:
        return None


def _content(grey: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what lies within plain margins; all of a plain picture."""
    columns, rows = (np.flatnonzero(np.ptp(grey, axis=axis) > PLAIN) for axis in (0, 1))
    if not len(columns) or not len(rows):
        return 0, 0, grey.shape[1], grey.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
