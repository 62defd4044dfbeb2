"""Pictures whose addresses you have: a CSV file with a column `url`, and optional others.

Request: none, `--source urls=pictures.csv` reads the file. Columns that it may have: `category` (a
slug; rows of other classes are left out, without it all rows are of the class asked for), `page` or
`uri`, `title`, `creator`, `license` (in any words), `license_url`, `skos_concept`, `width`,
`height`, `status` (rows that are `rejected` are left out). Rows without an address are left out.
The `metadata.csv` of a dataset folder is such a file, so that a dataset can be fetched anew.
Licence: the column `license`; unknown where there is none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from scraper.answers import link, plain_text, whole_number
from scraper.gather import first_different
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web


class Urls:
    """Pictures that a CSV file lists."""

    name = "urls"
    argument = "FILE.csv"
    needs = "a CSV file with a column url: --source urls=FILE.csv"
    note = "Whoever lists the pictures answers for their rights; the column license states them."
    by_default = False

    def __init__(self, web: Web, settings: ScraperSettings, file: str) -> None:
        self.name = f"urls={file}"
        self.file = Path(file)

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(self._found(concept), limit)

    def _found(self, concept: Concept) -> Iterator[Found]:
        for line, row in self._rows():
            if (row.get("category") or concept.slug) != concept.slug:
                continue
            if not row["url"].strip() or row.get("status") == "rejected":
                continue  # a picture of one's own, for example, or one that shows something else
            url = link(row["url"])
            if not url:
                where = f"{self.file} line {line}"
                raise SourceError(f"{where}: {row['url']!r} is no address; it begins with https://")
            yield _as_found(url, row, self.file.name)

    def _rows(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Rows, each with the line of the file on which it ends."""
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, restval="")
                if "url" not in (reader.fieldnames or ()):
                    raise SourceError(f"{self.file} has no column url: name it in the first line")
                for row in reader:
                    yield reader.line_num, row
        except OSError as error:
            raise SourceError(f"{self.file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SourceError(f"{self.file} is not UTF-8; save it as UTF-8 CSV") from error
        except csv.Error as error:
            raise SourceError(f"{self.file} is not CSV: {error}") from error


def _as_found(url: str, row: Mapping[str, str], file: str) -> Found:
    def said(column: str) -> str:
        return plain_text(row.get(column))

    return Found(
        source=Urls.name,
        id=url,
        url=url,
        page=link(row.get("page")) or link(row.get("uri")),
        title=said("title"),
        creator=said("creator"),
        rights=said("license"),
        rights_url=link(row.get("license_url")),
        query=file,
        skos_concept=link(row.get("skos_concept")),
        width=whole_number(row.get("width")),
        height=whole_number(row.get("height")),
    )


SOURCE = Urls
