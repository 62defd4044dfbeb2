"""Pictures that have arrived are looked at, and those that can be used are in their files then."""

from __future__ import annotations

import errno
import os
import resource
import sys
from pathlib import Path

import pytest
from PIL import Image

from ideitify.engine import processes
from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import PhotoError, open_photo
from ideitify.settings import Settings
from scraper.look import Look, look_at
from tests.scraper.museum import picture

LIMITS = Settings(max_bytes=10**6)


def test_a_picture_that_was_held_in_memory_is_in_its_file_then(tmp_path: Path) -> None:
    path = tmp_path / "a.partial"
    (look,) = look_at([(path, picture(3))], LIMITS)
    assert look == Look(perceptual_hash(open_photo(picture(3))), 256, 256)
    assert path.read_bytes() == picture(3)


def test_a_picture_that_is_in_its_file_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "a.partial"
    path.write_bytes(picture(3))
    assert look_at([(path, None)], LIMITS) == look_at([(tmp_path / "b", picture(3))], LIMITS)
    assert path.read_bytes() == picture(3)


def test_what_cannot_be_used_has_no_file_and_its_reason_and_stops_no_other(tmp_path: Path) -> None:
    half, whole = picture(3)[: len(picture(3)) // 2], picture(4)
    paths = [tmp_path / name for name in "abc"]
    paths[1].write_bytes(half)
    pictures = [(paths[0], half), (paths[1], None), (paths[2], whole)]
    first, second, third = look_at(pictures, LIMITS)
    for error in (first, second):
        assert isinstance(error, PhotoError)
        assert error.reason == "truncated"
    assert isinstance(third, Look)
    assert list(tmp_path.iterdir()) == [paths[2]]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set")
def test_a_disk_that_is_full_is_told_across_processes(tmp_path: Path) -> None:
    """Files cannot grow beyond a limit, which the system reports as it reports a full disk."""
    half = len(picture(3)) // 2
    with processes(1) as lookers:
        resource.prlimit(lookers.submit(os.getpid).result(), resource.RLIMIT_FSIZE, (half, half))
        looks = lookers.submit(look_at, [(tmp_path / "a.partial", picture(3))], LIMITS)
        with pytest.raises(OSError) as raised:  # noqa: PT011 the number tells
            looks.result()
    assert raised.value.errno == errno.EFBIG


def test_a_picture_that_lies_on_its_side_is_measured_as_it_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "side.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    (look,) = look_at([(path, None)], LIMITS)
    assert isinstance(look, Look)
    assert (look.width, look.height) == (30, 40)
