"""What kind of picture a file is, by its first bytes: names and headers on the web often lie."""

from __future__ import annotations

import re

HEAD_BYTES = 32  # enough for every signature below

# The formats of `ideitify.photo`: what is collected here is to be opened there.
_SIGNATURES = {
    ".jpg": rb"\xff\xd8\xff",
    ".png": rb"\x89PNG\r\n\x1a\n",
    ".webp": rb"RIFF.{4}WEBP",
    ".avif": rb".{4}ftypavi[fs]",
    ".heic": rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)",
    ".gif": rb"GIF8[79]a",
    ".tif": rb"II\*\0|MM\0\*",
    ".bmp": rb"BM.{4}\0{4}",
}
_WEB_PAGE = rb"(\xef\xbb\xbf)?\s*<"
_GZIP = rb"\x1f\x8b"


def picture_suffix(head: bytes) -> str:
    """The usual suffix of the picture that begins with `head`, or "" if it is none."""
    matches = (suffix for suffix, signature in _SIGNATURES.items() if _begins(head, signature))
    return next(matches, "")


def describe(head: bytes) -> str:
    """What came instead of a picture or JSON, for an error message."""
    if not head.strip():
        return "nothing"
    if _begins(head, _WEB_PAGE):
        return "a web page"
    return "a gzip file" if _begins(head, _GZIP) else f"a file that begins with {head[:12]!r}"


def _begins(head: bytes, signature: bytes) -> bool:
    return re.match(signature, head, re.DOTALL) is not None
