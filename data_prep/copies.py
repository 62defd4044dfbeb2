"""Are two pictures copies of one? Decided by laying one over the other, pixel by pixel.

Statues of one deity look alike to hashes and embeddings, and so do one shop's banners or one
museum's wall. A copy is stricter: there is one way to lay the pictures over each other (stretched,
mirrored, or shifted, scaled and turned as local features say) such that they then go up and down in
brightness together everywhere, not only at the banner, and no attribute stands out that only one of
them has. Colours, brightness and contrast are free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ideitify.photo import PhotoError, open_photo

VERSION = 1  # to be raised when the same pictures are to give another answer

SIDE = 256  # long side, pixels: enough for hundreds of features, decided in milliseconds
FEATURES = 300
FAINTEST_FEATURE = 0.02  # OpenCV's default, 0.04, leaves smooth statues with a dozen features
DISTINCT = 0.8  # nearest over second nearest descriptor (Lowe, 2004)
LEAST_FEATURES = 8  # two agree by definition, and four or five by chance
REPROJECTION = 3.0  # pixels that a feature may be off
SCALES = (0.2, 5.0)
SAME_SHAPE = 0.1  # difference of the aspect ratios' logarithms for simple stretching
BLUR = 1.5  # pixels: half a pixel of misalignment and JPEG's noise then do not matter
RIM = 4  # pixels: where the blur mixes the picture with what lies around it
WINDOW = 33  # pixels: large enough to hold structure
TEXTURE = 25.0  # variance of the grey values (0..255) in a window that is not flat
LEAST_TEXTURE = 0.02  # of the common area; of two flat pictures nobody can tell
TOGETHER = 0.5  # correlation in a window above which it agrees
AGREEMENT = 0.92  # of the textured windows, for a copy; redrawn figures of one pattern reach 0.90
LIKENESS = 0.7  # for what is related; below, statues of one workshop begin
PATCH_WINDOW = 13  # pixels: small enough to see one changed attribute
PATCH_CONTRAST = 100.0  # variance: a patch that nobody would overlook
PATCH_APART = 0.4  # correlation in a small window below which it belongs to a patch
THINNEST_PATCH = 5  # pixels: thinner ones are edges that do not quite meet
PATCH = 0.025  # of the textured area; another head on the same body covers 0.026 or more
COMMON = 0.5  # of either picture; below, one is a detail of the other


class Relation(StrEnum):
    """What two pictures are to each other."""

    COPY = "copy"
    RELATED = "related"  # a detail, a changed version, a view of the same object: no test for it
    OTHER = "other"


@dataclass(frozen=True)
class Features:
    """What comparing needs of a picture.

    Attributes:
        grey: float32 (h, w), brightness, blurred.
        points: float32 (m, 2), x and y of the local features.
        descriptors: float32 (m, 128).
    """

    grey: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray


@dataclass(frozen=True)
class Overlay:
    """How well two pictures, laid over each other, agree.

    Attributes:
        agreement: 0..1, the textured share of the common area that agrees.
        common: 0..1, the common area's share of the picture of which it is the smaller share.
        patch: 0..1, the largest patch that does not agree, as a share of the textured common area;
            1 where `agreement` is too small for a copy anyway.
    """

    agreement: float = 0.0
    common: float = 0.0
    patch: float = 1.0

    @property
    def relation(self) -> Relation:
        """What follows from it."""
        if self.agreement < LIKENESS:
            return Relation.OTHER
        agrees = self.agreement >= AGREEMENT and self.patch <= PATCH
        return Relation.COPY if agrees and self.common >= COMMON else Relation.RELATED


@dataclass(frozen=True)
class Comparisons:
    """Pairs for one worker: keys, and where each key's picture is."""

    pairs: tuple[tuple[str, str], ...]
    paths: dict[str, str]


def compare_task(task: Comparisons) -> list[Overlay | None]:
    """Compare pairs; None where a picture cannot be read."""
    cv2.setNumThreads(1)  # there are as many processes as processors
    features = {key: _features(path) for key, path in task.paths.items()}
    pairs = [(features[first], features[second]) for first, second in task.pairs]
    return [compare(a, b) if a and b else None for a, b in pairs]


def features_of(path: Path) -> Features:
    """Open a picture and find its local features.

    Raises:
        PhotoError: it cannot be read.
    """
    image = open_photo(path, side=SIDE // 2).convert("L")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    sift = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=FAINTEST_FEATURE)  # type: ignore[attr-defined]
    points, descriptors = sift.detectAndCompute(pixels, None)
    if descriptors is None:
        descriptors = np.empty((0, 128), np.float32)
    grey = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), BLUR)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    return Features(grey, places, descriptors)


def compare(first: Features, second: Features) -> Overlay:
    """The best of all ways to lay `second`, or its mirror image, over `first`."""
    best = Overlay()
    for other in (second, mirrored(second)):
        for placement in _placements(first, other):
            overlay = lay_over(first.grey, other.grey, placement)
            if overlay.relation is Relation.COPY:
                return overlay
            best = max(best, overlay, key=lambda each: each.agreement)
    return best


def mirrored(features: Features) -> Features:
    """The features of the mirror image, without looking for them again."""
    points = features.points * (-1, 1) + (features.grey.shape[1] - 1, 0)
    # 4 x 4 places, seen from the feature's own direction, of 8 directions each
    places = features.descriptors.reshape(-1, 4, 4, 8)
    descriptors = places[:, ::-1][..., -np.arange(8)].reshape(-1, 128)
    grey = np.ascontiguousarray(features.grey[:, ::-1])
    return Features(grey, points.astype(np.float32), np.ascontiguousarray(descriptors))


def lay_over(first: np.ndarray, second: np.ndarray, placement: np.ndarray) -> Overlay:
    """Compare where both are.

    Args:
        first: float32 (h, w).
        second: float32 (h2, w2).
        placement: (2, 3), from the pixels of `second` to those of `first`.
    """
    size = first.shape[1], first.shape[0]
    moved = cv2.warpAffine(second, placement, size, borderMode=cv2.BORDER_REPLICATE)
    area = cv2.warpAffine(np.ones_like(second), placement, size, flags=cv2.INTER_NEAREST).sum()
    scale = abs(float(np.linalg.det(placement[:, :2])))
    common = min(1.0, float(area) / max(first.size, second.size * scale))
    inside = _without_rim(first) * cv2.warpAffine(
        _without_rim(second), placement, size, flags=cv2.INTER_NEAREST
    )
    correlation, variance = _correlation(first, moved, inside, WINDOW)
    textured = (inside > 0) & (variance > TEXTURE)
    if textured.sum() < max(1.0, LEAST_TEXTURE * float(inside.sum())):
        return Overlay(common=common)
    agreement = float(np.mean(correlation[textured] > TOGETHER))
    if agreement < AGREEMENT:
        return Overlay(agreement, common)
    return Overlay(agreement, common, _largest_patch(first, moved, inside))


def _largest_patch(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """The largest area of contrast where the pictures do not agree, of the textured area."""
    correlation, variance = _correlation(first, second, inside, PATCH_WINDOW)
    apart = (inside > 0) & (variance > PATCH_CONTRAST) & (correlation < PATCH_APART)
    brush = np.ones((THINNEST_PATCH, THINNEST_PATCH), np.uint8)
    patches = cv2.morphologyEx(apart.astype(np.uint8), cv2.MORPH_OPEN, brush)
    areas = cv2.connectedComponentsWithStats(patches)[2][1:, cv2.CC_STAT_AREA]
    textured = ((inside > 0) & (variance > TEXTURE)).sum()
    return min(1.0, float(areas.max(initial=0)) / max(1.0, float(textured)))


def _correlation(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation in a window around every pixel, and the larger variance there."""

    def box(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, cv2.CV_32F, (window, window), borderType=cv2.BORDER_CONSTANT)

    def mean(values: np.ndarray) -> np.ndarray:
        return box(values) / weight

    weight = box(inside) + 1e-9
    first_mean, second_mean = mean(first * inside), mean(second * inside)
    first_variance = np.maximum(mean(first * first * inside) - first_mean**2, 0)
    second_variance = np.maximum(mean(second * second * inside) - second_mean**2, 0)
    covariance = mean(first * second * inside) - first_mean * second_mean
    noise = 4.0  # of JPEG; keeps flat windows from agreeing by chance
    scale = np.sqrt((first_variance + noise) * (second_variance + noise))
    return covariance / scale, np.maximum(first_variance, second_variance)


def _placements(first: Features, second: Features) -> Iterator[np.ndarray]:
    (h, w), (h2, w2) = first.grey.shape, second.grey.shape
    if abs(np.log(w / h * h2 / w2)) < SAME_SHAPE:
        x, y = w / w2, h / h2
        yield np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
    placement = _by_features(first, second)
    if placement is not None:
        yield placement


def _by_features(first: Features, second: Features) -> np.ndarray | None:
    """The similarity on which enough features agree."""
    if min(len(first.points), len(second.points)) < LEAST_FEATURES:
        return None
    nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(second.descriptors, first.descriptors, k=2)
    matches = [best for best, next_ in nearest if best.distance < DISTINCT * next_.distance]
    if len(matches) < LEAST_FEATURES:
        return None
    cv2.setRNGSeed(0)  # the same pictures give the same answer
    placement, agrees = cv2.estimateAffinePartial2D(
        second.points[[match.queryIdx for match in matches]],
        first.points[[match.trainIdx for match in matches]],
        ransacReprojThreshold=REPROJECTION,
        maxIters=500,
    )
    if placement is None or agrees.sum() < LEAST_FEATURES:
        return None
    scale = float(np.hypot(placement[0, 0], placement[1, 0]))
    return placement if SCALES[0] < scale < SCALES[1] else None


def _without_rim(grey: np.ndarray) -> np.ndarray:
    """Ones, and zeros at the rim."""
    mask = np.zeros_like(grey)
    mask[RIM:-RIM, RIM:-RIM] = 1
    return mask


def _features(path: str) -> Features | None:
    try:
        return features_of(Path(path))
    except PhotoError:
        return None
