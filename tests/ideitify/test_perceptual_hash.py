"""The hash is the well-known one, so that hashes from elsewhere can be compared with ours."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter
from scipy.fft import dctn

from ideitify.perceptual_hash import hamming_distance, perceptual_hash


def drawing(seed: int, size: tuple[int, int] = (200, 150), mode: str = "RGB") -> Image.Image:
    """Ellipses at random, softened as in a photo."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        (left, right), (top, bottom) = (sorted(rng.integers(0, side, 2).tolist()) for side in size)
        draw.ellipse((left, top, right, bottom), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(1)).convert(mode)


@settings(max_examples=50)
@example(seed=1, size=(2, 30), mode="RGB")
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.sampled_from(["RGB", "L", "RGBA", "CMYK", "P"]),
)
def test_it_is_imagehash_s_phash(seed: int, size: tuple[int, int], mode: str) -> None:
    image = drawing(seed, size, mode)
    ours, theirs = imagehash.hex_to_hash(perceptual_hash(image)), imagehash.phash(image)
    if min(size) > 32:
        assert ours == theirs
    # A frequency that equals the median but for rounding may fall on either side of it: of a
    # picture of few pixels many do.
    frequencies = lowest_frequencies(image)
    tied = np.isclose(frequencies, np.median(frequencies), rtol=0, atol=1e-9 * frequencies.max())
    assert not ((ours.hash != theirs.hash) & ~tied).any()


def lowest_frequencies(image: Image.Image) -> np.ndarray:
    """What the bits are the signs of, beside their median: float (8, 8)."""
    pixels = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    return dctn(pixels, type=2)[:8, :8]


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
def test_flat_colours_have_no_frequencies_but_the_lowest(grey: int) -> None:
    assert perceptual_hash(Image.new("L", (90, 40), grey)) == ("8" if grey else "0") + 15 * "0"


def test_a_resized_copy_is_near_and_another_picture_is_far() -> None:
    picture = drawing(1)
    near = hamming_distance(perceptual_hash(picture), perceptual_hash(picture.resize((99, 75))))
    far = hamming_distance(perceptual_hash(picture), perceptual_hash(drawing(2)))
    assert near <= 4
    assert far >= 16
