"""A small dataset folder of drawn noise, with the rights that tests of publishing need."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.table import Table, read_table
from ideitify.dataset import write_rows

LICENSES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "CC-BY-ND-4.0": "https://creativecommons.org/licenses/by-nd/4.0/",
    "unknown": "",
}


def noise(seed: int, side: int = 128) -> bytes:
    """A JPEG of about 20 kB that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_dataset(folder: Path, *rows: dict[str, str]) -> Table:
    """Write a dataset folder; what a row leaves out is filled in, and its picture drawn."""
    filled = [_filled(folder, number, row) for number, row in enumerate(rows)]
    write_rows(folder, filled)
    return read_table(folder)


def _filled(folder: Path, number: int, row: dict[str, str]) -> dict[str, str]:
    category = row.get("category", "ganesha")
    content = noise(int(row.get("id", number)))
    sha256 = hashlib.sha256(content).hexdigest()
    license = row.get("license", "CC-BY-4.0")
    name = row.get("file_name", f"images/{category}/{sha256[:16]}.jpg")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    facts = {
        "file_name": name, "category": category, "id": str(number), "source": "museum",
        "title": f"Figure {number}", "creator": "A. Maker", "license": license,
        "uri": f"https://museum.example/{number}", "url": f"https://museum.example/{number}.jpg",
        "license_url": LICENSES.get(license, ""), "retrieved_at": "2025-06-01T10:00:00+00:00",
        "sha256": sha256, "width": "128", "height": "128", "status": "kept",
        "split": "train", "label_source": "human",
    }  # fmt: skip
    return facts | row


MIXED = (
    {"category": "ganesha", "license": "CC0-1.0", "split": "train"},
    {"category": "ganesha", "license": "CC-BY-4.0", "split": "valid"},
    {"category": "shiva", "license": "CC-BY-SA-4.0", "split": "train", "source": "commons"},
    {"category": "none", "license": "CC0-1.0", "split": "test", "label_source": "scraper"},
    {"category": "shiva", "license": "unknown"},
    {"category": "shiva", "license": "CC-BY-ND-4.0"},
    {"category": "shiva", "status": "rejected", "reject_reason": "blurry"},
    {"category": "shiva", "status": "review", "reject_reason": "label doubtful"},
)
"""Four pictures that may be published, and four that may not."""
