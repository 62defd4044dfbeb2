"""Which button loads more; `tests/scraper/sources/` drives a browser through whole pages."""

from __future__ import annotations

from typing import Any, cast

from scraper.browser.driver import Button
from scraper.browser.results_page import more_button


def button(label: str, **more: Any) -> Button:
    facts = {"id": "", "form": {}, "asking": False, "below": False} | more
    return Button(element=cast(Any, None), label=label, **facts)


def test_the_button_for_more_results_says_so_or_stands_below_them():
    menu, footer = button("More"), button("Send feedback")
    says_so, below = button("See more images"), button("Weiter", below=True)
    assert more_button([menu, footer, says_so, below]) is says_so
    assert more_button([menu, footer, below]) is below
    assert more_button([menu, footer, button("OK", below=True, asking=True)]) is None
