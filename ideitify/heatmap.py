"""Where the model looked, from an answer alone: the model is not run again.

Class activation maps after Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning Deep Features for
Discriminative Localization", CVPR 2016. The model ends in global average pooling and a linear
layer, so with M_c the map of label c over the cells of the photo

    logit_c = mean of M_c over all cells
    heat_c  = max(0, M_c - mean of M_k over all labels k), divided by its largest value

The mean over the labels is what a cell adds to every logit alike; the softmax does not see it, and
without it the map shows what speaks for this label rather than for "something is there".
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from ideitify.knowledge import close_slugs
from ideitify.recognizer import Answer

MAX_SIDE = 1280  # of an overlay, in pixels: sharp on a phone's screen, and drawn in some 20 ms
PHOTO_SIDE = 640  # pixels that the photo under an overlay keeps on its short side, twice over
STRENGTH = 0.6  # of the colours against the photo, 0..1

# Nine steps of matplotlib's "inferno" (van der Walt and Smith, 2015, CC0). Its lightness rises
# evenly, so it reads the same without any sense of colour, and in print.
_COLOURS = "000004 210c4a 57106e 8a226a bc3754 e45a31 f98e09 f9cb35 fcffa4"


class HeatMapError(ValueError):
    """No heat map can be drawn; the message says why."""


def heat_map(answer: Answer, deity: str | None = None) -> np.ndarray:
    """How much each part of the photo speaks for a deity.

    Args:
        answer: what the recogniser said of the photo.
        deity: slug of any label of the model; the first candidate by default.

    Returns:
        float32 (h, w) in 0..1, the cells of the model's input square. The largest value is 1, or
        all are 0 where nothing speaks for this deity.

    Raises:
        HeatMapError: the model does not know this deity.
    """
    index = _index_of(deity or answer.candidates[0].deity, answer.labels)
    return heat_of(answer.activation_maps, index)


def heat_of(maps: np.ndarray, index: int) -> np.ndarray:
    """The same from activation maps alone, float (labels, h, w), for the label at `index`."""
    heat = np.maximum(maps[index] - maps.mean(axis=0), 0)
    return (heat / max(float(heat.max()), np.finfo(np.float32).tiny)).astype(np.float32)


def heat_overlay(image: Image.Image, heat: np.ndarray, resize: str) -> Image.Image:
    """Lay a heat map over its photo: dark where the model did not look, bright where it did.

    Args:
        image: RGB, the photo as `open_photo` returns it.
        heat: float32 (h, w) in 0..1, from `heat_map`.
        resize: how the photo was fitted into the model's input, `manifest.input.resize`.

    Returns:
        RGB, the photo's shape, its long side at most `MAX_SIDE`.
    """
    grey = image.convert("L")
    grey.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BILINEAR, reducing_gap=2)
    levels = _enlarge(heat, grey.size, resize)
    levels.putpalette(_palette())
    return Image.blend(grey.convert("RGB"), levels.convert("RGB"), STRENGTH)


def _index_of(deity: str, labels: tuple[str, ...]) -> int:
    if deity not in labels:
        close = [slug for slug in close_slugs(deity) if slug in labels]
        advice = (
            f"did you mean {' or '.join(close)}?"
            if close
            else "`python -m ideitify info` lists its labels, /api/deities every entry."
        )
        raise HeatMapError(f"The model does not know {deity!r}: {advice}")
    return labels.index(deity)


def _enlarge(heat: np.ndarray, size: tuple[int, int], resize: str) -> Image.Image:
    """Heat (h, w) -> an image of mode L and of `size`, smooth, without the model's padding."""
    rows, columns = heat.shape
    left = top = 0.0
    if resize == "pad":
        left, top = ((1 - side / max(size)) / 2 for side in size)
    box = (left * columns, top * rows, (1 - left) * columns, (1 - top) * rows)
    # 8 bits are enough for 9 steps of colour, and four times faster to enlarge than floats.
    cells = Image.fromarray(np.rint(heat * 255).astype(np.uint8))
    return cells.resize(size, Image.Resampling.BICUBIC, box=box)


@cache
def _palette() -> bytes:
    """256 colours, R, G, B of the first, R, G, B of the second and so on."""
    steps = np.array([list(bytes.fromhex(colour)) for colour in _COLOURS.split()], np.float64)
    at, known = np.linspace(0, 1, 256), np.linspace(0, 1, len(steps))
    colours = [np.interp(at, known, channel) for channel in steps.T]
    return np.rint(np.stack(colours, axis=1)).astype(np.uint8).tobytes()
