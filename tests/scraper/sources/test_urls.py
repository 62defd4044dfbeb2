"""What `urls` reads from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ideitify.dataset import METADATA_NAME, write_rows
from ideitify.licenses import normalize
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web
from scraper.sources.urls import Urls


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pictures.csv"


def find(
    file: Path, web: Web, settings: ScraperSettings, concept: Concept, limit: int = 100
) -> list[Found]:
    return list(Urls(web, settings, str(file)).search(concept, limit))


def test_addresses_alone_are_enough(
    file: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    file.write_text("url\nhttps://example.org/1.jpg\nhttps://example.org/2.jpg\n", encoding="utf-8")
    first, second = find(file, web, settings, oshun)
    assert first == Found(
        source="urls",
        id="https://example.org/1.jpg",
        url="https://example.org/1.jpg",
        query="pictures.csv",
    )
    assert second.id == "https://example.org/2.jpg"
    assert normalize(first.rights, first.rights_url).id == "unknown"


def test_optional_columns_credit_the_picture_and_name_its_class(
    file: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    file.write_text(
        "\ufeffurl,category,title,creator,license,license_url,page,width,height\n"
        "https://example.org/1.jpg,zeus,,,,,,,\n"
        'https://example.org/Ọ̀ṣun 2.jpg,oshun,"Oshun, seated",<b>Ade</b>,CC BY 4.0,'
        "https://creativecommons.org/licenses/by/4.0/,https://example.org/2,800,600\n"
        "https://example.org/3.jpg,,,,,,,,\n",
        encoding="utf-8",
    )
    second, third = find(file, web, settings, oshun)
    assert second.url == "https://example.org/Ọ̀ṣun 2.jpg"
    assert (second.title, second.creator, second.page) == (
        "Oshun, seated",
        "Ade",
        "https://example.org/2",
    )
    assert (second.width, second.height) == (800, 600)
    assert normalize(second.rights, second.rights_url).id == "CC-BY-4.0"
    assert third.url == "https://example.org/3.jpg"


def test_the_table_of_a_dataset_folder_is_such_a_file(
    tmp_path: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    row = {
        "file_name": "images/oshun/0123456789abcdef.jpg",
        "category": "oshun",
        "url": "https://example.org/1.jpg",
        "id": "1",
        "source": "commons",
        "license": "CC-BY-SA-3.0-DE",
    }
    other = row | {"url": "https://example.org/2.jpg", "source": "met", "file_name": "images/b.jpg"}
    write_rows(tmp_path, [row, other])
    found = find(tmp_path / METADATA_NAME, web, settings, oshun)
    assert len(found) == 2, "the same id at two sources is two pictures"
    assert normalize(found[0].rights).id == "CC-BY-SA-3.0-DE"


def test_the_table_of_a_dataset_folder_keeps_page_and_concept(
    tmp_path: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    row = {
        "file_name": "images/oshun/0123456789abcdef.jpg",
        "category": "oshun",
        "uri": "https://museum.example/object/1",
        "url": "https://example.org/1.jpg",
        "skos_concept": "http://www.wikidata.org/entity/Q1",
    }
    write_rows(tmp_path, [row])
    (picture,) = find(tmp_path / METADATA_NAME, web, settings, oshun)
    assert picture.page == "https://museum.example/object/1"
    assert picture.skos_concept == "http://www.wikidata.org/entity/Q1"


def test_rows_without_an_address_and_rejected_ones_are_left_out_and_the_others_found(
    file: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    file.write_text(
        "url,status\n"
        "https://example.org/1.jpg,kept\n"
        ",kept\n"
        " ,review\n"
        "https://example.org/2.jpg,rejected\n"
        "https://example.org/3.jpg,review\n",
        encoding="utf-8",
    )
    found = find(file, web, settings, oshun)
    assert [picture.url[-5:] for picture in found] == ["1.jpg", "3.jpg"]


def test_the_limit_and_an_address_listed_twice(
    file: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    file.write_text(
        "url\n" + "https://example.org/1.jpg\n" * 3 + "https://example.org/2.jpg\n" + "nonsense\n",
        encoding="utf-8",
    )
    assert len(find(file, web, settings, oshun, limit=2)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column url"),
        (b"address\nhttps://example.org/1.jpg\n", "has no column url"),
        (b"url\nhttps://example.org/1.jpg\nC:\\pictures\\2.jpg\n", "line 3: .* is no address"),
        (b"url\njavascript:alert(1)\n", "line 2: .* is no address"),
        (b"url\nhttps://example.org/\xff.jpg\n", "is not UTF-8"),
        (b"url\n" + b"x" * 200_000, "is not CSV"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(
    file: Path,
    web: Web,
    settings: ScraperSettings,
    oshun: Concept,
    content: bytes,
    message: str,
) -> None:
    file.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        find(file, web, settings, oshun)


def test_a_file_that_is_not_there(
    file: Path, web: Web, settings: ScraperSettings, oshun: Concept
) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        find(file, web, settings, oshun)
