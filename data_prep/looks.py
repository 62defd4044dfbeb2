"""What a picture looks like, in numbers: measured once, on a reduced decode.

The first seven are what CleanVision's checks judge, from fewer pixels; the others find what people
put around and over a photo. What is too much of anything, `data_prep/quality.py` says.

CleanVision's formulas stand here, not its import: with pandas and matplotlib it takes each worker
more than a second to start.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageFilter

BRIGHTNESS_WEIGHTS = np.array([241, 691, 68], np.int32)  # CleanVision's, thousandths of squares
SAMPLED_SIDE = 72  # pixels of the short side that tell whether tones are near a threshold
DARK, LIGHT, PLAIN = 0.5, 0.8, 4.0  # beyond them a check may decide: tones are of all pixels
BLUR_SIDE = 64  # CleanVision's, of the long side: what is sharp there is sharp enough
LAYOUT_SIDE = 320  # of the long side: a seam is still a line, and noise is smoothed away
MARK_SIDE = 96  # of the square in which pictures of one source are compared: letters still show

COLOUR_NOISE = 24  # of 255: JPEG makes a plain colour differ by less
SEAM_STEP = 12  # of 255: the least step between two pictures that lie side by side
STROKE_STEP = 24  # of 255: a letter differs at least so much from what is around it
EDGE = 100  # of 1,020: Sobel's answer to an edge that one sees
MOST_LETTERS = 1000  # a texture has more blobs than a card has letters


def cleanvision_measures(image: Image.Image, mode: str, size: tuple[int, int]) -> dict[str, float]:
    """CleanVision's raw values: brightness percentiles, entropy, blurriness, aspect ratio, size.

    Args:
        image: RGB, short side about 288 pixels.
        mode: Pillow's, of the stored picture; CleanVision calls "L" greyscale.
        size: width and height of the stored picture.
    """
    dark, light, entropy = _tones(_sample(image), mode)
    if dark < DARK or light > LIGHT or entropy < PLAIN:
        dark, light, entropy = _tones(image, mode)
    blurriness, spread = _blurriness(image.convert("L"))  # one channel is resized faster than three
    width, height = size
    return {
        "brightness_perc_99": dark,
        "brightness_perc_5": light,
        "entropy": entropy,
        "blurriness": blurriness,
        "blurriness_grayscale_std": spread,
        "aspect_ratio": min(width / height, height / width),
        "size": (width * height) ** 0.5,
    }


def _sample(image: Image.Image) -> Image.Image:
    """Pixels in even steps, none of them changed: enough for a histogram."""
    step = max(1, min(image.size) // SAMPLED_SIDE)
    size = image.width // step, image.height // step
    return image.resize(size, Image.Resampling.NEAREST)


def _tones(image: Image.Image, mode: str) -> tuple[float, float, float]:
    """CleanVision's 99th and 5th percentile of brightness, 0..1, and entropy in bits."""
    squares = np.sort(np.square(np.asarray(image, np.int32)) @ BRIGHTNESS_WEIGHTS, axis=None)
    dark, light = (int(squares[round(part * (squares.size - 1))]) / 1000 for part in (0.99, 0.05))
    entropy = (image.convert("L") if mode == "L" else image).entropy()
    return dark**0.5 / 255, light**0.5 / 255, entropy


def _blurriness(grey: Image.Image) -> tuple[float, float]:
    """CleanVision's two: the edges' standard deviation, and that of the histogram's counts."""
    ratio = max(grey.size) / BLUR_SIDE
    if ratio > 1:
        size = max(int(grey.width // ratio), 1), max(int(grey.height // ratio), 1)
        # halved first, or more: nearly the same picture in half of the time
        grey = grey.reduce(max(1, int(ratio / 2))).resize(size)
    edges = np.asarray(grey.filter(ImageFilter.FIND_EDGES))
    return float(edges.std()), float(np.std(grey.histogram()))


def layout_measures(image: Image.Image) -> dict[str, float]:
    """How much of a picture is border, text, page or seam; all in 0..1 but for `bands`.

    `border`: share of the area in plain bands that end in a straight line. `seam`: of the height or
    width, the longest straight step that is as sharp as only the edge between two pictures is.
    `bands`: number of plain lines or bands from side to side that begin below something else, as in
    a page. `text`: share of the edges that belong to lines of letters. `spread`: standard deviation
    of the channel that varies the most, 1 being half black and half white.
    """
    rgb = np.asarray(image)
    small = _fit(rgb, LAYOUT_SIDE)
    planes = np.ascontiguousarray(small.transpose(2, 0, 1))
    left, top, right, bottom = _content_box(planes)
    content = planes[:, top:bottom, left:right]
    return {
        "border": 1 - content[0].size / planes[0].size,
        "seam": max(_longest_seam(content), _longest_seam(_turned(content))),
        "bands": float(_bands(planes)),
        "spread": float(cv2.meanStdDev(small)[1].max()) / 127.5,
        "text": _text_share(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
    }


def mark_signature(image: Image.Image) -> bytes:
    """A small grey square of the picture, to be compared with others of its source."""
    square = image.convert("L").resize((MARK_SIDE, MARK_SIDE), Image.Resampling.BILINEAR)
    return square.tobytes()


def _fit(rgb: np.ndarray, side: int) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _turned(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.transpose(0, 2, 1))


def _content_box(planes: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what lies within plain bands; planes are (3, height, width)."""
    _, height, width = planes.shape
    turned = _turned(planes)
    top, bottom = _band(planes), height - _band(planes[:, ::-1])
    left, right = _band(turned), width - _band(turned[:, ::-1])
    return left, top, right, bottom


def _band(planes: np.ndarray) -> int:
    """Lines of one colour at the top, if they end at once: the ground of an object does not."""
    colour = np.median(planes[:, 0], axis=1).astype(np.uint8)
    half = planes[:, : int(planes.shape[1] * 0.45)]
    if _busy(planes[:, :1], colour)[0] > 0.05:  # as in most pictures
        return 0
    share = _busy(half, colour)
    busy = np.flatnonzero(share > 0.05)
    if not len(busy) or share[busy[0] : busy[0] + 4].max() < 0.6:
        return 0
    return int(busy[0])


def _busy(planes: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Share of each line that is not of the colour, 0..1 (height,)."""
    return (_difference(planes, colour[:, None, None]).max(axis=0) > COLOUR_NOISE).mean(axis=1)


def _longest_seam(planes: np.ndarray) -> float:
    """The best column's share of rows with a step there and calm on both sides.

    Only the middle 60 % of the columns is searched: what is nearer to an edge is a frame.
    """
    _, height, width = planes.shape
    if width < 40 or height < 20:
        return 0.0
    first, last = int(width * 0.2), int(width * 0.8)
    steps = _difference(planes[:, :, 1:], planes[:, :, :-1]).max(axis=0)
    over_two = _difference(planes[:, :, 2:], planes[:, :, :-2]).max(axis=0)  # resized seams
    across = over_two[:, first:last]
    around = np.zeros_like(across)
    for away in (-2, -1, 2, 3):
        np.maximum(around, steps[:, first + away : last + away], out=around)
    sharp = (across > SEAM_STEP) & (across > cv2.add(around, around))
    return float(sharp.mean(axis=0).max())


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| of uint8, which cannot hold a - b."""
    return np.maximum(a, b) - np.minimum(a, b)


def _bands(planes: np.ndarray) -> int:
    """How often a plain line follows on one that is not, from top to bottom."""
    plain = np.ptp(planes, axis=2).max(axis=0) <= COLOUR_NOISE / 2
    return int(np.count_nonzero(plain[1:] & ~plain[:-1]))


def _text_share(grey: np.ndarray) -> float:
    """Share of the edges in lines of letters; 0 where there is hardly any edge or calm ground."""
    across, down = (np.abs(cv2.Sobel(grey, cv2.CV_16S, *d)) for d in ((1, 0), (0, 1)))
    edges = np.maximum(across, down) > EDGE
    if not edges.any() or (across + down < 8).mean() < 0.1:
        return 0.0
    in_lines = np.zeros(grey.shape, bool)
    ground = cv2.blur(grey, (25, 25))
    for strokes in (cv2.subtract(grey, ground), cv2.subtract(ground, grey)):
        for left, top, right, bottom in _text_lines(strokes > STROKE_STEP):
            in_lines[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = True
    return float((edges & in_lines).sum() / edges.sum())


def _text_lines(strokes: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Boxes of rows of four and more blobs of like height, one beside the other."""
    # a third of what a worker imports, and many pictures have no letters
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    *_, blobs, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    x, y, w, h, area = blobs[1:].T  # the first is the ground
    letters = (h >= 5) & (h <= 0.16 * len(strokes)) & (w <= 4 * h) & (h <= 10 * w)
    letters &= area >= 0.12 * w * h
    if not 4 <= letters.sum() <= MOST_LETTERS:
        return []
    order = np.flatnonzero(letters)[np.argsort(x[letters], kind="stable")]
    x, y, w, h = x[order], y[order], w[order], h[order]
    higher, lower = np.maximum(h, h[:, None]), np.minimum(h, h[:, None])
    gap = x - (x + w)[:, None]
    baseline = np.abs((y + h) - (y + h)[:, None])
    beside = (gap > -0.4 * higher) & (gap < 1.3 * higher) & (baseline < 0.4 * higher)
    first, second = np.nonzero(np.triu(beside & (lower > 0.4 * higher), 1))
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(x), len(x)))
    boxes = []
    _, line_of = connected_components(graph, directed=False)
    for line in np.flatnonzero(np.bincount(line_of) >= 4):
        of = line_of == line
        left, right = int(x[of].min()), int((x + w)[of].max())
        top, bottom = int(y[of].min()), int((y + h)[of].max())
        if right - left > 2 * (bottom - top):
            boxes.append((left, top, right, bottom))
    return boxes
