"""Small pictures for pages that are one file: made once for each content, kept in `.data_prep`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

from PIL import Image

from data_prep.embed import content_keys
from data_prep.table import Table
from data_prep.workers import Where, run_on_pictures
from ideitify.dataset import PREPARED_NAME
from ideitify.files import replacing
from ideitify.photo import PhotoError, open_photo

SIDE = 144  # pixels of the long side: 72 on a phone's screen, where pixels are half as large
QUALITY = 70  # of WebP: about 3 kB a picture, and nobody judges sharpness by it

Task = tuple[tuple[str, str], ...]  # (picture, where its small one goes)


def thumbnails(table: Table, names: Iterable[str], **where: Unpack[Where]) -> dict[str, str]:
    """Small pictures as `data:` addresses, "" for those that cannot be read.

    Args:
        names: of rows of the table.

    Raises:
        OSError: the cache cannot be written.
    """
    wanted = list(dict.fromkeys(names))
    few = Table(table.folder, table.rows.loc[wanted])
    cache = table.folder.absolute() / PREPARED_NAME / "thumbnails"
    cache.mkdir(parents=True, exist_ok=True)
    keys = zip(wanted, content_keys(few), strict=True)
    kept = {name: cache / f"{key or 'missing'}.webp" for name, key in keys}
    missing = [
        (str(table.path(name).absolute()), str(path))
        for name, path in kept.items()
        if not path.exists()
    ]
    for _ in run_on_pictures(missing, make_thumbnails, fatal=False, **where):
        pass
    return {name: _address(path) for name, path in kept.items()}


def make_thumbnails(task: Task) -> list[bool]:
    """Write the small picture of each; False for one that cannot be read."""
    return [_make(source, Path(target)) for source, target in task]


def _make(source: str, target: Path) -> bool:
    try:
        content = _thumbnail(source)
    except PhotoError:
        return False
    with replacing(target) as partial:
        partial.write_bytes(content)
    return True


def _thumbnail(path: str) -> bytes:
    image = open_photo(path, side=SIDE // 2)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _address(path: Path) -> str:
    try:
        return f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except FileNotFoundError:
        return ""
