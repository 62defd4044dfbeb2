"""Look at pictures that have arrived; in another process, which this module is to start fast.

Decoding, hashing and writing files beside a loop that talks to many servers would make each wait
for the other's turn at Python's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import PhotoError, open_photo, upright_size
from ideitify.settings import Settings

HASH_SIDE = 64  # pixels; twice that of the picture that is hashed


@dataclass(frozen=True)
class Look:
    """What a picture looks like.

    Attributes:
        perceptual_hash: see `ideitify.perceptual_hash`.
        width, height: in pixels, as it is shown.
    """

    perceptual_hash: str
    width: int
    height: int


def look_at(
    pictures: Sequence[tuple[Path, bytes | None]], limits: Settings
) -> list[Look | PhotoError]:
    """Decode pictures as far as their hashes need, and have those that can be used in their files.

    Args:
        pictures: the file of each, and its bytes if they are not in the file yet.

    Returns:
        For each its look; or why it cannot be used, and then it has no file any more.

    Raises:
        OSError: a file cannot be written.
    """
    return [_look_at(path, held, limits) for path, held in pictures]


def _look_at(path: Path, held: bytes | None, limits: Settings) -> Look | PhotoError:
    try:
        look = perceptual_hash(
            open_photo(path if held is None else held, side=HASH_SIDE, limits=limits)
        )
    except PhotoError as error:
        path.unlink(missing_ok=True)
        return error
    if held is not None:
        path.write_bytes(held)
    with Image.open(path if held is None else BytesIO(held)) as header:
        return Look(look, *upright_size(header))
