"""Whatever a source writes about rights -> one identifier, and what it permits.

Only wordings that are understood as a whole count: a text of which a part is not understood may say
the opposite ("not public domain", "CC BY, except the photographs"), so it stays `unknown`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Permits = Literal["open", "noncommercial", "restricted", "unknown"]
Policy = Literal["open", "noncommercial", "any"]


@dataclass(frozen=True)
class License:
    """A licence or rights statement.

    Attributes:
        id: SPDX identifier (`CC0-1.0`, `CC-BY-SA-3.0`; `LicenseRef-CC-BY` where the version is not
            said), rightsstatements.org URI, or `unknown`.
        url: where a person reads it, "" where there is no such page.
        permits: `open` (public domain, CC0, CC BY, CC BY-SA), `noncommercial` (the same for
            non-commercial use only), `restricted` (anything stricter) or `unknown`.
    """

    id: str
    url: str
    permits: Permits


UNKNOWN = License("unknown", "", "unknown")
CC0 = License("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "open")
PUBLIC_DOMAIN = License("CC-PDM-1.0", "https://creativecommons.org/publicdomain/mark/1.0/", "open")
DEDICATED = License("CC-PDDC", "https://creativecommons.org/licenses/publicdomain/", "open")

_ALLOWED: dict[Policy, set[Permits]] = {
    "open": {"open"},
    "noncommercial": {"open", "noncommercial"},
    "any": {"open", "noncommercial", "restricted", "unknown"},
}
# A statement that leaves the question open outweighs one that permits.
_STRICTNESS: tuple[Permits, ...] = ("open", "unknown", "noncommercial", "restricted")

# What CC's elements combine to; the URLs of version 1.0 have some of them in another order.
_CC_CODES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "sa")
_CC_VERSIONS = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
_CC_PORTS = {
    "ar", "at", "au", "az", "be", "bg", "br", "ca", "ch", "cl", "cn", "co", "cr", "cz", "de", "dk",
    "ec", "ee", "eg", "es", "fi", "fr", "gr", "gt", "hk", "hr", "hu", "ie", "igo", "il", "in", "it",
    "jp", "kr", "lu", "mk", "mt", "mx", "my", "nl", "no", "nz", "pe", "ph", "pl", "pr", "pt", "ro",
    "rs", "scotland", "se", "sg", "si", "th", "tw", "ug", "uk", "us", "ve", "vn", "za",
}  # fmt: skip
# SPDX names few of the hundreds of ports; the others go by the name of the unported licence.
_SPDX_PORTS = {
    "BY-2.5": {"AU"},
    "BY-3.0": {"AT", "AU", "DE", "IGO", "NL", "US"},
    "BY-NC-3.0": {"DE"},
    "BY-NC-ND-3.0": {"DE", "IGO"},
    "BY-NC-SA-2.0": {"DE", "FR", "UK"},
    "BY-NC-SA-3.0": {"DE", "IGO"},
    "BY-ND-3.0": {"DE"},
    "BY-SA-2.0": {"UK"},
    "BY-SA-2.1": {"JP"},
    "BY-SA-3.0": {"AT", "DE", "IGO"},
}

# code -> (its English label, what it permits); https://rightsstatements.org/page/1.0/
_STATEMENTS: dict[str, tuple[str, Permits]] = {
    "InC": ("In Copyright", "restricted"),
    "InC-OW-EU": ("In Copyright - EU Orphan Work", "restricted"),
    "InC-EDU": ("In Copyright - Educational Use Permitted", "restricted"),
    "InC-NC": ("In Copyright - Non-Commercial Use Permitted", "noncommercial"),
    "InC-RUU": ("In Copyright - Rights-holder(s) Unlocatable or Unidentifiable", "restricted"),
    "NoC-CR": ("No Copyright - Contractual Restrictions", "restricted"),
    "NoC-NC": ("No Copyright - Non-Commercial Use Only", "noncommercial"),
    "NoC-OKLR": ("No Copyright - Other Known Legal Restrictions", "restricted"),
    "NoC-US": ("No Copyright - United States", "unknown"),  # and elsewhere nobody has looked
    "CNE": ("Copyright Not Evaluated", "unknown"),
    "UND": ("Copyright Undetermined", "unknown"),
    "NKC": ("No Known Copyright", "unknown"),
}
# What Europeana used before rightsstatements.org existed
_EUROPEANA = {
    "rr-f": "InC",
    "rr-p": "InC",
    "rr-r": "InC",
    "out-of-copyright-non-commercial": "NoC-NC",
    "orphan-work-eu": "InC-OW-EU",
    "unknown": "CNE",
}


def normalize(rights: str, rights_url: str = "") -> License:
    """Understand what a source says of a picture's rights.

    Args:
        rights: its words ("CC BY-SA 3.0 de", "pd", "Public domain"), or a URI.
        rights_url: the page of the licence, where the source gives one.

    Returns:
        Of the two the stricter, where both are understood and differ; `UNKNOWN` where neither is.
    """
    understood = [_from_url(rights_url), _from_url(rights) or _from_words(rights)]
    licenses = [license for license in understood if license]
    if not licenses and _COPYRIGHT_NOTICE.match(rights):  # which a licence would go with
        return _statement("InC")
    return max(licenses, key=lambda each: _STRICTNESS.index(each.permits), default=UNKNOWN)


def allowed(license: License, policy: Policy) -> bool:
    """Whether pictures under this licence may be kept and passed on under this policy."""
    return license.permits in _ALLOWED[policy]


def allows_derivatives(license: License) -> bool:
    """Whether a changed picture may be made and passed on under the same licence.

    "Non-commercial use permitted" of a picture in copyright says nothing of changes.
    """
    return license.permits in {"open", "noncommercial"} and _statement_code(license.id) != "InC-NC"


def attribution(title: str, creator: str, source: str, page: str, license: License) -> str:
    """Credit as Creative Commons asks for it: title, creator, source and licence, with links.

    Any of the texts may be empty; what is not known is left out, but for the licence.
    """
    named = f"“{title}”" if title else "Untitled"
    made = f" by {creator}" if creator else ""
    where = f" ({page})" if page else ""
    found = f", {source}{where}" if source or page else ""
    link = f" ({license.url})" if license.url else ""
    return f"{named}{made}{found}, {_label(license)}{link}"


def stated(credit: str) -> License | None:
    """The licence at the end of a credit, as `attribution` writes it; None where there is none."""
    match = re.search(r"(?:^|, )([^,]*?)(?: \((\S+)\))?\s*$", credit)
    words, url = (match[1], match[2] or "") if match else ("", "")
    if words == _label(UNKNOWN):
        return UNKNOWN
    return _from_url(url) or _from_words(words)


def _label(license: License) -> str:
    """`CC-BY-SA-3.0-DE` -> "CC BY-SA 3.0 DE"."""
    if license == UNKNOWN:
        return "licence unknown"
    if license == PUBLIC_DOMAIN:
        return "Public domain"
    if code := _statement_code(license.id):
        return _STATEMENTS[code][0]
    name = license.id.removeprefix("LicenseRef-")
    if match := re.fullmatch(r"CC-([A-Z-]+?)(-\d.*)?", name):
        return f"CC {match[1]}{(match[2] or '').replace('-', ' ')}"
    return name.replace("-", " ")


def _from_url(url: str) -> License | None:
    try:
        parts = urlsplit(url.strip().lower())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    path = [part for part in parts.path.split("/") if part]
    if parts.scheme not in {"http", "https"}:
        return None
    if host == "creativecommons.org":
        return _from_cc_path(path)
    if host == "rightsstatements.org":
        code = _statement_code(url)
    elif host == "europeana.eu" and path[:1] == ["rights"]:
        code = _EUROPEANA.get("".join(path[1:2]))
    else:
        code = None
    return _statement(code) if code else None


def _from_cc_path(path: list[str]) -> License | None:
    match path:
        case ["publicdomain", "zero", *_]:
            return CC0
        case ["publicdomain", "mark", *_]:
            return PUBLIC_DOMAIN
        case ["licenses" | "license", "publicdomain", *_]:
            return DEDICATED
        case ["licenses", code, version, *rest]:
            port = rest[0] if rest and rest[0] in _CC_PORTS else ""
            return _creative_commons(set(code.split("-")), version, port)
    return None


def _creative_commons(elements: set[str], version: str, port: str) -> License | None:
    code = next((code for code in _CC_CODES if set(code.split("-")) == elements), None)
    if code is None or version not in {"", *_CC_VERSIONS}:
        return None
    if version == "4.0":
        port = ""  # it is the same everywhere
    permits: Permits = (
        "restricted" if "nd" in elements else "noncommercial" if "nc" in elements else "open"
    )
    if not version:
        return License(f"LicenseRef-CC-{code.upper()}", "", permits)
    in_url = "by-nd-nc" if (code, version) == ("by-nc-nd", "1.0") else code
    url = "/".join(filter(None, [f"https://creativecommons.org/licenses/{in_url}", version, port]))
    return License(_spdx(code.upper(), version, port.upper()), f"{url}/", permits)


def _spdx(code: str, version: str, port: str) -> str:
    name = f"{code}-{version}"
    if port in _SPDX_PORTS.get(name, ()):
        return f"CC-{name}-{port}"
    if version == "2.1" or (code == "SA" and version != "1.0"):  # unknown to SPDX
        return f"LicenseRef-CC-{name}-{port}".rstrip("-")
    return f"CC-{name}"


def _statement(code: str) -> License:
    url = f"http://rightsstatements.org/vocab/{code}/1.0/"  # as the URI is written, with http
    return License(url, url, _STATEMENTS[code][1])


def _statement_code(url: str) -> str | None:
    """`https://rightsstatements.org/page/InC/1.0/?language=de` -> "InC"."""
    match = re.match(r"\s*https?://(www\.)?rightsstatements\.org/(vocab|page)/([\w-]+)", url, re.I)
    codes = {code.lower(): code for code in _STATEMENTS}
    return codes.get(match[3].lower()) if match else None


# Words that say the same -> one; the first that fits is taken.
_SYNONYMS = (
    (r"creative\s*commons", "cc"),
    (r"non[\s-]*commercial(\s+use)?", "nc"),
    (r"no[\s-]*deriv(ative|ative[\s-]*work|ativework|)s?", "nd"),
    (r"share[\s-]*alike", "sa"),
    (r"attribution", "by"),
    (r"\b(the|an?|licen[cs]ed?|licenseref|under|version|international|unported|generic|universal|"
     r"deed)\b", " "),
)  # fmt: skip

_CC_NAME = re.compile(
    rf"(?P<cc>cc )?(?P<elements>(by|sa|nc|nd)( (by|sa|nc|nd))*)"
    rf"( v?(?P<version>\d(\.\d)?)( (?P<port>{'|'.join(sorted(_CC_PORTS))}))?)?(?= |$)"
)
_CC0_NAME = re.compile(
    r"(cc ?(0|zero)|zero)( 1\.0)?( cc0 1\.0)?( public domain( dedication| designation)?)?"
)
_PUBLIC_DOMAIN_NAME = re.compile(
    r"(cc )?(pd|pdm|public ?domain( mark)?)( 1\.0)?"
    r"|pd (old|art|scan|self|user|author|usgov)( (old|auto|expired|[1-9]\d+|pd|us))*"
)
_US_ONLY_NAME = re.compile(r"pd us( (expired|unpublished|no notice|not renewed))?")
_COPYRIGHT_NOTICE = re.compile(r"\s*(copyright\s*)?(©|\(c\))|\s*copyright(ed)?\W*$", re.I)
_OTHER_NAMES = {
    "all rights reserved": "InC",
    "no known copyright restrictions": "NKC",
    "no known restrictions on publication": "NKC",
}


def _from_words(rights: str) -> License | None:
    text = unicodedata.normalize("NFKC", rights).casefold()
    if label := _from_label(text):
        return label
    for pattern, replacement in _SYNONYMS:
        text = re.sub(pattern, replacement, text)
    if re.search(r"[^\w\s.()/-]", text):  # "CC BY + CC0": nothing that we understand as a whole
        return None
    words = _words(text)
    if _CC0_NAME.fullmatch(words):
        return CC0
    if words == "cc pddc":
        return DEDICATED
    if _PUBLIC_DOMAIN_NAME.fullmatch(words):
        return PUBLIC_DOMAIN
    if _US_ONLY_NAME.fullmatch(words):
        return _statement("NoC-US")
    return _from_cc_names(words)


def _from_cc_names(words: str) -> License | None:
    """`by 2.0 cc by 2.0` -> CC-BY-2.0: one name, or the same twice, and nothing else."""
    if _CC_NAME.sub("", words).strip():
        return None
    names = list(_CC_NAME.finditer(words))
    if not any(name["cc"] or name["version"] for name in names):
        return None  # "Attribution" alone is the name of other licences too
    licenses = {
        _creative_commons(
            set(name["elements"].split()), _version(name["version"]), name["port"] or ""
        )
        for name in names
    }
    return licenses.pop() if len(licenses) == 1 else None


def _version(text: str | None) -> str:
    return f"{text}.0" if text and "." not in text else text or ""


def _from_label(text: str) -> License | None:
    words = _words(text)
    labels = {_words(label.casefold()): code for code, (label, _) in _STATEMENTS.items()}
    code = (labels | _OTHER_NAMES).get(words)
    return _statement(code) if code else None


def _words(text: str) -> str:
    """Letters, digits and dots within, with single spaces between."""
    return " ".join(re.findall(r"[^\W_]+(?:\.\d+)*", text))
