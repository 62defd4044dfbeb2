"""Small pictures for pages that are one file: made once for each content, kept in `.data_prep`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.embed import content_keys
from data_prep.state import FOLDER_NAME
from data_prep.table import Table
from ideitify.engine import one_by_one, run
from ideitify.files import replacing
from ideitify.photo import PhotoError, open_photo

SIDE = 144  # pixels of the long side: 72 on a phone's screen, where pixels are half as large
QUALITY = 70  # of WebP: about 3 kB a picture, and nobody judges sharpness by it
PICTURES_PER_TASK = 32

Task = tuple[tuple[str, str], ...]


def thumbnails(table: Table, names: Iterable[str], **where: Any) -> dict[str, str]:
    """Small pictures as `data:` addresses, "" for those that cannot be read.

    Args:
        names: of rows of the table.
        where: `engine`, `workers` and `address`, as `run` takes them.

    Raises:
        OSError: the cache cannot be written.
    """
    wanted = list(dict.fromkeys(names))
    few = Table(table.folder, table.rows.loc[wanted])
    cache = table.folder.absolute() / FOLDER_NAME / "thumbnails"
    cache.mkdir(parents=True, exist_ok=True)
    keys = zip(wanted, content_keys(few), strict=True)
    kept = {name: cache / f"{key or 'missing'}.webp" for name, key in keys}
    missing = [
        (str(table.path(name).absolute()), str(path))
        for name, path in kept.items()
        if not path.exists()
    ]
    starts = range(0, len(missing), PICTURES_PER_TASK)
    tasks = [tuple(missing[start : start + PICTURES_PER_TASK]) for start in starts]
    for _ in run(tasks, make_thumbnails, instead=_one_by_one, **where):
        pass
    return {name: _address(path) for name, path in kept.items()}


def make_thumbnails(task: Task) -> None:
    """Write the small picture of each (picture, where to), none for one that cannot be read."""
    for source, target in task:
        try:
            content = _thumbnail(source)
        except PhotoError:
            continue
        with replacing(Path(target)) as partial:
            partial.write_bytes(content)


def _one_by_one(task: Task) -> None:
    """Where a worker died: each picture in a process of its own; which dies again has none."""
    one_by_one([(pair,) for pair in task], make_thumbnails, lambda _: None)


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
