"""What the app says: sentences from answers and entries, free of Streamlit."""

from __future__ import annotations

import re

from ideitify import Answer, Candidate, Entry, Verdict, find_entry
from ideitify import words as core
from ideitify.bundle import Manifest
from ideitify.dataset import NONE_CATEGORY
from ideitify.knowledge import fold
from ideitify.words import RIVAL_SHARE, leans_to_nobody, percent

ASPECTS = {
    "attributes": "Signs and symbols",
    "posture": "Posture",
    "mount": "Mount or companion",
    "colours": "Colours",
}

BRIEF = "A short entry, for now: the signs, and where to read on."

FIGURES = {
    "accuracy": "right at the first guess",
    "top_3_accuracy": "right within 3 guesses",
    "top_5_accuracy": "right within 5 guesses",
    "macro_f1": "mean over all names, rare ones counting alike (macro F1)",
    "expected_calibration_error": "gap between stated and true confidence",
    "expected_calibration_error_if_perfect": "the same gap, if confidence were perfect",
    "expected_calibration_error_before": "the same gap before calibration",
    "none_auroc": "tells deities from pictures without one (AUROC)",
    "none_false_positive_rate_at_95_recall": (
        "deities missed, if 95 % of the pictures without one are to be found"
    ),
}

LANGUAGES = {
    "akk": "Akkadian", "am": "Amharic", "ang": "Old English", "ar": "Arabic", "as": "Assamese",
    "bg": "Bulgarian", "bn": "Bengali", "bo": "Tibetan", "ca": "Catalan", "cop": "Coptic",
    "da": "Danish", "de": "German", "egy": "Ancient Egyptian", "el": "Greek", "es": "Spanish",
    "fa": "Persian", "fr": "French", "ga": "Irish", "grc": "Ancient Greek", "gu": "Gujarati",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hy": "Armenian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ka": "Georgian", "km": "Khmer",
    "kn": "Kannada", "ko": "Korean", "la": "Latin", "ml": "Malayalam", "mr": "Marathi",
    "my": "Burmese", "nah": "Nahuatl", "nb": "Norwegian", "ne": "Nepali", "nl": "Dutch",
    "non": "Old Norse", "or": "Odia", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese",
    "ru": "Russian", "sa": "Sanskrit", "sga": "Old Irish", "si": "Sinhala", "sr": "Serbian",
    "sux": "Sumerian", "sv": "Swedish", "syc": "Syriac", "ta": "Tamil", "te": "Telugu",
    "th": "Thai", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "yo": "Yoruba",
    "zh": "Chinese", "zh-Hans": "Chinese, simplified", "zh-Hant": "Chinese, traditional",
}  # fmt: skip


def plain(text: str) -> str:
    """Escape `text` so that Markdown shows it as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def native_name(entry: Entry) -> tuple[str, str] | None:
    """The first language and name that tell more than the main name; None where there is none."""
    told = ((tag, name) for tag, name in entry.names.items() if fold(name) != fold(entry.name))
    return next(told, None)


def headline(answer: Answer) -> str:
    """The answer in one sentence, as Markdown, its names in bold."""
    return core.headline(answer, lambda name: f"**{plain(name)}**")


def confidence(answer: Answer) -> str:
    """How far to trust the answer, in plain language with the number."""
    first = answer.candidates[0]
    match answer.verdict:
        case Verdict.DEITY:
            sure = f"{_sureness(first.probability)}: {percent(first.probability)}. {_risk(first)}"
            group = find_entry(first.deity).kind == "group"
            return f"{sure} Which one is not identified further." if group else sure
        case Verdict.NO_DEITY:
            return f"{_sureness(answer.none_probability)}: {percent(answer.none_probability)}."
        case Verdict.UNSURE:
            name, nobody = find_entry(first.deity).name, percent(answer.none_probability)
            if answer.broader:
                together = percent(answer.broader.probability)
                return (
                    f"But I am not sure which: it is one of them at {together}, and {name}, the "
                    f"likeliest, at {percent(first.probability)}. The signs below help you decide."
                )
            doubt = f"I am not sure. The likeliest name is {name}, at {percent(first.probability)}"
            if leans_to_nobody(answer):
                return f"{doubt}; likelier still, {nobody}, is that no deity I know is here."
            if answer.none_probability >= RIVAL_SHARE * first.probability:
                return f"{doubt}; that no deity I know is here, {nobody}."
            return f"{doubt}. The signs below help you decide."


def _sureness(probability: float) -> str:
    for least, word in ((0.9, "Very sure"), (0.75, "Fairly sure"), (0.5, "More likely than not")):
        if probability >= least:
            return word
    return "The likeliest, but far from certain"


def _risk(candidate: Candidate) -> str:
    """The calibrated probability as a natural frequency."""
    wrong_in_ten = round(10 * (1 - candidate.probability))
    if candidate.probability >= 0.95:
        return "Of 20 answers as sure as this, fewer than one is wrong."
    return f"Of 10 answers as sure as this, about {max(wrong_in_ten, 1)} would be wrong."


def how_to_tell(one: Entry, other: Entry) -> str | None:
    """What tells the two apart, from either entry; None where neither mentions the other."""
    for entry, rival in ((one, other), (other, one)):
        for alike in entry.confused_with:
            if alike.deity == rival.slug:
                return alike.how_to_tell
    return None


def known(manifest: Manifest) -> str:
    """Whom a model knows: "56 deities and sacred figures, and 161 from few pictures only"."""
    few = len(manifest.prototypes)
    trained = len(set(manifest.labels) - set(manifest.prototypes) - {NONE_CATEGORY})
    return f"{trained} deities and sacred figures" + (
        f", and {few} from few pictures only" if few else ""
    )


def figure_name(key: str) -> str:
    """A metric's or picture set's key in a reader's words."""
    words = FIGURES.get(key, key.replace("_", " "))
    return words[:1].upper() + words[1:]
