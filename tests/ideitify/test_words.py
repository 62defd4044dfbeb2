"""A sentence names whom the photo may show, no more surely than the answer does."""

from __future__ import annotations

import pytest

from ideitify import Answer, Verdict
from ideitify.circles import Broader
from ideitify.words import from_few_pictures, headline, percent
from tests.tiny import answer

FORM = Broader("form", "vishnu", "Hinduism", 0.83)
FAMILY = Broader("family", "Olympian gods", "Ancient Greek religion", 0.83)
TRADITION = Broader("tradition", "Christianity", "Christianity", 0.83)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(Verdict.DEITY, ganesha=0.9, shiva=0.1), "This looks like Ganesha"),
        (answer(Verdict.DEITY, christian_saint=0.9), "This looks like a Christian saint"),
        (answer(Verdict.DEITY, angel=0.9), "This looks like an Angel"),
        (answer(Verdict.DEITY, theerthankaras=0.9), "This looks like one of the Tirthankaras"),
        (answer(Verdict.UNSURE, vishnu=0.4, krishna=0.3, rama=0.1),
         "Could be Vishnu or Krishna"),
        (answer(Verdict.UNSURE, vishnu=0.3, krishna=0.3, rama=0.2, zeus=0.2),
         "Could be Vishnu, Krishna or Rama"),
        (answer(Verdict.UNSURE, vishnu=0.4, krishna=0.1), "Perhaps Vishnu"),
        (answer(Verdict.UNSURE, none=0.7, vishnu=0.1, krishna=0.1),
         "Perhaps nobody that I know, or Vishnu"),
        (answer(Verdict.UNSURE, broader=FORM, rama=0.4), "This looks like a form of Vishnu"),
        (answer(Verdict.UNSURE, broader=FAMILY, hera=0.4),
         "This looks like a figure of ancient Greek religion (Olympian gods)"),
        (answer(Verdict.UNSURE, broader=TRADITION, angel=0.4),
         "This looks like a figure of Christianity"),
        (answer(Verdict.NO_DEITY, none=0.9, vishnu=0.1), "I see no deity that I know here"),
    ],
)  # fmt: skip
def test_the_answer_in_a_sentence(given: Answer, expected: str) -> None:
    assert headline(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(Verdict.DEITY, christian_saint=0.9), "This looks like a <Christian saint>"),
        (answer(Verdict.UNSURE, vishnu=0.4, krishna=0.3), "Could be <Vishnu> or <Krishna>"),
        (answer(Verdict.UNSURE, broader=FORM, rama=0.4), "This looks like a form of <Vishnu>"),
    ],
)
def test_names_are_written_as_their_reader_needs_them(given: Answer, expected: str) -> None:
    assert headline(given, lambda name: f"<{name}>") == expected


def test_a_name_known_from_few_pictures_is_said_to_be() -> None:
    few = ["krishna", "zeus"]
    sure = answer(Verdict.DEITY, few=few, krishna=0.9, zeus=0.1)
    assert from_few_pictures(sure) == "I know Krishna from few pictures only."
    torn = answer(Verdict.UNSURE, few=few, krishna=0.4, rama=0.3, zeus=0.3)
    assert from_few_pictures(torn) == "I know Krishna and Zeus from few pictures only."
    three = answer(Verdict.UNSURE, few=[*few, "rama"], krishna=0.3, rama=0.3, zeus=0.2)
    assert from_few_pictures(three) == "I know Krishna, Rama and Zeus from few pictures only."
    assert from_few_pictures(answer(Verdict.DEITY, few=few, rama=0.9, zeus=0.1)) is None
    assert from_few_pictures(answer(Verdict.NO_DEITY, few=few, none=0.9, zeus=0.1)) is None


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "under 1 %"), (0.0101, "1 %"), (0.495, "50 %"), (0.99, "99 %"), (1, "over 99 %")],
)
def test_percent_promises_nothing_absolute(share: float, expected: str) -> None:
    assert percent(share) == expected
