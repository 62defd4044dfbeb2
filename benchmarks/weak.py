"""Weak labels: how many pictures of a harvest need no person, and how many of those are right.

    python -m benchmarks.weak --data ../shared/deities

There is no harvest here whose truth is known, so this makes one of labelled pictures: those of the
training side keep their labels, as pictures that people have looked at; those of the validation
side, which the bundle has not learnt from, as it remembers, become a harvest whose searches were
wrong for a share of them, at random. Real searches are wrong in more regular ways. Their titles are
real, but some labels of this data were once read off them, so everything is run without titles,
too. Compared: the search's word as it is, Snorkel's majority vote, its label model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.stats import binomtest
from snorkel.labeling.model import MajorityLabelVoter

from benchmarks import run_command
from benchmarks.recognition import BUNDLE
from data_prep.embed import embed
from data_prep.table import Table, read_table
from data_prep.weak import WeakSettings, Weighed, opinions_frame, weigh
from ideitify.bundle import read_manifest
from ideitify.dataset import read_rows, write_rows
from training.data import choose_pictures
from training.sides import choose_side

SOURCES = ("one source", "another")


def make_harvest(data: Path, folder: Path, bundle: Path) -> tuple[Table, np.ndarray]:
    """The pictures as a table in `folder`, and bool (n,): which of them the bundle has not seen.

    Raises:
        DatasetError: see `choose_side`.
    """
    (folder / "images").symlink_to((data / "images").resolve())
    pictures = choose_pictures(data)
    unseen = {p.path for p in choose_side(data, read_manifest(bundle), "valid").pictures}
    side = {str(p.columns["file_name"]): p.path in unseen for p in pictures}
    write_rows(folder, [row for row in read_rows(data) if row["file_name"] in side])
    table = read_table(folder)
    return table, np.array([side[str(name)] for name in table.rows.index])


def search(rows: pd.DataFrame, found: np.ndarray, wrong: float) -> pd.DataFrame:
    """Rows whose harvested part was found by searches, of which a share was for someone else."""
    random = np.random.default_rng(0)
    others = random.choice(sorted(set(rows["category"])), len(rows))
    queries = np.where(random.random(len(rows)) < wrong, others, rows["category"])
    return rows.assign(
        query=np.where(found, [query.replace("-", " ") for query in queries], ""),
        source=random.choice(SOURCES, len(rows)),
        label_source=np.where(found, "scraper", "human"),
    )


def describe(name: str, said: np.ndarray, truth: np.ndarray, answered: np.ndarray) -> str:
    """A line: how many pictures got a label, and how many of those labels are right."""
    right = int((said == truth)[answered].sum())
    of = int(answered.sum())
    interval = binomtest(right, of).proportion_ci(method="wilson")
    return (
        f"  {name:34} {answered.mean():4.0%} labelled, {right / of:.1%} of them rightly "
        f"({interval.low:.1%} to {interval.high:.1%})"
    )


def compare(weighed: Weighed, truth: np.ndarray, accept: float) -> list[str]:
    """The majority vote and the label model, on the same votes."""
    names = np.array(weighed.categories)
    voter = MajorityLabelVoter(cardinality=len(names))
    heard = (weighed.votes >= 0).any(axis=1)
    votes = voter.predict_proba(weighed.votes)
    clear = heard & (votes.max(axis=1) > 0.5)
    probabilities = weighed.probabilities
    lines = [describe("majority vote, if it is one", names[votes.argmax(axis=1)], truth, clear)]
    for least in (accept, 0.5):
        sure = probabilities.max(axis=1) >= least
        name = f"label model, from {least:.0%} on"
        lines.append(describe(name, names[probabilities.argmax(axis=1)], truth, sure))
    return lines


def main(
    data: Annotated[Path, typer.Option(help="labelled dataset folder")],
    bundle: Annotated[Path, typer.Option(help="trained on its training side")] = BUNDLE,
) -> None:
    """Print the comparison for searches that are wrong for 20 and 40 % of the pictures."""
    settings = WeakSettings()
    with tempfile.TemporaryDirectory() as scratch:
        table, found = make_harvest(data, Path(scratch), bundle)
        seen, manifest = embed(table, str(bundle)), read_manifest(bundle)
    truth = table.rows["category"].to_numpy()[found]
    for wrong in (0.2, 0.4):
        for titles in (True, False):
            rows = search(table.rows, found, wrong)
            rows = rows if titles else rows.assign(title="")
            queries = rows["query"].str.replace(" ", "-").to_numpy()[found]
            frame = opinions_frame(Table(table.folder, rows), seen, manifest, settings)
            weighed = weigh(frame[found], settings)
            assert weighed is not None
            words = "with titles" if titles else "without titles"
            print(f"{found.sum()} pictures, {wrong:.0%} of the searches wrong, {words}")
            print(describe("the search's word", queries, truth, np.ones(len(truth), bool)))
            print("\n".join(compare(weighed, truth, settings.accept)))


if __name__ == "__main__":
    run_command(main)
