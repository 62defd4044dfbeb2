"""What `open_photo` promises, told with bytes that are encoded here."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile, ImageFilter

from ideitify.photo import REDUCTION_MARGIN, PhotoError, open_photo, upright_size
from ideitify.settings import Settings

pillow_heif.register_heif_opener()  # to write HEIC; that reading needs no help is tested apart

LIMITS = Settings()

# format -> the modes it can store here
MODES = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "L", "RGBA", "LA", "P", "1", "I;16"],
    "WEBP": ["RGB", "RGBA"],
    "AVIF": ["RGB", "RGBA"],
    "HEIF": ["RGB", "RGBA"],
    "GIF": ["L", "P"],
    "TIFF": ["RGB", "L", "RGBA", "CMYK", "P", "1", "LAB", "I;16"],
    "BMP": ["RGB", "L", "P", "1"],
}
PIL_MODES = {mode for modes in MODES.values() for mode in modes} | {
    "La", "PA", "RGBa", "RGBX", "YCbCr", "HSV", "I", "F", "I;16L", "I;16B"
}  # fmt: skip
TRANSLUCENT = {"LA", "La", "PA", "RGBA", "RGBa"}
RANGELESS = {"I": np.int32, "F": np.float32}
WITHOUT_EXIF = {"GIF", "BMP"}

# EXIF orientation -> how an upright picture is stored under it
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def compass(width: int, height: int) -> Image.Image:
    """A picture that shows which way is up: its four quarters have four colours."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("blue", (width // 2, 0, width, height // 2))
    image.paste("black", (0, height // 2, width // 2, height))
    return image


def quarters(image: Image.Image) -> np.ndarray:
    """The colours in the middles of the four quarters, int (4, 3)."""
    columns, rows = ([side // 4, 3 * side // 4] for side in image.size)
    return np.array([image.getpixel((x, y)) for y in rows for x in columns], dtype=int)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


def stored(upright: Image.Image, kind: str, orientation: int = 1, **options: object) -> bytes:
    """Encode a picture as a camera does that was held another way."""
    turn = STORED[orientation]
    image = upright if turn is None else upright.transpose(turn)
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif.tobytes()
    return encode(image, kind, **options)


def scene(width: int, height: int) -> Image.Image:
    """Something like a photo: shapes of many sizes, smooth light and some grain."""
    noise = np.random.default_rng(7)
    layers = np.zeros((height, width, 3))
    for cells in (3, 11, 41, 151):
        coarse = noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        grown = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        layers += np.asarray(grown) / 4
    layers += noise.normal(0, 4, layers.shape)
    return Image.fromarray(layers.clip(0, 255).astype(np.uint8))


def scene_in(mode: str) -> Image.Image:
    """The scene in any mode: over its range of values, and from clear to opaque where it can be."""
    picture = scene(1003, 917)
    if mode.startswith("I;16"):
        deep = in_mode(picture, "I;16")
        return deep if mode == "I;16" else deep.convert("I").convert(mode)
    if mode in RANGELESS:
        return Image.fromarray(1000 * (np.asarray(picture.convert("L"), RANGELESS[mode]) - 90))
    if mode in TRANSLUCENT:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture.convert("LA").convert("La") if mode == "La" else picture.convert(mode)


def outcome(data: bytes) -> Image.Image | PhotoError:
    try:
        return open_photo(data, limits=LIMITS)
    except PhotoError as error:
        return error


def refusal(source: object, **options: object) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        open_photo(source, **({"limits": LIMITS} | options))
    return caught.value


# ---------------------------------------------------------------- every photo comes upright in RGB


@st.composite
def stored_photos(draw: st.DrawFn) -> tuple[bytes, Image.Image, str]:
    """(bytes, the upright picture in its mode, format)."""
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    size = draw(st.tuples(st.integers(32, 90), st.integers(32, 90)))
    orientation = 1 if kind in WITHOUT_EXIF else draw(st.integers(1, 8))
    upright = in_mode(compass(*size), mode)
    return stored(upright, kind, orientation), upright, kind


@given(stored_photos())
@hypothesis_settings(max_examples=200)
def test_any_format_mode_size_and_orientation_comes_upright_in_rgb(
    photo: tuple[bytes, Image.Image, str],
) -> None:
    data, upright, _ = photo
    image = open_photo(data, limits=LIMITS)
    assert (image.mode, image.size) == ("RGB", upright.size)
    with Image.open(io.BytesIO(data)) as header:
        assert upright_size(header) == upright.size
    expected = (
        in_mode(compass(*upright.size), "L") if upright.mode == "I;16" else upright
    ).convert("RGB")
    assert np.abs(quarters(image) - quarters(expected)).max() <= 30  # lossy formats


@pytest.mark.parametrize("orientation", STORED)
def test_a_jpeg_decoded_at_reduced_scale_is_upright_too(orientation: int) -> None:
    upright = compass(1200, 900)
    image = open_photo(stored(upright, "JPEG", orientation), side=50, limits=LIMITS)
    assert image.size == (150, 113)
    assert np.abs(quarters(image) - quarters(upright)).max() <= 30


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_tiff_is_turned_once_by_each_decoder(orientation: int, compression: str) -> None:
    upright = compass(60, 40)
    image = open_photo(
        stored(upright, "TIFF", orientation, compression=compression), side=5, limits=LIMITS
    )
    assert image.width > image.height
    assert np.abs(quarters(image) - quarters(upright)).max() == 0


def test_a_photo_that_was_opened_can_be_opened_again_and_tells_nothing_of_its_maker() -> None:
    once = open_photo(stored(compass(60, 40), "JPEG", 6), limits=LIMITS)
    assert once.info == {}
    assert not once.getexif()
    assert ImageChops.difference(once, open_photo(once, limits=LIMITS)).getbbox() is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@given(exif=st.binary(max_size=200), intact=st.booleans())
@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it could not read
def test_broken_exif_does_not_break_the_photo(kind: str, exif: bytes, intact: bool) -> None:
    header = b"II*\0\x08\0\0\0" if intact else b""
    data = encode(compass(60, 40), kind, exif=b"Exif\0\0" + header + exif)
    assert sorted(open_photo(data, limits=LIMITS).size) == [40, 60]


def test_transparency_shows_white() -> None:
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 10, 20))
    for data in (encode(image), encode(image, "WEBP", lossless=True), encode(image.quantize())):
        photo = open_photo(data, limits=LIMITS)
        assert photo.getpixel((15, 10)) == (255, 255, 255)
        assert photo.getpixel((5, 10)) == (255, 0, 0)


def test_sixteen_bits_per_pixel_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    for kind in ("PNG", "TIFF"):
        assert open_photo(encode(grey, kind), limits=LIMITS).getpixel((4, 4)) == (128, 128, 128)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "AVIF", "HEIF", "PNG", "MPO"])
def test_the_first_frame_stands_for_all(kind: str) -> None:
    frames = [Image.new("RGB", (48, 32), colour) for colour in ("red", "blue", "black")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    image = open_photo(data, limits=LIMITS)
    assert np.abs(quarters(image) - (255, 0, 0)).max() <= 30


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cmyk_jpeg_keeps_its_colours(progressive: bool) -> None:
    upright = compass(40, 40)  # Pillow writes CMYK as Adobe does, inverted and with Adobe's marker
    data = encode(upright.convert("CMYK"), "JPEG", progressive=progressive)
    assert b"Adobe" in data
    assert np.abs(quarters(open_photo(data, limits=LIMITS)) - quarters(upright)).max() <= 30


@pytest.mark.parametrize("mode", sorted(PIL_MODES))
def test_a_pil_image_of_any_mode_is_taken_and_left_as_it_is(mode: str) -> None:
    image = Image.new(mode, (40, 30))
    before = (image.mode, image.size, image.tobytes())
    photo = open_photo(image, side=5, limits=LIMITS)
    assert (photo.mode, photo.size) == ("RGB", (8, 6))
    assert (image.mode, image.size, image.tobytes()) == before


def test_a_pil_image_is_turned_by_its_exif() -> None:
    image = Image.open(io.BytesIO(stored(compass(60, 40), "JPEG", 8)))
    assert open_photo(image, limits=LIMITS).size == (60, 40)
    assert image.size == (40, 60)


def test_the_answer_never_shares_its_pixels_with_the_image_passed_in() -> None:
    image = compass(20, 20)
    open_photo(image, limits=LIMITS).paste("white", (0, 0, 20, 20))
    assert image.getpixel((5, 5)) == (255, 0, 0)


def test_values_without_a_fixed_range_are_stretched_to_their_own() -> None:
    ramp = Image.fromarray(np.linspace(-3, 0.5, 256, dtype=np.float32).reshape(16, 16))
    photo = open_photo(ramp, limits=LIMITS)
    assert photo.getextrema() == ((0, 255),) * 3


# ---------------------------------------------------------------------------- colours and profiles


def wide_gamut_profile() -> bytes:
    """A minimal ICC profile with the primaries of Display P3 (D50-adapted) and gamma 2.2."""
    number = lambda value: round(value * 65536)  # noqa: E731
    xyz = lambda *values: b"XYZ \0\0\0\0" + struct.pack(">3i", *map(number, values))  # noqa: E731
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(2.2 * 256))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 8) + b"Wide P3\0" + bytes(78),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI", 132 + len(table) - 4 + len(body), 0x02100000)
    head += b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", number(0.9642), number(1), number(0.8249))
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "HEIF"])
def test_a_wide_gamut_photo_becomes_srgb(kind: str) -> None:
    photo = Image.new("RGB", (64, 48), (200, 100, 100))
    plain = open_photo(encode(photo, kind), limits=LIMITS).getpixel((9, 9))
    wide = encode(photo, kind, icc_profile=wide_gamut_profile())
    red, green, _ = open_photo(wide, limits=LIMITS).getpixel((9, 9))
    assert red > plain[0] + 5  # the same numbers mean a stronger red in P3 than in sRGB
    assert green < plain[1] - 5


def test_a_grey_or_cmyk_photo_with_the_profile_of_another_colour_space_is_read_without_it() -> None:
    for mode in ("L", "CMYK"):
        image = compass(40, 40).convert(mode)
        photo = open_photo(encode(image, "JPEG", icc_profile=wide_gamut_profile()), limits=LIMITS)
        assert np.abs(quarters(photo) - quarters(image.convert("RGB"))).max() <= 30


@given(st.binary(min_size=1, max_size=300), st.booleans())
def test_a_broken_profile_is_ignored(noise: bytes, begins_well: bool) -> None:
    profile = wide_gamut_profile()[:200] + noise if begins_well else noise
    data = encode(Image.new("RGB", (16, 16), (200, 100, 100)), icc_profile=profile)
    assert open_photo(data, limits=LIMITS).size == (16, 16)


# ------------------------------------------------------------------- a caller who needs few pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    side=st.integers(1, 150),
)
@hypothesis_settings(max_examples=60)
def test_the_short_side_keeps_a_margin_over_what_is_needed(
    kind: str, size: tuple[int, int], side: int
) -> None:
    image = open_photo(encode(Image.new("RGB", size), kind), side=side, limits=LIMITS)
    assert min(image.size) >= min(*size, REDUCTION_MARGIN * side)
    assert min(image.size) < max(min(size) + 1, 2 * REDUCTION_MARGIN * side + 1)


@pytest.mark.parametrize("size", [(1600, 1200), (1001, 751)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_reducing_early_hardly_changes_what_the_model_sees(
    kind: str, size: tuple[int, int]
) -> None:
    data = encode(scene(*size), kind)

    def seen(**options: int) -> np.ndarray:
        image = open_photo(data, limits=LIMITS, **options)
        return np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR), dtype=int)

    difference = np.abs(seen() - seen(side=64))  # 751 rows become 94, an eighth of 752
    assert difference.mean() < 3
    assert difference.max() <= 20


@pytest.mark.parametrize("mode", sorted(PIL_MODES))
def test_reducing_in_strips_is_reducing_the_whole(mode: str) -> None:
    """The height is a multiple of neither the factor, 15, nor a strip's rows: four strips in all.

    Its 61 rows lie so that no row's border runs through the middle of a pixel, where rounding
    decides whose it is. Mixing with white before or after may differ by the rounding of alpha.
    """
    picture = scene_in(mode)
    reduced = open_photo(picture, side=50, limits=LIMITS)
    assert reduced.size == (1003 // 15, 917 // 15)
    whole = open_photo(picture, limits=LIMITS).resize(reduced.size, Image.Resampling.BOX)
    difference = np.abs(np.asarray(reduced, int) - np.asarray(whole, int))
    assert difference.max() <= 2


# Opens a photo and prints by how many bytes the process has been larger than it was before. What
# `resource` calls the peak of a process begins with its parent's.
MEASURE = """
import re, sys
from pathlib import Path
from ideitify.photo import open_photo

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])

small, large = sys.argv[1:]
open_photo(small, side=256)  # loads what decoding needs
before = peak()
open_photo(large, side=256)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is told there")
def test_a_large_picture_of_sixteen_bits_takes_little_more_than_its_pixels(tmp_path: Path) -> None:
    for name, side in {"small.png": 400, "large.png": 5500}.items():
        Image.new("I;16", (side, side), 0x8000).save(tmp_path / name, compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "small.png", tmp_path / "large.png"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    decoded = 2 * 5500**2
    assert decoded <= int(done.stdout) < 2.5 * decoded


# --------------------------------------------------------------- what is not a photo, or not whole


def archive(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as folder:
        folder.writestr(name, encode(compass(8, 8)))
    return file.getvalue()


DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>"
REFUSED = {
    "empty": (b"", "empty"),
    "text": (
        b"BM is how this text begins, long enough to be a bitmap. " * 9,
        "not_an_image",
    ),
    "photoshop": (b"8BPS\0\1" + bytes(200), "not_an_image"),
    "svg": (DRAWING, "svg"),
    "svg with a prologue": (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by -->\n" + DRAWING, "svg"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "pdf"),
    "zip": (archive("shiva.jpg"), "archive"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(50), "archive"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(50), "archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(50), "archive"),
    "tar": (b"shiva.jpg".ljust(257, b"\0") + b"ustar\x0000" + bytes(300), "archive"),
    "web page": (b"\n<!DOCTYPE html><html><body><svg/></body></html>", "web_page"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(50), "video"),
    "quicktime": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  " + bytes(50), "video"),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(50), "video"),
    "header of a jpeg alone": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "truncated"),
    "header of a heic alone": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "truncated"),
}
STATUSES = {"empty": 400, "truncated": 422}  # all others: 415, unsupported media type


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_a_photo_is_refused_in_a_sentence(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    disguised = tmp_path / "photo.jpg"
    disguised.write_bytes(content)
    for source in (content, io.BytesIO(content), disguised):
        error = refusal(source)
        assert (error.reason, error.status) == (reason, STATUSES.get(reason, 415))
        assert str(error).endswith(".")
        assert ": " in str(error), "says what is wrong: and what to do"


def test_a_page_made_to_confuse_the_search_for_its_kind_is_refused_at_once() -> None:
    for hostile in (b"<!--" + b"--><!--" * 5000, b"<" * 20000, b" " * 20000, b"%PDF" * 5000):
        assert refusal(hostile).reason == "not_an_image"


@given(
    begin=st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 ", b"II*\0",
         b"MM\0*", b"BM", b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypmif1", b"\0\0\0\x18ftypavif", b"<"]
    ),
    rest=st.binary(max_size=400),
)  # fmt: skip
@hypothesis_settings(max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_arbitrary_bytes_are_refused_and_do_nothing_else(begin: bytes, rest: bytes) -> None:
    result = outcome(begin + rest)
    assert isinstance(result, PhotoError) or result.mode == "RGB"


def whole_files() -> dict[str, bytes]:
    picture = scene(90, 60).filter(ImageFilter.SHARPEN)
    return {
        "jpeg": encode(picture, "JPEG", quality=90),
        "progressive jpeg": encode(picture, "JPEG", progressive=True),
        "jpeg with a thumbnail": encode(picture, "JPEG", comment=encode(compass(16, 16), "JPEG")),
        "png": encode(picture),
        "palette png": encode(picture.quantize()),
        "webp": encode(picture, "WEBP"),
        "lossless webp": encode(picture, "WEBP", lossless=True),
        "avif": encode(picture, "AVIF"),
        "heic": encode(picture, "HEIF"),
        "gif": encode(picture.quantize(), "GIF"),
        "tiff": encode(picture, "TIFF", compression="tiff_lzw"),
        "bmp": encode(picture, "BMP"),
    }


WHOLE = whole_files()


@pytest.mark.parametrize("kind", WHOLE)
@given(st.data())
@hypothesis_settings(max_examples=40)
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_anywhere_is_refused_or_still_whole(kind: str, data: st.DataObject) -> None:
    whole = WHOLE[kind]
    near_the_end = st.integers(len(whole) - 30, len(whole) - 1)
    cut = data.draw(st.integers(0, len(whole) - 1) | near_the_end, label="bytes kept")
    result = outcome(whole[:cut])
    if isinstance(result, PhotoError):
        assert result.reason in {"empty", "not_an_image", "truncated"}
    else:
        assert result.tobytes() == open_photo(whole, limits=LIMITS).tobytes()


@pytest.mark.parametrize("kind", WHOLE)
@given(st.data())
@hypothesis_settings(max_examples=40)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_gives_a_picture_or_a_refusal(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[kind])
    places = st.integers(0, len(damaged) - 1) | st.integers(0, 64)
    for place in data.draw(st.lists(places, min_size=1, max_size=5), label="places"):
        damaged[place] = data.draw(st.integers(0, 255), label="value")
    result = outcome(bytes(damaged))
    assert isinstance(result, PhotoError) or result.mode == "RGB"


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "jpeg with a thumbnail"])
@pytest.mark.parametrize("side", [None, 10])
def test_a_jpeg_cut_and_filled_up_with_zeros_is_not_silently_grey(
    kind: str, side: int | None
) -> None:
    whole = WHOLE[kind]
    filled = whole[: 2 * len(whole) // 3] + bytes(len(whole))
    assert refusal(filled, side=side).reason == "truncated"


def test_what_phones_append_to_a_jpeg_does_no_harm() -> None:
    for trailer in (b"\0" * 5000, b"SEFT", b"\0\0\0\x18ftypmp42" + bytes(999)):
        assert open_photo(WHOLE["jpeg"] + trailer, limits=LIMITS).size == (90, 60)


# ------------------------------------------------------------------------------------------ limits


class Counted(io.BytesIO):
    """A file that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.taken += len(content)
        return content


def test_no_more_than_the_limit_is_read() -> None:
    file = Counted(bytes(100_000))
    error = refusal(file, limits=Settings(max_bytes=1000))
    assert (error.reason, error.status) == ("too_large", 413)
    assert file.taken <= 1001


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: takes no space on the disk
    assert refusal(path).reason == "too_large"
    assert "20 MB" in str(refusal(path, limits=Settings(max_bytes=20 * 2**20)))


def test_a_photo_of_exactly_the_largest_size_is_taken() -> None:
    data = WHOLE["png"]
    assert open_photo(data, limits=Settings(max_bytes=len(data), max_pixels=90 * 60))
    assert refusal(data, limits=Settings(max_bytes=len(data) - 1)).reason == "too_large"
    assert refusal(data, limits=Settings(max_pixels=90 * 60 - 1)).reason == "too_many_pixels"
    assert refusal(compass(90, 60), limits=Settings(max_pixels=90 * 60 - 1)).status == 413


@pytest.mark.parametrize("size", [(30_000, 30_000), (11_000, 11_000)])
def test_a_decompression_bomb_is_refused_for_what_its_header_says(size: tuple[int, int]) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"never looked at")
    assert refusal(bomb).reason == "too_many_pixels"


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "AVIF", "PNG"])
def test_more_frames_than_allowed_are_refused(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), (40 * i, 0, 0)) for i in range(5)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert open_photo(data, limits=Settings(max_frames=5)).size == (16, 16)
    error = refusal(data, limits=Settings(max_frames=4))
    assert (error.reason, error.status) == ("too_many_frames", 413)


# ----------------------------------------------------------------------------- where it comes from


def every_source(path: Path) -> dict[str, Callable[[], object]]:
    def read_halfway() -> object:
        file = io.BytesIO(path.read_bytes())
        file.read(100)
        return file

    return {
        "path": lambda: path,
        "name": lambda: str(path),
        "bytes": path.read_bytes,
        "bytearray": lambda: bytearray(path.read_bytes()),
        "memoryview": lambda: memoryview(path.read_bytes()),
        "file": lambda: path.open("rb"),
        "unbuffered file": lambda: path.open("rb", buffering=0),
        "file read halfway": read_halfway,
        "PIL image": lambda: Image.open(path),
    }


@pytest.mark.parametrize("name", every_source(Path()))
def test_every_source_gives_the_same_picture(name: str, tmp_path: Path) -> None:
    path = tmp_path / "Gaṇeśa 1.png"
    path.write_bytes(WHOLE["png"])
    image = open_photo(every_source(path)[name](), limits=LIMITS)
    assert image.tobytes() == open_photo(WHOLE["png"], limits=LIMITS).tobytes()


def test_a_pipe_that_gives_a_little_at_a_time_is_read_to_its_end() -> None:
    source, sink = os.pipe()

    def write() -> None:
        with os.fdopen(sink, "wb") as writer:
            writer.write(WHOLE["tiff"] + bytes(200_000))  # more than a pipe holds

    with ThreadPoolExecutor(1) as pool, os.fdopen(source, "rb", buffering=0) as reader:
        pool.submit(write)
        assert open_photo(reader, limits=LIMITS).size == (90, 60)


def test_a_path_that_leads_to_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert refusal(tmp_path / "nothing.jpg").reason == "missing"
    assert "nothing.jpg" in str(refusal(tmp_path / "nothing.jpg"))
    assert refusal(tmp_path).reason == "not_a_file"
    assert refusal(pipe).reason == "not_a_file"
    assert refusal("x" * 5000).reason == "unreadable"
    assert refusal("nul\0.jpg").reason == "missing"
    assert refusal("").reason == "no_name"
    for address in ("https://example.org/a.jpg", "HTTP://x/a.jpg", Path("s3://bucket/a.jpg")):
        assert refusal(address).reason == "address"
    assert refusal("c:/photos/a.jpg").reason == "missing"


def test_a_pil_image_without_pixels_is_refused() -> None:
    assert refusal(Image.new("RGB", (0, 5))).reason == "empty"


def test_a_file_whose_path_looks_like_an_address_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("https:/x").mkdir(parents=True)
    Path("https:/x/a.png").write_bytes(WHOLE["png"])
    assert open_photo("https:/x/a.png", limits=LIMITS).size == (90, 60)


@pytest.mark.parametrize(
    "source",
    [None, 42, np.zeros((9, 9, 3), np.uint8), io.StringIO("text")],
    ids=["None", "number", "array", "text file"],
)
def test_a_mistake_of_the_programmer_is_not_blamed_on_the_photo(source: object) -> None:
    with pytest.raises(TypeError, match="a path, bytes, a binary file or a PIL image, not "):
        open_photo(source, limits=LIMITS)


def test_a_photo_opened_as_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(WHOLE["png"])
    with (
        (tmp_path / "a.png").open(encoding="utf-8") as file,
        pytest.raises(TypeError, match="not TextIOWrapper"),
    ):
        open_photo(file, limits=LIMITS)


def test_a_refusal_survives_the_way_between_processes() -> None:
    error = refusal(b"", limits=LIMITS)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason, again.status) == (str(error), error.reason, error.status)


# -------------------------------------------------------------------------- manners in the process


def test_the_decoder_of_heic_is_loaded_by_the_first_photo_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(WHOLE["jpeg"])
    (tmp_path / "a.heic").write_bytes(WHOLE["heic"])
    program = """
import sys
from ideitify.photo import open_photo
open_photo(sys.argv[1])
assert "pillow_heif" not in sys.modules
assert open_photo(sys.argv[2]).size == (90, 60)
"""
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.jpg", tmp_path / "a.heic"],
        check=True,
        timeout=60,
    )


def test_threads_do_not_disturb_each_other_nor_pillow() -> None:
    globals_before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    alone = {kind: open_photo(data, limits=LIMITS).tobytes() for kind, data in WHOLE.items()}
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(
            lambda kind: (kind, open_photo(WHOLE[kind], limits=LIMITS).tobytes()), list(WHOLE) * 8
        )
        assert all(pixels == alone[kind] for kind, pixels in together)
    assert globals_before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
