"""IIIF Image API 2 and 3: the address of a picture in the size needed.

A service's `info.json` says what it can do. From level 1 on it scales to any width; at level 0 it
has the `sizes` that it lists, and the whole. `maxWidth`, `maxHeight` and `maxArea` bound what it
gives. https://iiif.io/api/image/3.0/compliance/, https://iiif.io/api/image/2.1/compliance/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Any

from scraper.answers import at, link, whole_number


@dataclass(frozen=True)
class Scaled:
    """A picture at a service: its address and its size in pixels."""

    url: str
    width: int
    height: int


def scaled(info: Any, side: int) -> Scaled | None:
    """The whole picture with its longer side as close to `side` as the service gives it.

    Never larger than the original. At level 0 the smallest listed size that has `side`, or the
    largest there is.

    Args:
        info: the answer to `<service>/info.json`.

    Returns:
        None if this is no service of version 2 or 3, or one that says too little of itself.
    """
    base = link(at(info, "id") or at(info, "@id")).rstrip("/")
    version, level = _version(info), _level(info)
    width, height = whole_number(at(info, "width")), whole_number(at(info, "height"))
    if not (base and version and width and height):
        return None
    wanted = _bounded_width(info, width, height, side)
    if wanted == width:
        whole = "max" if version == 3 else "full"
        return Scaled(f"{base}/full/{whole}/0/default.jpg", width, height)
    if level > 0 or "sizeByW" in _features(info):
        size = (wanted, max(1, round(height * wanted / width)))
        return Scaled(f"{base}/full/{wanted},/0/default.jpg", *size)
    listed = _listed(info, side)
    if listed is None:
        return None
    form = f"{listed[0]},{listed[1] if version == 3 else ''}"
    return Scaled(f"{base}/full/{form}/0/default.jpg", *listed)


def is_image_service(service: Any) -> bool:
    """Whether a `service` of a manifest gives pictures, rather than logins or searches."""
    about = [at(service, key) for key in ("type", "@type", "@context", "profile")]
    return bool(re.search(r"ImageService|api/image|image-api", str(about)))


def _version(info: Any) -> int:
    """3, 2 or 0: something else."""
    about = f"{at(info, '@context')} {at(info, 'type')} {at(info, '@type')} {at(info, 'profile')}"
    match = re.search(r"api/image/([23])\b|ImageService([23])", about)
    return int(match[1] or match[2]) if match else 0


def _level(info: Any) -> int:
    match = re.search(r"level([012])", str(at(info, "profile")))
    return int(match[1]) if match else 0


def _extras(info: Any) -> list[Any]:
    """Where extra features and bounds stand: in version 2 in objects within `profile`."""
    profile = at(info, "profile")
    return [info, *(profile if isinstance(profile, list) else [])]


def _features(info: Any) -> set[str]:
    lists = (at(extra, key) for extra in _extras(info) for key in ("extraFeatures", "supports"))
    return {name for names in lists if isinstance(names, list) for name in map(str, names)}


def _bound(info: Any, name: str, default: float = inf) -> float:
    return next(filter(None, (whole_number(at(extra, name)) for extra in _extras(info))), default)


def _bounded_width(info: Any, width: int, height: int, side: int) -> int:
    """The width to ask for, so that neither `side` nor a bound of the service is exceeded."""
    max_width = _bound(info, "maxWidth")
    max_height = _bound(info, "maxHeight", max_width)
    max_area = _bound(info, "maxArea")
    scale = min(
        1.0,
        side / max(width, height),
        max_width / width,
        max_height / height,
        sqrt(max_area / (width * height)),
    )
    wanted = width if scale == 1 else max(1, int(width * scale))
    while wanted > 1 and wanted * ceil(height * wanted / width) > max_area:
        wanted -= 1  # the server may round the height up
    return wanted


def _listed(info: Any, side: int) -> tuple[int, int] | None:
    sizes = at(info, "sizes")
    pairs = [
        (width, height)
        for size in (sizes if isinstance(sizes, list) else [])
        if (width := whole_number(at(size, "width")))
        and (height := whole_number(at(size, "height")))
    ]
    enough = [pair for pair in pairs if max(pair) >= side]
    return min(enough) if enough else max(pairs, default=None)
