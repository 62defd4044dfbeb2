"""An answer in words, the same wherever people read it: on the command line and in the app."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ideitify.knowledge import Entry, find_entry
from ideitify.recognizer import Answer, Candidate, Verdict

RIVAL_SHARE = 0.5  # a candidate this likely, relative to the first, is named beside it
MOST_RIVALS = 3


def headline(answer: Answer, write: Callable[[str], str] = str) -> str:
    """The answer in one sentence, without its full stop.

    Args:
        answer: of at least `MOST_RIVALS` candidates, where the model knows so many.
        write: how a name is written, in the markup of whoever shows the sentence.
    """
    first = find_entry(answer.candidates[0].deity)
    match answer.verdict:
        case Verdict.DEITY:
            return f"This looks like {_named(first, write)}"
        case Verdict.NO_DEITY:
            return "I see no deity that I know here"
        case Verdict.UNSURE:
            if answer.broader:
                return f"This looks like {answer.broader.in_words(write)}"
            if leans_to_nobody(answer):
                return f"Perhaps nobody that I know, or {_named(first, write)}"
            names = [_named(find_entry(rival.deity), write) for rival in rivals(answer)]
            return f"Could be {_list(names, 'or')}" if len(names) > 1 else f"Perhaps {names[0]}"


def from_few_pictures(answer: Answer) -> str | None:
    """Which of the names that the answer gives the model knows from few pictures only."""
    given = {
        Verdict.DEITY: answer.candidates[:1],
        Verdict.UNSURE: rivals(answer),
        Verdict.NO_DEITY: [],
    }[answer.verdict]
    few = [find_entry(c.deity).name for c in given if c.few_pictures]
    return f"I know {_list(few, 'and')} from few pictures only." if few else None


def rivals(answer: Answer) -> list[Candidate]:
    """The candidates that an unsure answer names: the first and those not far behind."""
    first = answer.candidates[0]
    near = [c for c in answer.candidates if c.probability >= RIVAL_SHARE * first.probability]
    return near[:MOST_RIVALS]


def leans_to_nobody(answer: Answer) -> bool:
    """Whether nobody is likelier than the first candidate."""
    return answer.none_probability > answer.candidates[0].probability


def percent(share: float) -> str:
    """A share in 0..1 as people say it; never a false 0 or 100 %."""
    if share < 0.01:
        return "under 1 %"
    if share > 0.99:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def _named(entry: Entry, write: Callable[[str], str]) -> str:
    """How a sentence names the entry: a group is never passed off as a person."""
    name = write(entry.name)
    if entry.kind != "group":
        return name
    if entry.name.endswith("s"):
        return f"one of the {name}"
    return f"{'an' if entry.name[0] in 'AEIOU' else 'a'} {name}"


def _list(names: Iterable[str], conjunction: str) -> str:
    """ "A", "A or B", "A, B or C"."""
    *others, last = names
    return f"{', '.join(others)} {conjunction} {last}" if others else last
