"""A IIIF service is asked for no more than is needed, and for nothing that it does not give."""

from __future__ import annotations

import re
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.image_service import is_image_service, scaled
from tests.scraper.sources.site import needs_recordings, recorded

BASE = "https://iiif.example.org/image/1"
lengths = st.integers(1, 20_000)


def version_3(width: int, height: int, level: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "@context": "http://iiif.io/api/image/3/context.json",
        "id": BASE,
        "type": "ImageService3",
        "profile": f"level{level}",
        "width": width,
        "height": height,
        **more,
    }


def version_2(width: int, height: int, level: int = 1, **extras: Any) -> dict[str, Any]:
    profile: list[Any] = [f"http://iiif.io/api/image/2/level{level}.json"]
    return {
        "@context": "http://iiif.io/api/image/2/context.json",
        "@id": f"{BASE}/",
        "profile": [*profile, extras] if extras else profile,
        "width": width,
        "height": height,
    }


def size_of(info: dict[str, Any], side: int = 1280) -> str | None:
    picture = scaled(info, side)
    if picture is None:
        return None
    match = re.fullmatch(rf"{BASE}/full/([^/]+)/0/default\.jpg", picture.url)
    assert match, picture.url
    return match[1]


@pytest.mark.parametrize(
    ("info", "size"),
    [
        (version_3(6000, 4000), "1280,"),
        (version_3(4000, 6000), "853,"),
        (version_2(6000, 4000), "1280,"),
        (version_3(1280, 900), "max"),
        (version_2(1280, 900), "full"),
        (version_3(6000, 4000, maxWidth=1000), "1000,"),
        (version_3(4000, 6000, maxWidth=900), "600,"),  # maxWidth alone bounds the height too
        (version_3(6000, 4000, maxWidth=3000, maxHeight=600), "900,"),
        (version_3(6000, 4000, maxArea=600_000), "948,"),
        (version_2(6000, 4000, maxWidth=1000), "1000,"),
        (version_3(6000, 4000, level=0, extraFeatures=["sizeByW"]), "1280,"),
        (version_2(6000, 4000, level=0, supports=["sizeByW"]), "1280,"),
        (version_3(6000, 4000, level=0), None),
        (version_3(6000, 4000, level=0, sizes=None), None),
        (version_3(6000, 4000, level=0, sizes=[]), None),
    ],
)
def test_the_size_asked_for(info: dict[str, Any], size: str | None) -> None:
    assert size_of(info) == size


SIZES = [{"width": w, "height": w * 2 // 3} for w in (300, 1500, 3000)]


@pytest.mark.parametrize(
    ("side", "three", "two"), [(1280, "1500,1000", "1500,"), (5000, "3000,2000", "3000,")]
)
def test_at_level_0_a_listed_size(side: int, three: str, two: str) -> None:
    assert size_of(version_3(6000, 4000, level=0, sizes=SIZES), side) == three
    assert size_of(version_2(6000, 4000, level=0) | {"sizes": SIZES}, side) == two


@given(lengths, lengths, st.none() | lengths, st.none() | lengths, st.integers(1, 10**8))
def test_neither_the_original_nor_the_bounds_nor_the_side_are_exceeded(
    width: int, height: int, max_width: int | None, max_height: int | None, max_area: int
) -> None:
    bounds = {"maxWidth": max_width, "maxHeight": max_height, "maxArea": max_area}
    given_bounds = {name: bound for name, bound in bounds.items() if bound}
    picture = scaled(version_3(width, height, **given_bounds), 1280)
    assert picture is not None
    size = size_of(version_3(width, height, **given_bounds))
    if size == "max":
        asked_width, asked_height = width, height
    else:
        asked_width = int((size or "").rstrip(","))
        asked_height = ceil(height * asked_width / width)
    assert asked_width <= min(width, 1280)
    assert picture.width == asked_width
    if asked_width > 1:  # else no smaller size can be asked for
        assert asked_height <= 1280
        assert asked_width <= (max_width or width)
        assert asked_height <= (max_height or max_width or height)
        assert asked_width * asked_height <= max_area


@pytest.mark.parametrize(
    "info",
    [
        None,
        [],
        {},
        {"@context": "http://iiif.io/api/image/3/context.json", "id": BASE},
        version_3(0, 100),
        version_3(100, 100) | {"id": "javascript:alert(1)"},
        {
            "@context": "http://library.stanford.edu/iiif/image-api/1.1/context.json",
            "@id": BASE,
            "width": 6000,
            "height": 4000,
            "profile": "http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level2",
        },
    ],
)
def test_what_is_no_service_of_version_2_or_3(info: object) -> None:
    assert scaled(info, 1280) is None


def test_sizes_may_be_texts() -> None:
    assert size_of(version_3(6000, 4000) | {"width": "6000", "height": "4000"}) == "1280,"


def test_logins_and_searches_are_no_image_services() -> None:
    assert is_image_service({"type": "ImageService3", "id": BASE})
    assert is_image_service({"@context": "http://iiif.io/api/image/2/context.json"})
    assert is_image_service({"profile": "http://iiif.io/api/image/2/level1.json"})
    assert not is_image_service(
        {"@type": "AuthCookieService1", "profile": "http://iiif.io/api/auth/1/login"}
    )
    assert not is_image_service({"profile": "http://iiif.io/api/search/1/search"})
    assert not is_image_service("https://example.org/service")


@needs_recordings
def test_the_examples_of_the_specifications() -> None:
    two = scaled(recorded("iiif_image2_info"), 1280)
    three = scaled(recorded("iiif_image3_info"), 1280)
    assert two
    assert three
    assert two.url.endswith("/1E34750D-38DB-4825-A38A-B60A345E591C/full/1280,/0/default.jpg")
    assert three.url.endswith("/1E34750D-38DB-4825-A38A-B60A345E591C/full/1280,/0/default.jpg")
    assert (three.width, three.height) == (1280, 853)
