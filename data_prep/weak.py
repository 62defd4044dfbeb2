"""Label pictures by many weak opinions, with Snorkel: what the harvest knows, what the model sees.

Every labelling function (`data_prep.opinions`) names one category or abstains:

    title, description, tags    the one entry whose name is in the text, in any language or script
    concept                     the entry whose concept URI the source gave
    query: <source>             the entry that was searched for, for each source by itself, since
                                some search better than others
    model                       the model bundle's answer, where it is sure enough to give one
    neighbours                  what most of the nearest pictures with a human label show, looked
                                for among other groups only

Snorkel's label model learns from where they agree and conflict how far to trust each, and weighs
them into probabilities. Pictures above the threshold are accepted, the others go to review.

Columns: `weak_category`, `weak_probability`, `weak_votes` (`title=shiva, model=rama`), and
`guesses`, the likeliest categories, for the review page. `.data_prep/weak.csv` has each function's
coverage, overlaps and conflicts, and its accuracy where that could be measured.

**What accuracy is measured on.** Human labels of pictures that the bundle was not made of, as it
remembers by their hashes; nothing is measured with a bundle that does not remember. A picture is
never among its own neighbours, nor is its group. A human label that somebody took from the title
would flatter `title`: the figure cannot tell.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binomtest
from snorkel.labeling import LFAnalysis, PandasLFApplier
from snorkel.labeling.model import LabelModel

from data_prep.embed import Embedded, bundle_manifest, embed
from data_prep.opinions import (
    ABSTAIN,
    Names,
    labelling_functions,
    model_votes,
    neighbour_votes,
)
from data_prep.table import DECIDED_BY, KEPT, REJECTED, Table, own_where_empty
from data_prep.workers import Where
from ideitify.bundle import SEEN_DIGITS, Manifest
from ideitify.dataset import PREPARED_NAME
from ideitify.files import write_whole
from ideitify.knowledge import knowledge
from ideitify.review import write_guesses

VERSION = 3

TABLE_NAME = "weak.csv"
LEAST_FUNCTIONS = 3  # fewer leave the label model nothing to learn from
GUESSES = 3  # on the review page
LEARNT_FROM = 50_000  # pictures at most: the label model keeps all votes at once, one-hot
BLOCK = 10_000  # pictures weighed at once, for the same reason

logger = logging.getLogger(__name__)


class WeakSettings(BaseModel):
    """When weak opinions are enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accept: float = Field(
        0.9,
        gt=0,
        le=1,
        description="least probability to accept a label without a person: on emulated harvests "
        "94 to 97 % of such labels were right, from 0.5 on 87 to 93 % (benchmarks/weak.py)",
    )
    neighbours: int = Field(
        10, ge=1, description="labelled pictures asked: 5 are noisy, 20 more than most classes have"
    )
    share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="of the neighbours' weight that must agree: 73 % are right then",
    )
    epochs: int = Field(500, ge=1, description="of the label model: with 100 it is not done yet")
    seed: int = Field(0, description="of the label model")


@dataclass(frozen=True)
class Weighed:
    """What the functions said of n pictures, and what the label model makes of it.

    Attributes:
        functions: their names.
        categories: what the numbers stand for.
        votes: int (n, functions), a category's number or `ABSTAIN`.
        probabilities: float (n, categories); zeros where every function abstained.
    """

    functions: list[str]
    categories: list[str]
    votes: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)


def weak(
    table: Table, settings: WeakSettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Label what no person has labelled; accept the sure, send the rest to review.

    Raises:
        BundleError: the bundle cannot be used.
        OSError: the table of functions, or the embeddings' cache, cannot be written.
    """
    rows = table.rows
    open_ = (rows["label_source"] != "human") & (rows[DECIDED_BY] == "")
    targets = open_ & (rows["status"] != REJECTED)
    if not targets.any():
        logger.info("every picture has a label from a person")
        return table
    seen = embed(table, bundle, **where)
    manifest = bundle_manifest(bundle)
    measured = unseen_labels(table, manifest) & ~open_
    chosen = np.flatnonzero(targets | measured)
    frame = opinions_frame(table, seen, manifest, settings).iloc[chosen]
    weighed = weigh(frame, settings)
    if weighed is None:
        logger.info("fewer than %d functions have an opinion: nothing labelled", LEAST_FUNCTIONS)
        return table
    truths = frame["category"].where(measured.iloc[chosen], "")
    figures = describe(weighed, list(truths), settings)
    write_whole(table.folder / PREPARED_NAME / TABLE_NAME, figures.to_csv(index_label="function"))
    _apply(table, frame.index, weighed, targets.iloc[chosen].to_numpy(), settings)
    return table


def unseen_labels(table: Table, manifest: Manifest) -> pd.Series:
    """bool (n,): pictures with a human label that the bundle is known not to be made of."""
    seen, rows = manifest.training.get("seen", []), table.rows
    people = (rows["label_source"] == "human") & (rows["status"] != REJECTED)
    unseen = (rows["sha256"] != "") & ~rows["sha256"].str[:SEEN_DIGITS].isin(seen)
    return people & unseen & bool(seen)


def opinions_frame(
    table: Table, seen: Embedded, manifest: Manifest, settings: WeakSettings
) -> pd.DataFrame:
    """The table with what the model and the neighbours say, in columns of these names."""
    rows = table.rows
    groups = own_where_empty(rows["group"]).to_numpy(object)
    labelled = (rows["label_source"] == "human") & (rows["status"] == KEPT) & seen.known
    near = neighbour_votes(
        seen.embeddings, groups, np.flatnonzero(labelled), rows["category"].to_numpy(object),
        settings.neighbours, settings.share,
    )  # fmt: skip
    model = model_votes(seen.probabilities, seen.labels, manifest.thresholds)
    return rows.assign(model=model, neighbours=near)


def weigh(frame: pd.DataFrame, settings: WeakSettings) -> Weighed | None:
    """Ask every function and weigh what they say; None where too few have an opinion.

    Args:
        frame: see `opinions_frame`.
    """
    names = Names.of(knowledge().values())
    everyone = sorted({*knowledge(), *frame["category"], *frame["model"], *frame["neighbours"]})
    numbers = {category: number for number, category in enumerate(filter(None, everyone))}
    functions = labelling_functions(frame, names, numbers)
    votes = PandasLFApplier(functions).apply(frame, progress_bar=False)
    speaks = (votes != ABSTAIN).any(axis=0)
    if speaks.sum() < LEAST_FUNCTIONS:
        return None
    votes = votes[:, speaks]
    named, votes = _renumber(votes)
    categories = [list(numbers)[number] for number in named]
    functions = [function.name for function, does in zip(functions, speaks, strict=True) if does]
    return Weighed(functions, categories, votes, _probabilities(votes, len(categories), settings))


def _renumber(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The categories that were named at all, and the votes counted in them."""
    named = np.unique(votes[votes != ABSTAIN])
    return named, np.where(votes == ABSTAIN, ABSTAIN, np.searchsorted(named, votes))


def _probabilities(votes: np.ndarray, categories: int, settings: WeakSettings) -> np.ndarray:
    heard = np.flatnonzero((votes != ABSTAIN).any(axis=1))
    random = np.random.default_rng(settings.seed)
    learnt = random.permutation(heard)[:LEARNT_FROM]
    model = LabelModel(cardinality=max(2, categories), verbose=False)
    probabilities = np.zeros((len(votes), model.cardinality))
    with _quiet():
        model.fit(
            votes[learnt], n_epochs=settings.epochs, seed=settings.seed, progress_bar=False,
            log_freq=settings.epochs + 1,
        )  # fmt: skip
        for start in range(0, len(heard), BLOCK):
            block = heard[start : start + BLOCK]
            probabilities[block] = model.predict_proba(votes[block])
    return probabilities[:, :categories]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without SciPy's warnings about how Snorkel uses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def describe(weighed: Weighed, truths: Sequence[str], settings: WeakSettings) -> pd.DataFrame:
    """Snorkel's table of the functions, with their accuracy and that of all together.

    Args:
        truths: of each picture, its category where that can be used to measure, else "".

    Returns:
        A row per function, `accepted` last: `coverage`, `overlaps` and `conflicts` as shares of
        the pictures; `measured`, how many votes could be compared; `accuracy` of those, with a 95 %
        interval (Wilson), empty where there were none.
    """
    with _quiet():
        summary = LFAnalysis(weighed.votes).lf_summary()
    figures = pd.DataFrame(
        {name.lower(): summary[name].to_numpy() for name in ("Coverage", "Overlaps", "Conflicts")},
        index=weighed.functions,
    )
    best = weighed.probabilities.argmax(axis=1)
    accepted = weighed.probabilities.max(axis=1) >= settings.accept
    figures.loc["accepted"] = [accepted.mean(), np.nan, np.nan]
    truth = np.array(truths)
    answers = {
        name: (votes != ABSTAIN, votes)
        for name, votes in zip(weighed.functions, weighed.votes.T, strict=True)
    } | {"accepted": (accepted, best)}
    names = np.array(weighed.categories)
    for name, (speaks, numbers) in answers.items():
        measured = speaks & (truth != "")
        right = int((names[numbers[measured]] == truth[measured]).sum())
        figures.loc[name, ["measured", "accuracy", "low", "high"]] = _share(right, measured.sum())
    _report(figures)
    return figures.round(4)


def _share(right: int, of: int) -> list[float]:
    if not of:
        return [0, np.nan, np.nan, np.nan]
    interval = binomtest(right, of).proportion_ci(method="wilson")
    return [of, right / of, interval.low, interval.high]


def _report(figures: pd.DataFrame) -> None:
    for name, figure in figures.iterrows():
        text = f"{name}: {figure['coverage']:.0%} of the pictures"
        if name != "accepted":
            text += f", {figure['conflicts']:.0%} in conflict with another"
        if figure["measured"]:
            text += (
                f"; right {figure['accuracy']:.0%} ({figure['low']:.0%} to {figure['high']:.0%}) "
                f"of {figure['measured']:.0f} that people labelled"
            )
        logger.info("%s", text)
    if not figures["measured"].any():
        logger.info("no human label here that the functions have not seen: review some pictures")


def _apply(
    table: Table, index: pd.Index, weighed: Weighed, targets: np.ndarray, settings: WeakSettings
) -> None:
    """Write the columns, accept what is sure, leave the rest to people."""
    rows, said = table.rows, [_opinion(weighed, int(row)) for row in np.flatnonzero(targets)]
    opinions = pd.DataFrame(said, index=index[targets])
    for column in opinions:
        if column not in rows:
            rows[column] = ""
    rows.loc[opinions.index, list(opinions)] = opinions
    kept = rows.loc[opinions.index, "status"] == KEPT
    sure = opinions["weak_probability"] >= f"{settings.accept:.4f}"  # "" is less than any number
    accepted = opinions[kept & sure]
    renamed = int((rows.loc[accepted.index, "category"] != accepted["weak_category"]).sum())
    rows.loc[accepted.index, "category"] = accepted["weak_category"]
    rows.loc[accepted.index, "label_source"] = "weak"
    doubtful = opinions[kept & ~sure]
    for name, guesses in doubtful["guesses"].items():
        table.doubt(str(name), f"weak: {guesses or 'nothing says who it is'}")
    logger.info(
        "%d accepted (%d under another name), %d left to people",
        len(accepted), renamed, len(doubtful),
    )  # fmt: skip


def _opinion(weighed: Weighed, row: int) -> dict[str, str]:
    """What the columns say of one picture; all empty where every function abstained."""
    votes = {
        function: weighed.categories[vote]
        for function, vote in zip(weighed.functions, weighed.votes[row], strict=True)
        if vote != ABSTAIN
    }
    likeliest = np.argsort(-weighed.probabilities[row], kind="stable")[:GUESSES]
    guesses = [(weighed.categories[i], float(weighed.probabilities[row, i])) for i in likeliest]
    return {
        "weak_category": guesses[0][0] if votes else "",
        "weak_probability": f"{guesses[0][1]:.4f}" if votes else "",
        "weak_votes": ", ".join(f"{function}={category}" for function, category in votes.items()),
        "guesses": write_guesses(guesses) if votes else "",
    }
