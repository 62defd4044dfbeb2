"""How an engine's pages are read; `tests/scraper/sources/` drives a browser through them."""

from __future__ import annotations

from typing import cast

import pytest

from scraper.browser.driver import View
from scraper.browser.image_search import ImageSearch
from scraper.settings import ScraperSettings
from scraper.sources import make_source
from tests.scraper.search_pages import LICENSE_URL
from tests.scraper.sources.search import NoWeb

SOURCES = ["google", "bing", "duckduckgo"]


def source(name: str) -> ImageSearch:
    return cast(ImageSearch, make_source(name, NoWeb(), ScraperSettings()))


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_is_off_by_default_and_says_why(name: str):
    assert not source(name).by_default
    assert "terms and robots.txt" in source(name).note
    assert "licence is unknown" in source(name).note


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("google", "https://encrypted-tbn0.gstatic.com/images?q=tbn:ANd9GcQ&s"),
        ("google", "https://www.google.com/logo.png"),
        ("bing", "https://tse1.mm.bing.net/th?id=OIP.4IAep&pid=Api"),
        ("bing", "https://th.bing.com/th/id/R.4d96?rik=i&pid=ImgRaw"),
        ("bing", "https://r.bing.com/rp/logo.svg"),
        ("duckduckgo", "https://external-content.duckduckgo.com/iu/?u=https%3A%2F%2Ftse1.mm.bing.net%2Fth%3Fid%3DO"),
        ("duckduckgo", "https://duckduckgo.com/assets/logo.svg"),
        ("bing", "data:image/jpeg;base64,AAAA"),
        ("bing", "javascript:alert(1)"),
        ("bing", "file:///etc/passwd"),
        ("bing", "http://[broken"),
        ("bing", ""),
    ],
)  # fmt: skip
def test_thumbnails_and_what_is_no_address_are_not_full_size(name: str, address: str):
    assert source(name).full_size(address) is None


def test_a_picture_behind_the_engines_proxy_is_taken_from_where_it_is():
    proxied = (
        "https://external-content.duckduckgo.com/iu/?u=https%3A%2F%2Fa.example%2Fb.jpg%3Fc%3D1&f=1"
    )
    assert source("duckduckgo").full_size(proxied) == "https://a.example/b.jpg?c=1"


def test_a_viewer_tells_page_creator_and_licence_but_not_by_the_engines_own_links():
    links = [
        ("https://support.google.com/legal", "Learn more"),
        ("https://museum.example/ganesha", "Visit"),
        ("https://shop.example/", "Get this image on: Shop"),
        (LICENSE_URL, "License details"),
    ]
    text = "Images may be subject to copyright.\nCreator: A. Painter\nCredit: The museum"
    view = View("https://museum.example/ganesha.jpg", "Ganesha", 1200, 900, text, links)
    hit = source("google").hit_in_view(view, "https://www.google.com/search?q=ganesha")
    assert (hit.page, hit.rights_url) == ("https://museum.example/ganesha", LICENSE_URL)
    assert (hit.creator, hit.title, hit.width) == ("A. Painter", "Ganesha", 1200)


def test_a_viewer_without_a_licence_leaves_it_unknown():
    view = View(
        "https://museum.example/ganesha.jpg", "", 9, 9, "", [("https://a.example", "Visit")]
    )
    assert source("google").hit_in_view(view, "https://www.google.com/search").rights_url == ""
