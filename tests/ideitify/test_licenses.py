"""Every spelling of a licence is understood or left alone, never taken for more than it permits."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from packaging.licenses import _spdx, canonicalize_license_expression

from ideitify.licenses import (
    UNKNOWN,
    License,
    allowed,
    allows_derivatives,
    attribution,
    normalize,
    stated,
)

RIGHTS = "http://rightsstatements.org/vocab"

SPELLINGS = {
    "Public domain": "CC-PDM-1.0",
    "public domain.": "CC-PDM-1.0",
    "pd": "CC-PDM-1.0",
    "PD-old-100": "CC-PDM-1.0",
    "PD-Art (PD-old-100)": "CC-PDM-1.0",
    "PDM 1.0": "CC-PDM-1.0",
    "Public Domain Mark 1.0": "CC-PDM-1.0",
    "Creative Commons Public Domain Mark 1.0": "CC-PDM-1.0",
    "CC0": "CC0-1.0",
    "cc-zero": "CC0-1.0",
    "CC0 1.0": "CC0-1.0",
    "CC0-1.0": "CC0-1.0",
    "Creative Commons Zero": "CC0-1.0",
    "CC0 Public Domain Designation": "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "CC BY-SA 3.0 de": "CC-BY-SA-3.0-DE",
    "cc-by-sa-3.0-de": "CC-BY-SA-3.0-DE",
    "CC BY-SA 3.0 pl": "CC-BY-SA-3.0",  # SPDX has no name for the Polish port
    "CC BY 2.1 jp": "LicenseRef-CC-BY-2.1-JP",
    "by-nc-sa 2.0": "CC-BY-NC-SA-2.0",
    "CC-BY 4": "CC-BY-4.0",
    "CC BY": "LicenseRef-CC-BY",
    "Creative Commons Attribution-Share Alike 4.0 International": "CC-BY-SA-4.0",
    "Creative Commons Attribution-ShareAlike 3.0 Unported License": "CC-BY-SA-3.0",
    "Attribution 2.0 Generic (CC BY 2.0)": "CC-BY-2.0",
    "Attribution-NonCommercial-NoDerivatives 4.0 International": "CC-BY-NC-ND-4.0",
    "Licensed under the Creative Commons Attribution 3.0 License": "CC-BY-3.0",
    "http://creativecommons.org/publicdomain/mark/1.0/": "CC-PDM-1.0",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "https://creativecommons.org/licenses/by-sa/3.0/de/deed.en": "CC-BY-SA-3.0-DE",
    "https://creativecommons.org/licenses/by-sa/4.0": "CC-BY-SA-4.0",
    "HTTPS://WWW.CreativeCommons.org/licenses/BY/2.0/legalcode": "CC-BY-2.0",
    "https://creativecommons.org/licenses/by-nd-nc/1.0/": "CC-BY-NC-ND-1.0",
    "http://creativecommons.org/licenses/publicdomain/": "CC-PDDC",
    "http://rightsstatements.org/vocab/InC/1.0/": f"{RIGHTS}/InC/1.0/",
    "https://rightsstatements.org/page/NoC-NC/1.0/?language=en": f"{RIGHTS}/NoC-NC/1.0/",
    "http://www.europeana.eu/rights/rr-f/": f"{RIGHTS}/InC/1.0/",
    "http://www.europeana.eu/rights/out-of-copyright-non-commercial/": f"{RIGHTS}/NoC-NC/1.0/",
    "No known copyright restrictions": f"{RIGHTS}/NKC/1.0/",
    "PD-US": f"{RIGHTS}/NoC-US/1.0/",
    "In Copyright - Educational Use Permitted": f"{RIGHTS}/InC-EDU/1.0/",
    "All Rights Reserved": f"{RIGHTS}/InC/1.0/",
    "© Example Museum": f"{RIGHTS}/InC/1.0/",
    "Copyrighted": f"{RIGHTS}/InC/1.0/",
}

NOT_UNDERSTOOD = [
    "",
    " ",
    "This image is not public domain",
    "not in the public domain",
    "CC BY, except the photographs",
    "CC BY-SA 4.0 and GFDL",
    "GFDL",
    "Attribution",  # a licence of its own at Wikimedia Commons
    "by",
    "CC BY 7.0",
    "CC BY-ND-SA 4.0",
    "CC",
    "Creative Commons",
    "public domain in some countries",
    "https://creativecommons.org/",
    "https://creativecommons.org.example.org/licenses/by/4.0/",
    "https://example.org/creativecommons.org/licenses/by/4.0/",
    "ftp://creativecommons.org/licenses/by/4.0/",
    "https://[creativecommons.org/licenses/by/4.0/",
    "http://rightsstatements.org/vocab/Nonsense/1.0/",
    "Metadata is CC0 (https://creativecommons.org/publicdomain/zero/1.0/), pictures are ours",
]

ELEMENTS = {
    "by": ("BY", "Attribution"),
    "nc": ("NC", "NonCommercial"),
    "nd": ("ND", "NoDerivatives"),
    "sa": ("SA", "ShareAlike"),
}
CODES = ["by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"]
VERSIONS = ["1.0", "2.0", "2.5", "3.0", "4.0"]
PERMITS = {"by": "open", "by-sa": "open", "by-nc": "noncommercial", "by-nc-sa": "noncommercial"}
STRICTNESS = ["open", "unknown", "noncommercial", "restricted"]

codes = st.sampled_from(CODES)
versions = st.sampled_from(VERSIONS)
understood = st.sampled_from(sorted(SPELLINGS))
anything = st.text(max_size=60) | understood | st.sampled_from(NOT_UNDERSTOOD)


@pytest.mark.parametrize(("words", "identifier"), SPELLINGS.items())
def test_a_spelling_is_understood_as_words_and_as_a_link(words: str, identifier: str) -> None:
    assert normalize(words).id == identifier
    if words.lower().startswith("http"):
        assert normalize("", words).id == identifier


@pytest.mark.parametrize("words", NOT_UNDERSTOOD)
def test_what_is_not_understood_as_a_whole_is_unknown(words: str) -> None:
    assert normalize(words) == UNKNOWN
    assert normalize("", words) == UNKNOWN


@given(codes, versions, st.booleans(), st.sampled_from([" ", "-", "_", "  "]), st.booleans())
def test_creative_commons_in_letters_or_in_words(
    code: str, version: str, in_words: bool, gap: str, upper: bool
) -> None:
    names = [ELEMENTS[element][in_words] for element in code.split("-")]
    prefix = "Creative Commons" if in_words else "CC"
    spelling = gap.join([prefix, *names, version])
    license = normalize(spelling.upper() if upper else spelling)
    assert license.id == f"CC-{code.upper()}-{version}"
    assert license.permits == PERMITS.get(code, "restricted")


@given(understood, st.randoms())
def test_case_and_spaces_do_not_matter(words: str, random) -> None:
    assume("://" not in words)
    shuffled = "".join(random.choice([c.upper(), c.lower()]) for c in words)
    assert normalize(f"  {shuffled.replace(' ', '   ')}\n") == normalize(words)


@given(anything, anything)
@example("LicenseRef-CC-BY", "")
def test_an_identifier_is_one_of_spdx_or_a_rights_statement_or_unknown(
    words: str, link: str
) -> None:
    license = normalize(words, link)
    if license.id.startswith("http"):
        assert license.id.startswith(f"{RIGHTS}/")
        assert license.url == license.id
    elif license != UNKNOWN:
        assert canonicalize_license_expression(license.id) == license.id


@given(anything, anything)
def test_an_identifier_and_its_link_mean_the_licence_that_they_came_from(
    words: str, link: str
) -> None:
    license = normalize(words, link)
    assert normalize(license.id).permits == license.permits
    if license.url:
        assert normalize("", license.url) == license
        assert normalize(license.id).id == license.id


@given(
    st.sampled_from(sorted(s for s in SPELLINGS if not s.startswith(("©", "Copyrighted")))),
    st.sampled_from(sorted(s for s in SPELLINGS if "://" in s)),
)
def test_of_words_and_link_the_stricter_holds(words: str, link: str) -> None:
    strictest = max(normalize(words).permits, normalize("", link).permits, key=STRICTNESS.index)
    assert normalize(words, link).permits == strictest


def test_a_copyright_notice_goes_with_a_licence() -> None:
    link = "https://creativecommons.org/licenses/by/4.0/"
    assert normalize("© 2020 Jane Example", link).id == "CC-BY-4.0"
    assert normalize("All rights reserved", link).permits == "restricted"


@given(
    understood,
    st.sampled_from(["not", "no", "non", "except", "unless", "excluding", "nicht", "without"]),
    st.integers(0, 12),
)
def test_a_negation_never_permits_anything(words: str, negation: str, place: int) -> None:
    assume("://" not in words)
    parts = words.split()
    place = 0 if negation == "no" else min(place, len(parts))  # "3.0 no" is Norway's port
    parts.insert(place, negation)
    assert normalize(" ".join(parts)).permits in {"unknown", "restricted"}


@given(codes, versions, st.text(string.ascii_lowercase, min_size=4, max_size=12))
def test_an_address_elsewhere_is_no_licence(code: str, version: str, name: str) -> None:
    for host in (f"{name}creativecommons.org", f"creativecommons.org.{name}"):
        assert normalize("", f"https://{host}/licenses/{code}/{version}/") == UNKNOWN


def test_ports_with_a_name_of_their_own_are_those_of_spdx() -> None:
    ours = {
        normalize("", f"https://creativecommons.org/licenses/{code}/{version}/{port}/").id
        for code in CODES
        for version in [*VERSIONS, "2.1"]
        for port in ["at", "au", "de", "fr", "igo", "jp", "nl", "uk", "us", "pl"]
    }
    spdx = {entry["id"] for entry in _spdx.LICENSES.values() if entry["id"].startswith("CC-BY-")}
    assert {name for name in ours if not name.startswith("LicenseRef-")} == spdx


@pytest.mark.parametrize(
    ("words", "policies"),
    [
        ("CC0", {"open", "noncommercial", "any"}),
        ("Public domain", {"open", "noncommercial", "any"}),
        ("CC BY 4.0", {"open", "noncommercial", "any"}),
        ("CC BY-SA 4.0", {"open", "noncommercial", "any"}),
        ("CC BY-NC 4.0", {"noncommercial", "any"}),
        ("No Copyright - Non-Commercial Use Only", {"noncommercial", "any"}),
        ("CC BY-ND 4.0", {"any"}),
        ("In Copyright", {"any"}),
        ("PD-US", {"any"}),
        ("whatever", {"any"}),
    ],
)
def test_a_policy_lets_in_what_it_names(words: str, policies: set[str]) -> None:
    license = normalize(words)
    assert {
        policy for policy in ("open", "noncommercial", "any") if allowed(license, policy)
    } == policies


def test_attribution_as_creative_commons_asks() -> None:
    license = normalize("CC BY-SA 3.0 de")
    assert attribution("Ganesha", "Jane", "commons", "https://example.org/f", license) == (
        "“Ganesha” by Jane, commons (https://example.org/f), "
        "CC BY-SA 3.0 DE (https://creativecommons.org/licenses/by-sa/3.0/de/)"
    )


def test_attribution_of_what_is_hardly_known() -> None:
    assert attribution("", "", "", "", UNKNOWN) == "Untitled, licence unknown"
    assert attribution("", "", "urls", "", normalize("pd")).startswith(
        "Untitled, urls, Public domain ("
    )
    assert "In Copyright (http" in attribution("A", "", "", "", normalize("In Copyright"))
    assert attribution("A", "", "", "", normalize("CC BY")) == "“A”, CC BY"


@given(*[st.text(string.ascii_letters, min_size=1)] * 4, understood)
def test_attribution_leaves_nothing_out(
    title: str, creator: str, source: str, page: str, words: str
) -> None:
    license: License = normalize(words)
    credit = attribution(title, creator, source, page, license)
    for part in (title, creator, source, page, license.url):
        assert part in credit


@given(*[st.text(string.printable)] * 3, anything)
def test_a_credit_states_the_licence_that_it_was_made_for(
    title: str, creator: str, source: str, words: str
) -> None:
    license = normalize(words)
    credit = attribution(title, creator, source, "https://museum.example/1,2", license)
    assert stated(credit) == license


@pytest.mark.parametrize(
    "credit",
    ["", "Photo: A. Maker / Museum", "A. Maker, © Museum", "Zeus, Museum (https://example.org/1)"],
)
def test_a_credit_may_state_no_licence(credit: str) -> None:
    assert stated(credit) is None


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        ("Public domain", True), ("CC0", True), ("CC BY 4.0", True), ("CC BY-SA 3.0", True),
        ("CC BY-NC-SA 4.0", True), (f"{RIGHTS}/NoC-NC/1.0/", True), ("CC BY-ND 4.0", False),
        ("CC BY-NC-ND 4.0", False), (f"{RIGHTS}/InC-NC/1.0/", False), (f"{RIGHTS}/InC/1.0/", False),
        ("", False),
    ],
)  # fmt: skip
def test_only_what_a_licence_says_may_be_changed_may_be(rights: str, expected: bool) -> None:
    assert allows_derivatives(normalize(rights)) == expected
