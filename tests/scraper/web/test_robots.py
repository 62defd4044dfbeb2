"""Opt-outs in the headers of an answer; `test_web.py` shows that they and robots.txt are obeyed."""

from __future__ import annotations

import httpx
import pytest

from scraper.web.robots import opt_out


def tagged(*values: str) -> httpx.Headers:
    return httpx.Headers([("X-Robots-Tag", value) for value in values])


@pytest.mark.parametrize(
    "values",
    [
        ["noai"], ["noimageai"], ["noai, noimageai"], ["NoAI"], ["noindex, noai"],
        ["noindex", "noimageai"], ["*: noai"], ["ideitify: noai"], ["Ideitify: noindex, noai"],
        ["googlebot: noindex", "noai"], ["max-snippet: 50, noai"],
        ["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"],
        ["unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai"],
        ["unavailable_after: Wednesday, 25-Jun-31 15:00:00 GMT, noai"],
        ["otherbot: noindex, ideitify: noimageai"],
    ],
)  # fmt: skip
def test_an_opt_out_from_training(values: list[str]) -> None:
    assert opt_out(tagged(*values)).startswith("X-Robots-Tag: no")


@pytest.mark.parametrize(
    "values",
    [
        [], [""], ["all"], ["noindex, nofollow"], ["otherbot: noai"], ["otherbot: noindex, noai"],
        ["ideitify: noindex, otherbot: noai"], ["nopainai"], [":", ",,"],
        ["otherbot: unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT, noai"],
        ["unavailable_after: Wed, 25 Jun 2031 15:00:00 GMT"],
    ],
)  # fmt: skip
def test_what_says_nothing_about_training_or_not_to_us(values: list[str]) -> None:
    assert opt_out(tagged(*values)) == ""


@pytest.mark.parametrize(("value", "is_reserved"), [("1", True), (" 1 ", True), ("0", False)])
def test_a_reservation_of_text_and_data_mining(value: str, is_reserved: bool) -> None:
    assert bool(opt_out(httpx.Headers({"tdm-reservation": value}))) == is_reserved
