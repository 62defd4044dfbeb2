"""Who made the pictures and what their licences ask for: `ATTRIBUTION.md`."""

from __future__ import annotations

import re
from itertools import groupby
from urllib.parse import quote

from data_prep.publish.selection import Picture, Selection

ATTRIBUTION_NAME = "ATTRIBUTION.md"

INTRODUCTION = """\
# Credits

Every picture with its title, creator, source and licence, as the licences ask. `metadata.csv` has
the same, one row a picture, in the columns `title`, `creator`, `url`, `license`, `license_url` and
`attribution`. Who passes pictures on passes these credits on with them.
"""


def attribution_file(selection: Selection) -> str:
    """The text of `ATTRIBUTION.md`: a section per licence, a line per picture."""
    sections = [INTRODUCTION]
    pictures = sorted(selection.pictures, key=lambda picture: (picture.license.id, picture.name))
    for license, group in groupby(pictures, key=lambda picture: picture.license):
        lines = [f"- `{picture.name}`: {credit(picture)}" for picture in group]
        sections.append(f"## {link(license.id, license.url)}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(sections)


def credit(picture: Picture) -> str:
    """One picture's credit as Markdown, with a link to where it came from."""
    text, page = picture.row["attribution"], picture.row["uri"] or picture.row["url"]
    known = not page or page in text
    return linked(text) if known else f"{linked(text)} ({link('source', page)})"


def link(text: str, url: str) -> str:
    """A Markdown link, or the text alone where `url` is no web address."""
    if not re.match(r"https?://", url):
        return plain(text)
    return f"[{plain(text)}]({quote(url, safe=_URL_CHARACTERS)})"


def linked(text: str) -> str:
    """Text from outside as Markdown in which only web addresses are links."""
    parts = re.split(r"(https?://(?:[^\s<>()]|\([^\s<>()]*\))+)", text)
    return "".join(f"<{part}>" if n % 2 else plain(part) for n, part in enumerate(parts))


def plain(text: str) -> str:
    """Text from outside as Markdown that shows it: nothing in it marks anything up."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", re.sub(r"\s+", " ", text))


_URL_CHARACTERS = "!#$%&'*+,/:;=?@-._~"  # those of a URL, without what would end a link
