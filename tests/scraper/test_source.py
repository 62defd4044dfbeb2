"""What is searched for stands in a knowledge entry alone."""

from __future__ import annotations

from ideitify.knowledge import parse_entry
from scraper.source import Concept

ENTRY = """---
name: Oshun
kind: deity
sources: [{title: One}, {title: Two}]
search:
  terms: {en: [Oshun statue, Oshun shrine], yo: [Ọ̀ṣun], pt: [Oxum imagem, Oxum]}
  concepts: ["http://vocab.getty.edu/aat/300000000", "http://iconclass.org/12(OSHUN)"]
  commons_category: Oshun
wikidata: Q900000
---

A text.
"""


def test_a_concept_is_the_search_vocabulary_of_an_entry() -> None:
    concept = Concept.of(parse_entry("oshun", ENTRY))
    assert (concept.slug, concept.name, concept.commons_category) == ("oshun", "Oshun", "Oshun")
    assert concept.uris == (
        "http://www.wikidata.org/entity/Q900000",
        "http://vocab.getty.edu/aat/300000000",
        "http://iconclass.org/12(OSHUN)",
    )


def test_every_language_s_best_phrase_comes_before_any_second_best() -> None:
    concept = Concept.of(parse_entry("oshun", ENTRY))
    assert concept.phrases() == [
        ("en", "Oshun statue"),
        ("yo", "Ọ̀ṣun"),
        ("pt", "Oxum imagem"),
        ("en", "Oshun shrine"),
        ("pt", "Oxum"),
    ]
