"""ATTRIBUTION.md: everyone is credited, and nobody's title is markup."""

from pathlib import Path

import pytest

from data_prep.publish.credits import attribution_file, link, linked, plain
from data_prep.publish.selection import select
from tests.data_prep.publish.dataset import MIXED, write_dataset


def test_every_picture_is_listed_under_its_licence(tmp_path: Path) -> None:
    selection = select(write_dataset(tmp_path, *MIXED), "open")
    sections = attribution_file(selection).split("\n## ")[1:]
    assert [section.partition("]")[0] for section in sections] == [
        "[CC-BY-4.0", "[CC-BY-SA-4.0", "[CC0-1.0",
    ]  # fmt: skip
    for picture in selection.pictures:
        (section,) = [text for text in sections if f"`{picture.name}`" in text]
        assert picture.license.url in section
        assert picture.row["title"] in section
        assert picture.row["creator"] in section
        assert f"<{picture.row['uri']}>" in section


def test_a_source_s_own_credit_is_followed_by_a_link_to_the_page(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {"attribution": "Photo: A. Maker"})
    text = attribution_file(select(table, "open"))
    assert "Photo: A. Maker ([source](https://museum.example/0))" in text


def test_markup_in_titles_is_shown_not_followed() -> None:
    assert plain("*a* [b](c)\n# <script>") == r"\*a\* \[b\](c) \# \<script\>"


def test_only_web_addresses_become_links() -> None:
    assert link("page", "https://a.example/b c(1)") == "[page](https://a.example/b%20c%281%29)"
    assert link("page", "javascript:alert(1)") == "page"


@pytest.mark.parametrize("url", ["https://a.example/x_y_z", "https://a.example/Shiva_(god).jpg"])
def test_addresses_in_a_credit_stay_whole(url: str) -> None:
    assert linked(f"by A_B ({url}), CC0") == rf"by A\_B (<{url}>), CC0"
