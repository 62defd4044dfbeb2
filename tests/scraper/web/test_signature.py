"""The suffix goes by the bytes, and fits what `ideitify.photo` opens."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ideitify.photo import FORMATS, open_photo
from scraper.web.signature import HEAD_BYTES, describe, picture_suffix
from tests.scraper.museum import PAGE

SUFFIXES = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "GIF": ".gif",
    "TIFF": ".tif", "BMP": ".bmp", "HEIF": ".heic",
}  # fmt: skip


def encoded(form: str) -> bytes:
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", [*FORMATS, "HEIF"])
def test_every_kind_of_photo_that_can_be_opened_is_known(form: str) -> None:
    data = encoded(form)
    assert picture_suffix(data[:HEAD_BYTES]) == SUFFIXES[form]
    assert open_photo(data).size == (64, 48)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"RIFF1234WAVE", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", PAGE,
     b"BM is how this text begins", b"\0\0\0\x18ftypmp42", b"PK\x03\x04", b"GIF80a"],
)  # fmt: skip
def test_nothing_else_is_a_picture(data: bytes) -> None:
    assert picture_suffix(data) == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "nothing"), (b" \r\n", "nothing"), (PAGE, "a web page"), (b"\n <p>", "a web page"),
     (b"%PDF-1.7", "%PDF-1.7"), (b"\xef\xbb\xbf<html>", "a web page"),
     (b"\x1f\x8b\x08\0", "a gzip file")],
)  # fmt: skip
def test_what_came_instead_is_told(data: bytes, words: str) -> None:
    assert words in describe(data)
