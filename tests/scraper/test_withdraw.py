"""A withdrawn picture is gone from the folder and stays away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image
from typer.testing import CliRunner

from ideitify.dataset import read_rows
from scraper.__main__ import app
from scraper.export import export
from scraper.ledger.database import LedgerError
from scraper.withdraw import withdraw
from tests.scraper.collecting import (
    EVERYTHING,
    add,
    asked,
    assert_consistent,
    collection,
    fetch,
    files_in,
)
from tests.scraper.museum import Museum


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of a folder's files; gives its address."""
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_its_file_and_its_row_go_and_nothing_else(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:3]) as ledger:
        fetch(ledger, tmp_path)
        export(ledger, tmp_path)
        (name,) = withdraw(ledger, tmp_path, museum.url("picture/1.jpg"))
        assert name not in files_in(tmp_path)
    assert name not in {row["file_name"] for row in read_rows(tmp_path)}
    assert len(read_rows(tmp_path)) == len(files_in(tmp_path)) == 2
    assert_consistent(tmp_path)


def test_the_small_picture_that_data_prep_made_of_it_goes_too(
    museum: Museum, tmp_path: Path
) -> None:
    data, copies = tmp_path / "data", tmp_path / "copies"
    with collection(data, museum.urls()[:2]) as ledger:
        fetch(ledger, data)
        export(ledger, data, copies)
        for folder in (data, copies):
            for stored in ledger.stored():
                small = folder / ".data_prep" / "thumbnails" / f"{stored.sha256}.webp"
                small.parent.mkdir(parents=True, exist_ok=True)
                small.write_bytes(b"small")
        withdraw(ledger, data, museum.url("picture/1.jpg"))
        export(ledger, data, copies)
        (other,) = ledger.stored()
    names = {other.file_name, f".data_prep/thumbnails/{other.sha256}.webp"}
    assert files_in(data) == files_in(copies) == names


def test_pages_and_archives_that_may_still_show_it_are_told(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
    made = [tmp_path / "report.html", tmp_path / ".data_prep" / "publish"]
    made[0].write_text("<img>")
    made[1].mkdir(parents=True)
    words = ["withdraw", museum.url("picture/0.jpg"), "--out", str(tmp_path)]
    told = CliRunner().invoke(app, words).stdout
    assert [path for path in made if f"{path} may still show them" in told] == made
    assert "explore.html" not in told


def test_it_is_never_fetched_again_nor_stored_from_elsewhere(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        add(ledger, [museum.url(f"{way}/0.jpg") for way in ("picture", "copy", "png")])
        assert fetch(ledger, tmp_path, replace(EVERYTHING, again=True)) == {"withdrawn": 2}
        assert asked(museum) == {"/picture/0.jpg": 1, "/copy/0.jpg": 1, "/png/0.jpg": 1}
        assert ledger.stored() == []
    assert_consistent(tmp_path)


def test_it_is_not_stored_again_resized_and_re_encoded(museum: Museum, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with collection(folder, museum.urls()) as ledger, serving(tmp_path / "web") as web:
        fetch(ledger, folder)
        for number, stored in enumerate(ledger.stored()):
            with Image.open(folder / stored.file_name) as image:
                smaller = image.resize((image.width * 4 // 5, image.height * 4 // 5))
                smaller.save(tmp_path / "web" / f"{number}.jpg", quality=60)
            withdraw(ledger, folder, stored.url)
        add(ledger, [f"{web}/{number}.jpg" for number in range(museum.pictures)])
        assert fetch(ledger, folder) == {"withdrawn": museum.pictures}
        assert files_in(folder) == set()


def test_a_page_takes_all_its_pictures_with_it(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:2]) as ledger:
        fetch(ledger, tmp_path)
        assert len(withdraw(ledger, tmp_path, f"{museum.url('picture/1.jpg')}?page")) == 1
    assert len(files_in(tmp_path)) == 1


def test_it_can_be_repeated(museum: Museum, tmp_path: Path) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        names = withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        assert withdraw(ledger, tmp_path, museum.url("picture/0.jpg")) == names


def test_a_file_that_came_back_is_removed_by_the_next_run(museum: Museum, tmp_path: Path) -> None:
    """As if it was on its way to its place while it was withdrawn."""
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
        (name,) = withdraw(ledger, tmp_path, museum.url("picture/0.jpg"))
        (tmp_path / name).write_bytes(b"late")
        fetch(ledger, tmp_path)
    assert_consistent(tmp_path)


def test_an_unknown_id_is_an_error_that_helps(tmp_path: Path) -> None:
    with collection(tmp_path) as ledger, pytest.raises(LedgerError, match="give its address"):
        withdraw(ledger, tmp_path, "met:1")


def test_an_address_that_nothing_is_known_by_is_told_with_those_like_it(
    museum: Museum, tmp_path: Path
) -> None:
    with collection(tmp_path, museum.urls()[:1]) as ledger:
        fetch(ledger, tmp_path)
    known = museum.url("picture/0.jpg")
    for which in (museum.url("pictures/0.jpg"), museum.url("pictures/0.jpg")):
        done = CliRunner().invoke(app, ["withdraw", which, "--out", str(tmp_path)])
        assert done.exit_code == 1
        assert f"{which}: nothing here is known by this address" in done.stdout
        assert f"{which}: did you mean {known}?" in done.stderr
    done = CliRunner().invoke(app, ["withdraw", f"{known}?utm_source=x", "--out", str(tmp_path)])
    assert (done.exit_code, files_in(tmp_path)) == (0, set())
