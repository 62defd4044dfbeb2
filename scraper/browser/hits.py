"""What a page tells of one picture, from JSON, links or labels, whatever it calls the parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import SplitResult, urlsplit

from scraper.answers import whole_number

Names = Mapping[str, Sequence[str]]  # field of `Hit` -> how records may call it, in lower case

# https://schema.org/ImageObject, which any page may contain.
SCHEMA_NAMES: Names = {
    "address": ("contenturl",),
    "page": ("mainentityofpage", "url"),
    "title": ("name", "caption"),
    "creator": ("creator", "author", "credittext"),
    "rights": ("copyrightnotice",),
    "rights_url": ("license",),
    "width": ("width",),
    "height": ("height",),
}

LICENSE = re.compile(
    r"https?://(?:www\.)?(?:creativecommons\.org/(?:licenses|publicdomain)/[\w./-]+"
    r"|rightsstatements\.org/(?:vocab|page)/[\w./-]+)"
)
GENERIC_LABEL = re.compile("image results? (?:for|of)|see the source|view image", re.IGNORECASE)


@dataclass(frozen=True)
class Hit:
    """One picture, as a page of results tells of it.

    Attributes:
        address: of the picture in full size.
        mark: a text that the box of its thumbnail contains, to find it again.
    """

    address: str
    page: str = ""
    title: str = ""
    creator: str = ""
    rights: str = ""
    rights_url: str = ""
    width: int | None = None
    height: int | None = None
    mark: str = ""

    def completed_by(self, other: Hit) -> Hit:
        """Take from `other`, the same picture, what is not known here."""
        unknown = [field.name for field in fields(self) if not getattr(self, field.name)]
        return replace(self, **{name: getattr(other, name) for name in unknown})


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Give every JSON object in a text, also inside JavaScript and inside other objects."""
    decoder = json.JSONDecoder()
    budget = 20 * len(text) + 1_000_000  # what fails is tried again from within, but not for ever
    end = 0
    for start in re.finditer(r'\{\s*["}]', text):
        if start.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            budget -= 1000 + error.pos - start.start()
            if budget < 0:
                return
        except RecursionError:
            return
        else:
            yield from _objects_within(value)


def _objects_within(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            value = list(value.values())
        if isinstance(value, list):
            waiting.extend(reversed(value))


def named_hit(record: Mapping[str, Any], names: Names) -> Hit | None:
    """Read a record that calls the parts of a hit by some of `names`; None without an address."""
    values = {key.lower(): value for key, value in record.items()}

    def text(part: str, *inner: str) -> str:
        texts = (_text(values.get(name), inner) for name in names.get(part, ()))
        return next(filter(None, texts), "")

    address = text("address", "url", "@id")
    if not address.startswith(("http://", "https://")):
        return None
    return Hit(
        address,
        page=text("page", "url", "@id"),
        title=text("title", "name"),
        creator=text("creator", "name"),
        rights=text("rights", "name"),
        rights_url=text("rights_url", "url", "@id"),
        width=whole_number(text("width", "value")),
        height=whole_number(text("height", "value")),
        mark=text("mark"),
    )


def schema_hits(text: str) -> Iterator[Hit]:
    """Read the schema.org ImageObjects in a text."""
    if "ImageObject" in text:
        for record in json_objects(text):
            if "ImageObject" in str(record.get("@type")) and (
                hit := named_hit(record, SCHEMA_NAMES)
            ):
                yield hit


def titled(label: str) -> Hit:
    """All that the label of a link or thumbnail tells: a title, if it is one."""
    return Hit("", title="" if GENERIC_LABEL.match(label) else label)


def _text(value: Any, inner: Sequence[str]) -> str:
    """What a JSON value says; of an object, the first of its members `inner` that it has."""
    if isinstance(value, list):
        return next(filter(None, (_text(item, inner) for item in value)), "")
    if isinstance(value, dict):
        return next(filter(None, (_text(value.get(name), ()) for name in inner)), "")
    if isinstance(value, str):
        return re.sub("[\ue000\ue001]", "", value).strip()  # Bing marks the words searched for
    return str(value) if isinstance(value, int) else ""


def split(address: str) -> SplitResult:
    """The parts of an address; of what is none, empty ones."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
