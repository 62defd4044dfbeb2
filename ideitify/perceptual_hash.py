"""The 64-bit perceptual hash of a picture, the same for the scraper and for data_prep.

pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): the
signs of a picture's lowest frequencies. Re-encoded and resized copies differ in few bits,
unrelated pictures in about half.
"""

from __future__ import annotations

import imagehash
from PIL import Image


def perceptual_hash(image: Image.Image) -> str:
    """Hash a picture; 16 hexadecimal digits, as in the column `perceptual_hash`."""
    return str(imagehash.phash(image))


def hamming_distance(first: str, second: str) -> int:
    """Bits (0 to 64) in which two hashes differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()
