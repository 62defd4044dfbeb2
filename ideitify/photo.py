"""Any bytes that a phone or a browser sends -> an upright RGB picture."""

from __future__ import annotations

import io
import math
import os
import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, cast

# The plugins register themselves; naming them here keeps Pillow from loading all its others, and
# from doing so in several threads at once.
from PIL import (
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from ideitify.settings import Settings, settings

Bytes = bytes | bytearray | memoryview

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP")  # and HEIF, see `_formats_for`

# The short side is never reduced below this many times the side that the caller will resize to:
# resizing the rest of the way then smooths away what a quick reduction does differently, and the
# model's answers stay those of a full decode.
REDUCTION_MARGIN = 1.2

# A decoded picture takes four bytes a pixel, and a small file may hold very many: whichever threads
# open photos, one such picture at a time is decoded and reduced.
MANY_PIXELS = 25_000_000
STRIP_ROWS = 256  # of a large picture of another mode, which are converted at a time
_one_at_a_time = threading.Lock()

# reason -> (HTTP status, sentence for the user)
_REFUSALS: dict[str, tuple[int, str]] = {
    "empty": (400, "The file is empty: choose the photo again."),
    "missing": (404, "There is no file {}: check its name."),
    "no_name": (400, "The name of the photo is empty: name a file."),
    "address": (
        400,
        "Addresses are not fetched here: download the picture, or paste the address in the app.",
    ),
    "not_a_file": (400, "{} is not a file: name the photo itself."),
    "unreadable": (400, "The file cannot be opened ({}): check that you may read it."),
    "too_large": (413, "The file is larger than {:.3g} MB: send a smaller photo."),
    "too_many_pixels": (413, "The photo has more than {:.3g} megapixels: send a smaller one."),
    "too_many_frames": (413, "The file has more than {} frames or pages: send a single picture."),
    "not_an_image": (
        415,
        "The file is not an image: send a photo as JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF.",
    ),
    "svg": (415, "The file is an SVG drawing, not a photo: save it as PNG or JPEG first."),
    "pdf": (415, "The file is a PDF document: save the picture in it as JPEG or PNG first."),
    "archive": (415, "The file is an archive or a document: take the photo out of it first."),
    "web_page": (415, "The file is a web page, not an image: save the picture itself."),
    "video": (415, "The file is a video: send a photo or a still of it."),
    "truncated": (422, "The photo is incomplete or damaged: send it again."),
    "fatal": (422, "The photo ends the program that opens it: send another one."),
}

_HEIF = rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)"

# What files begin with -> the reason to refuse them, asked once no decoder knew the file. The first
# match counts; a photo's own signature here means that the rest of its header is broken.
_SIGNATURES = {
    "truncated": rb"\xff\xd8\xff|\x89PNG|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*|BM.{4}\0{4}"
    rb"|.{4}ftypavi[fs]|" + _HEIF,
    "pdf": rb".{0,1019}%PDF-",
    "archive": rb"PK(\x03\x04|\x05\x06|\x07\x08)|\x1f\x8b|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|BZh[1-9]"
    rb"|\xfd7zXZ\0|\x28\xb5\x2f\xfd|.{257}ustar",
    "video": rb".{4}(ftyp.{4}|moov|mdat|wide|free)|\x1a\x45\xdf\xa3|RIFF.{4}AVI |\0\0\1\xba|FLV\1",
    "web_page": rb"(?i:(\xef\xbb\xbf)?\s*<(.*?<)?(!doctype html|html)\b)",
    "svg": rb"(?i:(\xef\xbb\xbf)?\s*<(.*?<)?svg\b)",
}
_SIGNATURE_BYTES = 4096

_ADDRESS = re.compile("[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # one letter would be a drive's

_EIGHT_BITS = {"L", "RGB", "CMYK"}  # modes that are taken as they are

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class PhotoError(ValueError):
    """A photo is refused; the message is one sentence for its user: what is wrong, what to do.

    Attributes:
        reason: short stable code, a key of `_REFUSALS` such as "too_large" or "not_an_image".
        status: the HTTP status that says the same.
    """

    def __init__(self, reason: str, detail: object = "") -> None:
        self.reason = reason
        self.detail = detail
        self.status, sentence = _REFUSALS[reason]
        super().__init__(sentence.format(detail))

    def __reduce__(self) -> tuple[type[PhotoError], tuple[str, object]]:
        """Let the error cross process borders, where exceptions are pickled."""
        return type(self), (self.reason, self.detail)


def open_photo(
    source: str | Path | Bytes | BinaryIO | Image.Image,
    *,
    side: int | None = None,
    limits: Settings | None = None,
) -> Image.Image:
    """Read a photo: upright, RGB, sRGB colours, the first frame, transparency on white.

    Args:
        source: a path, the bytes, a binary file (read from its beginning where it can seek) or a
            PIL image, which is left as it is.
        side: how many pixels the caller needs on the short side. The picture may then come smaller
            than it was stored, but its short side keeps `REDUCTION_MARGIN * side` pixels where it
            had them; a large JPEG is decoded several times faster.
        limits: `max_bytes`, `max_pixels` and `max_frames` are respected; the process's settings by
            default. Pillow's own limit of pixels (`PIL.Image.MAX_IMAGE_PIXELS`, twice) holds too.

    Raises:
        PhotoError: the photo is refused; see its message and `reason`.
        TypeError: `source` is none of these.
    """
    limits = limits or settings()
    opened = source if isinstance(source, Image.Image) else _read(source, limits.max_bytes)
    try:
        return _picture(opened, side, limits)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError("too_many_pixels", limits.max_pixels / 1e6) from error
    except Exception as error:  # decoders raise nearly anything when they are fed broken bytes
        raise PhotoError("truncated") from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) in pixels of a picture as `open_photo` turns it; its header is enough."""
    turned = image.format != "TIFF"  # Pillow gives that one's size as it is shown
    return image.size[::-1] if turned and _orientation(image) in {5, 6, 7, 8} else image.size


def _picture(source: bytes | Image.Image, side: int | None, limits: Settings) -> Image.Image:
    if isinstance(source, Image.Image):
        _check_pixels(source, limits)
        return _upright_rgb(source, side)
    with _identify(source) as image:
        _check_pixels(image, limits)
        _check_frames(image, limits)
        if image.format in {"JPEG", "MPO"}:
            _check_jpeg_ends(image, source)
            if side:  # the smallest of 1/1, 1/2, 1/4 and 1/8 that leaves enough
                image.draft("RGB", (_kept_side(side), _kept_side(side)))
        return _upright_rgb(image, side)


def _read(source: str | Path | Bytes | BinaryIO, max_bytes: int) -> bytes:
    """Return the whole content, having read no more than `max_bytes` and one byte of it."""
    if isinstance(source, (str, Path)):
        if source == "":
            raise PhotoError("no_name")
        return _read_file(Path(source), max_bytes)
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
    elif hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        content = _read_stream(source, max_bytes)
    else:
        kind = type(source).__name__
        raise TypeError(f"a photo is a path, bytes, a binary file or a PIL image, not {kind}")
    if not content:
        raise PhotoError("empty")
    if len(content) > max_bytes:
        raise PhotoError("too_large", max_bytes / 2**20)
    return content


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.exists():
            raise PhotoError("address" if _ADDRESS.match(path.as_posix()) else "missing", path)
        if not path.is_file():  # before opening: opening a named pipe would wait for its writer
            raise PhotoError("not_a_file", path)
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise PhotoError("too_large", max_bytes / 2**20)
            return _read(file, max_bytes)
    except OSError as error:
        raise PhotoError("unreadable", error.strerror) from error


def _read_stream(stream: BinaryIO, max_bytes: int) -> bytes:
    if stream.seekable():
        stream.seek(0)
    content = bytearray()
    while chunk := stream.read(max_bytes + 1 - len(content)):  # a raw stream may return less
        content += chunk
    return bytes(content)


def _identify(data: bytes) -> ImageFile.ImageFile:
    """Read the header alone."""
    try:
        return Image.open(io.BytesIO(data), formats=_formats_for(data))
    except Image.DecompressionBombError:
        raise
    except Exception as error:  # not only UnidentifiedImageError: a text may begin like a bitmap
        raise PhotoError(_reason_against(data[:_SIGNATURE_BYTES])) from error


def _formats_for(data: bytes) -> tuple[str, ...]:
    """The decoders to ask; the one for HEIF is loaded when the first such photo comes."""
    if not re.match(_HEIF, data, re.DOTALL):
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _reason_against(head: bytes) -> str:
    for reason, signature in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return reason
    return "not_an_image"


def _check_pixels(image: Image.Image, limits: Settings) -> None:
    if 0 in image.size:
        raise PhotoError("empty")
    if image.width * image.height > limits.max_pixels:
        raise PhotoError("too_many_pixels", limits.max_pixels / 1e6)


def _check_frames(image: ImageFile.ImageFile, limits: Settings) -> None:
    try:
        if image.format == "TIFF":  # counting its pages takes time quadratic in their number
            image.seek(limits.max_frames)
        elif getattr(image, "n_frames", 1) <= limits.max_frames:
            return
    except EOFError:  # the TIFF has no such page
        image.seek(0)
        return
    raise PhotoError("too_many_frames", limits.max_frames)


def _check_jpeg_ends(image: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse a JPEG that was cut and filled up with zeros: libjpeg would make it silently grey.

    Pillow has read the header up to the scan; only from there on is the end marker the photo's own
    and not that of the thumbnail in its EXIF. Looked for from the back, where it mostly is.
    """
    if image.fp is not None and data.rfind(b"\xff\xd9", image.fp.tell()) < 0:
        raise PhotoError("truncated")


def _upright_rgb(image: Image.Image, side: int | None) -> Image.Image:
    """Decode into a new RGB image; what comes first leaves less to do for the rest."""
    with _one_at_a_time if image.width * image.height > MANY_PIXELS else nullcontext():
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        profile = image.info.get("icc_profile")
        image = _reduce(image, side)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    image = _to_srgb(image, profile)
    if turn is not None:
        image = image.transpose(turn)
    image.info = {}  # the old orientation and profile are no longer true, the place is private
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where EXIF is missing or broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow's parser raises nearly anything, and the photo outranks its EXIF
        return 1


def _reduce(image: Image.Image, side: int | None) -> Image.Image:
    """Any mode -> L, RGB, RGBA or CMYK, no larger than need be."""
    stretch = _stretch(image) if image.mode in {"I", "F"} else None
    factor = min(image.size) // _kept_side(side) if side else 1
    if factor <= 1:
        return _eight_bits(image, stretch)
    size = image.width // factor, image.height // factor
    if image.mode in _EIGHT_BITS and not image.has_transparency_data:
        return image.resize(size, Image.Resampling.BOX)
    return _reduce_in_strips(image, size, max(1, STRIP_ROWS // factor), stretch)


def _reduce_in_strips(
    image: Image.Image, size: tuple[int, int], rows: int, stretch: Callable[..., Any] | None
) -> Image.Image:
    """Convert and reduce to `size`, so many `rows` of the result at a time.

    A whole picture that is converted takes its size several times more.
    """
    (width, height), scale = size, image.height / size[1]
    strips = []
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = math.floor(top * scale), min(math.ceil(bottom * scale), image.height)
        strip = _eight_bits(image.crop((0, first, image.width, last)), stretch)
        box = (0, top * scale - first, image.width, min(bottom * scale - first, strip.height))
        strips.append(strip.resize((width, bottom - top), Image.Resampling.BOX, box))
    reduced = Image.new(strips[0].mode, size)
    for number, strip in enumerate(strips):
        reduced.paste(strip, (0, number * rows))
    return reduced


def _eight_bits(image: Image.Image, stretch: Callable[..., Any] | None) -> Image.Image:
    """Any mode -> L, RGB, RGBA or CMYK; `stretch` for those whose values have no agreed range."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if stretch is not None:
        return image.point(stretch).convert("L")
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in _EIGHT_BITS else image.convert("RGB")


def _stretch(image: Image.Image) -> Callable[..., Any]:
    """What brings the values of an I or F picture, which have no agreed range, to 0..255."""
    low, high = cast("tuple[float, float]", image.getextrema())
    scale = 255 / (high - low) if high > low else 0
    return lambda value: value * scale - low * scale


def _kept_side(side: int) -> int:
    return math.ceil(REDUCTION_MARGIN * side)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB or CMYK -> RGB in sRGB, the colours that screens show and the model has learnt."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).casefold():
                target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
                return ImageCms.ImageCmsTransform(source, target, image.mode, "RGB").apply(image)
        except (OSError, TypeError, ValueError, ImageCms.PyCMSError):
            pass  # broken, or of other colours than the photo: without a profile it counts as sRGB
    return image.convert("RGB")
