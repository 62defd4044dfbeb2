from __future__ import annotations

from ideitify import Verdict, find_entry, knowledge
from ideitify.circles import Broader
from tests.tiny import answer
from views import words

FORM = Broader("form", "vishnu", "Hinduism", 0.83)
FAMILY = Broader("family", "Olympian gods", "Ancient Greek religion", 0.83)


def test_the_headline_has_its_names_in_bold_as_they_are() -> None:
    given = answer(Verdict.UNSURE, vishnu=0.4, krishna=0.3)
    assert words.headline(given) == "Could be **Vishnu** or **Krishna**"
    given = answer(Verdict.UNSURE, broader=FAMILY, hera=0.4)
    expected = r"This looks like a figure of **ancient Greek religion \(Olympian gods\)**"
    assert words.headline(given) == expected


def test_a_group_is_said_not_to_be_identified() -> None:
    said = words.confidence(answer(Verdict.DEITY, christian_saint=0.9))
    assert "not identified further" in said
    assert "not identified further" not in words.confidence(answer(Verdict.DEITY, shiva=0.9))


def test_confidence_is_a_word_a_number_and_a_frequency() -> None:
    said = words.confidence(answer(Verdict.DEITY, ganesha=0.83))
    assert said == "Fairly sure: 83 %. Of 10 answers as sure as this, about 2 would be wrong."
    said = words.confidence(answer(Verdict.DEITY, ganesha=0.999))
    assert said == "Very sure: over 99 %. Of 20 answers as sure as this, fewer than one is wrong."


def test_doubt_names_the_chance_of_nobody_where_it_counts() -> None:
    assert "at 40 %. The signs" in words.confidence(answer(Verdict.UNSURE, vishnu=0.4))
    said = words.confidence(answer(Verdict.UNSURE, none=0.35, vishnu=0.4))
    assert said.endswith("that no deity I know is here, 35 %.")
    said = words.confidence(answer(Verdict.UNSURE, none=0.7, vishnu=0.1))
    assert said.endswith("likelier still, 70 %, is that no deity I know is here.")


def test_a_circle_is_said_with_its_share_and_its_likeliest_name() -> None:
    said = words.confidence(answer(Verdict.UNSURE, broader=FORM, rama=0.41))
    assert "it is one of them at 83 %, and Rama, the likeliest, at 41 %." in said


def test_a_native_name_is_one_that_tells_more_than_the_main_name() -> None:
    assert words.native_name(find_entry("ganesha")) == ("sa", "गणेश")
    for entry in knowledge().values():
        if told := words.native_name(entry):
            assert told[1].casefold() != entry.name.casefold()


def test_plain_text_survives_markdown() -> None:
    assert words.plain("*[a](b)* <i> Ávila $x$") == r"\*\[a\]\(b\)\* \<i\> Ávila \$x\$"


def test_how_to_tell_works_both_ways() -> None:
    ganesha, hanuman = find_entry("ganesha"), find_entry("hanuman")
    told = words.how_to_tell(ganesha, hanuman)
    assert told
    assert words.how_to_tell(hanuman, ganesha)
    assert words.how_to_tell(ganesha, find_entry("zeus")) is None


def test_every_language_of_the_knowledge_has_a_name() -> None:
    tags = {tag for entry in knowledge().values() for tag in entry.names}
    assert tags <= words.LANGUAGES.keys()


def test_figures_read_as_words() -> None:
    assert words.figure_name("top_3_accuracy") == "Right within 3 guesses"
    assert words.figure_name("some_new_figure") == "Some new figure"
