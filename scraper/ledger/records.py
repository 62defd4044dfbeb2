"""What the ledger is about: words for what happens to pictures, as plain data."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ideitify.licenses import License
from scraper.source import Found

COMMONS_FILES = "upload.wikimedia.org"


class Outcome(StrEnum):
    """What became of a link, or of a find."""

    WAITING = "waiting"
    STORED = "stored"
    DUPLICATE = "duplicate"  # the picture was there already, from another address
    FAILED = "failed"  # worth trying again in the next run
    REFUSED = "refused"  # for good: robots.txt, not a picture, ...
    WITHDRAWN = "withdrawn"  # and never to be fetched again


class Health(StrEnum):
    """What `check` found at the address of a picture that we have."""

    ALIVE = "alive"
    CHANGED = "changed"
    DEAD = "dead"
    CLOSED = "closed"  # it is there, but robots.txt or an opt-out now asks not to take it


@dataclass(frozen=True)
class Selection:
    """Which finds are meant; an empty tuple means all."""

    classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


ALL = Selection()


@dataclass(frozen=True)
class Item:
    """One picture to download.

    Attributes:
        key: of its link.
        find: the one that is credited.
        category: the class that it was found for.
    """

    key: str
    url: str
    find: int
    category: str
    source: str


@dataclass(frozen=True)
class Arrived:
    """What is known about a picture once it is here and was looked at.

    Attributes:
        url: after redirects.
        suffix: by the bytes, such as ".jpg".
        size: in bytes.
        width, height: in pixels, upright.
    """

    url: str
    sha256: str
    perceptual_hash: str
    suffix: str
    size: int
    width: int
    height: int
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Attempt:
    """How one try to download an item went.

    Attributes:
        started_at: as `now` gives it.
        arrived: None if it did not.
        reason: short and stable, such as "robots"; detail: one sentence.
        retry: whether a later run should try again.
    """

    item: Item
    started_at: str
    arrived: Arrived | None = None
    reason: str = ""
    detail: str = ""
    retry: bool = False


@dataclass(frozen=True)
class Settled:
    """What the ledger made of an attempt; `file_name` is where a stored picture belongs."""

    attempt: Attempt
    outcome: Outcome
    file_name: str = ""


@dataclass(frozen=True)
class Stored:
    """A picture that we have, with what credits it.

    Attributes:
        also_found_for: other classes for which the same picture was found.
    """

    sha256: str
    file_name: str
    category: str
    url: str
    found: Found
    license: License
    perceptual_hash: str
    width: int
    height: int
    retrieved_at: str
    etag: str
    last_modified: str
    also_found_for: tuple[str, ...] = ()

    @property
    def placed_in(self) -> str:
        """The category whose folder it lies in: another than its own where a person moved it."""
        return PurePosixPath(self.file_name).parent.name


def now() -> str:
    """This moment."""
    return as_text(datetime.now(UTC))


def as_text(moment: datetime) -> str:
    """A moment as all tables store it; later ones sort behind earlier ones."""
    return moment.isoformat(timespec="milliseconds")


def key_of(url: str) -> str:
    """Identify an address; what comes after `#` makes no difference."""
    return hashlib.sha256(bare_url(url).encode()).hexdigest()


def bare_url(url: str) -> str:
    """An address without what comes after `#`."""
    return clean(url.strip().partition("#")[0])


def host_name(url: str) -> str:
    """`https://www.Museum.example:443/` -> "museum.example"; "" where there is none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def plain_address(url: str) -> str:
    """An address such that spellings of it that lead to one thing are equal; not to be asked.

    Scheme, `www.`, standard ports, the last slash, `utm_` parameters, percent signs and places
    within a page make no difference, nor whether a file of Commons is scaled.
    """
    try:
        parts = urlsplit(url.strip())
        port = "" if parts.port in {None, 80, 443} else f":{parts.port}"
    except ValueError:
        return bare_url(url)
    if not parts.hostname:
        return bare_url(url)
    path = unquote(parts.path).rstrip("/")
    if parts.hostname == COMMONS_FILES:
        path = re.sub(r"^(/\w+/\w+)/thumb((/[^/]+){3})/[^/]+$", r"\1\2", path)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(name, value) for name, value in asked if not name.startswith("utm_")])
    route = parts.fragment if parts.fragment.startswith(("/", "!")) else ""  # pages of a script
    return f"{host_name(url)}{port}{path}?{query}#{route}"


def plain_name(source: str) -> str:
    """A source's name without what it is told to read: `urls=pictures.csv` -> `urls`."""
    return source.partition("=")[0]


def file_name_of(category: str, sha256: str, suffix: str) -> str:
    """Where a picture lies in its dataset folder."""
    return f"images/{category}/{sha256[:16]}{suffix}"


def clean(text: str) -> str:
    """What every database can store: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
