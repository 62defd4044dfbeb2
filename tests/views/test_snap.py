from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from streamlit.testing.v1 import AppTest

from tests.tiny import BLUE, GREY, RED, VIOLET, png, write_bundle
from tests.views.conftest import text_of


def upload(app: AppTest, photo: bytes) -> AppTest:
    app.run().segmented_control("way").set_value("Photo").run()
    return app.file_uploader[0].set_value(("photo.png", photo, "image/png")).run()


def links(app: AppTest) -> list[str]:
    return [link.value for link in app.get("page_link")]


def test_it_begins_with_the_camera_and_says_that_nothing_is_stored(app: AppTest) -> None:
    app.run()
    assert app.title[0].value == "Who is this?"
    assert app.camera_input[0].label == "Take a photo"
    assert "nothing is stored" in text_of(app)
    assert not app.exception


def test_a_photo_is_named_explained_and_compared(app: AppTest) -> None:
    upload(app, png(RED))
    said = text_of(app)
    assert app.title[0].value == "This looks like **Ganesha**"
    assert "Very sure: over 99 %" in said
    assert '<span class="heard">This looks like Ganesha.</span>' in said  # in the announcement
    headings = [heading.value for heading in app.subheader]
    assert headings[0] == "What to look for"
    assert headings[1].startswith("Or is it")
    assert {"History and meaning", "Festivals", "Sacred places", "With care", "Sources"} < {
        *headings
    }
    assert "elephant head" in said
    assert "Ganesh Chaturthi" in said
    assert {"Ganesha", "Krishna", "Shiva", "More about Ganesha"} <= {*links(app)}
    assert not app.exception


@pytest.mark.parametrize(
    ("thresholds", "headline", "heading"),
    [
        ({"deity": 0.6}, "This looks like **Ganesha**", "What to look for"),
        ({"deity": 1.0}, "Perhaps **Ganesha**", "Check the picture"),
    ],
    ids=["sure", "unsure"],
)
def test_a_model_of_one_deity_names_no_other(
    app: AppTest,
    restart: Callable[..., None],
    tmp_path: Path,
    thresholds: dict[str, float],
    headline: str,
    heading: str,
) -> None:
    thresholds = {"none": 0.5, "operating_point": "worked out by hand"} | thresholds
    restart(bundle=write_bundle(tmp_path / "one", ["ganesha", "none"], thresholds=thresholds))
    upload(app, png(RED))
    assert not app.exception
    assert app.title[0].value == headline
    headings = [heading.value for heading in app.subheader]
    assert headings[0] == heading
    assert not [heading for heading in headings if heading.startswith("Or is it")]


def test_the_camera_does_the_same(app: AppTest) -> None:
    app.run().camera_input[0].set_value(("photo.jpg", png(BLUE), "image/jpeg")).run()
    assert app.title[0].value == "This looks like **Krishna**"


def test_doubt_is_shown_side_by_side(app: AppTest) -> None:
    upload(app, png(VIOLET))
    assert app.title[0].value in {
        "Could be **Ganesha** or **Krishna**", "Could be **Krishna** or **Ganesha**",
    }  # fmt: skip
    assert app.subheader[0].value == "Check the picture"
    assert "flute" in text_of(app)
    assert "elephant head" in text_of(app)


def test_nobody_is_said_kindly_with_advice(app: AppTest) -> None:
    upload(app, png(GREY))
    assert app.title[0].value == "I see no deity that I know here"
    assert "Go closer" in text_of(app)
    assert "I know 3 deities" in text_of(app)
    assert {"Ganesha", "Krishna", "Shiva"} < {link.label for link in app.get("page_link")}


def test_no_name_that_is_ruled_out_is_put_beside_a_photo_of_nobody(
    app: AppTest, restart: Callable[..., None], tmp_path: Path
) -> None:
    restart(bundle=write_bundle(tmp_path / "sure", temperature=0.3))
    upload(app, png(GREY))
    assert "Very sure: over 99 %" in text_of(app)
    assert [link.label for link in app.get("page_link")] == [
        "Snap", "Explore", "About", "All entries",
    ]  # fmt: skip
    assert "<p>No deity that I know</p>" in text_of(app)


def test_the_heat_map_follows_the_chosen_candidate(app: AppTest) -> None:
    upload(app, png(RED, BLUE))
    assert _alt(app) == "Your photo"
    app.toggle("heat").set_value(True).run()
    first = app.pills("heat-for").value
    assert "speaks for" in _alt(app)
    other = {"ganesha": "krishna", "krishna": "ganesha"}[first]
    app.pills("heat-for").set_value(other).run()
    assert other.title() in _alt(app)


def _alt(app: AppTest) -> str:
    return app.image[0].proto.imgs[0].alt


def test_a_new_photo_forgets_the_last(app: AppTest) -> None:
    upload(app, png(RED))
    app.button[0].click().run()
    assert app.title[0].value == "Who is this?"
    assert "snap" not in app.session_state


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"just words", "The file is not an image"),
        (b"%PDF-1.7 ...", "PDF"),
        (png(RED)[:60], "incomplete or damaged"),
    ],
)
def test_a_bad_file_is_refused_with_its_sentence(
    app: AppTest, content: bytes, sentence: str
) -> None:
    upload(app, content)
    assert sentence in app.error[0].value
    assert app.file_uploader[0].label


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine that has one picture, a red one; its address."""
    (tmp_path / "red.png").write_bytes(png(RED))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_link_is_fetched_and_recognised(
    app: AppTest, restart: Callable[..., None], site: str
) -> None:
    restart(allow_private=True)
    app.run().segmented_control("way").set_value("Link").run()
    app.text_input[0].set_value(f" {site}/red.png ").run()
    assert app.title[0].value == "This looks like **Ganesha**"


def test_a_link_into_the_servers_own_network_is_refused(app: AppTest, site: str) -> None:
    app.run().segmented_control("way").set_value("Link").run()
    app.text_input[0].set_value(f"{site}/red.png").run()
    assert r"127\.0\.0\.1 is not on the public internet" in app.error[0].value


def test_a_link_that_cannot_be_fetched_says_why(app: AppTest) -> None:
    app.run().segmented_control("way").set_value("Link").run()
    app.text_input[0].set_value("https://*example*.invalid/a.png").run()
    assert r"\*example\*\.invalid cannot be reached" in app.error[0].value


def test_without_a_model_it_says_what_to_do(
    app: AppTest, restart: Callable[..., None], tmp_path: Path
) -> None:
    restart(bundle=tmp_path)
    upload(app, png(RED))
    assert r"it has no bundle\.json" in app.error[0].value
    assert "IDEITIFY_BUNDLE" in app.error[0].value
