"""Reading what APIs answer: fields that are missing, lists that are null, HTML, numbers as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bs4 import BeautifulSoup

from scraper.source import SourceError

# The name before the @ has at most 64 letters (RFC 5321). Without that bound, a long word without
# an @ would be read to its end from each of its letters.
_EMAIL = re.compile(r"(mailto:)?[\w.+-]{1,64}(@|\s*[(\[]at[)\]]\s*)[\w-]+(\.[\w-]+)+")
_COMPLAINTS = (("error", "info"), ("error", "message"), ("error",), ("detail",), ("message",))
_HIDDEN = "script, style, [style*='display:none'], [style*='display: none']"
_LONGEST_COMPLAINT = 200  # characters
_LARGEST_NUMBER = 2**31 - 1  # that every database can store


def at(answer: Any, *path: str | int) -> Any:
    """The value at a path of keys and positions; None where a step is not there."""
    for step in path:
        if isinstance(answer, Mapping):
            answer = answer.get(step)
        elif isinstance(answer, list) and isinstance(step, int) and 0 <= step < len(answer):
            answer = answer[step]
        else:
            return None
    return answer


def entries(value: Any) -> list[Any]:
    """A list of what may come as a list, as an object of them by key, alone, or as null."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, Mapping) else [value]


def expect(answer: Any, key: str, source: str) -> Any:
    """The value of a key without which an answer is none.

    Raises:
        SourceError: it is not there; the message has what an error envelope says.
    """
    if isinstance(answer, Mapping) and key in answer:
        return answer[key]
    said = next(filter(None, (plain_text(at(answer, *path)) for path in _COMPLAINTS)), "")
    said = f": {said[:_LONGEST_COMPLAINT]}" if said else "; its API may have changed"
    raise SourceError(f"{source} answered without {key!r}{said}")


def plain_text(value: Any) -> str:
    """Text on one line, without tags, what is hidden, and e-mail addresses; several joined by ";".

    Nobody who uploaded a picture asked for their address to be spread with it.
    """
    if isinstance(value, list):
        return "; ".join(dict.fromkeys(filter(None, map(plain_text, value))))
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return ""
    text = str(value)
    if "<" in text or "&" in text:
        soup = BeautifulSoup(text, "html.parser")
        for hidden in soup.select(_HIDDEN):
            hidden.decompose()
        text = soup.get_text(" ")
    text = " ".join(_EMAIL.sub(" ", text).split())
    return re.sub(r"\s+([,.;:!?)\]])|([(\[])\s+", r"\1\2", text).strip(" ,;")


def link(value: Any) -> str:
    """A web address as it is, with its scheme; "" for anything else."""
    if not isinstance(value, str):
        return ""
    url = value.strip()
    url = f"https:{url}" if url.startswith("//") else url
    return url if url.lower().startswith(("http://", "https://")) else ""


def whole_number(value: Any) -> int | None:
    """A positive number, of pixels say, from a number or text; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= _LARGEST_NUMBER else None
