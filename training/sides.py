"""Which pictures a bundle may be judged on: never those that it was made of, by mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ideitify.bundle import SEEN_DIGITS, Manifest
from ideitify.dataset import DatasetError, Picture, read_dataset

SIDES = ("valid", "test", "train", "all")


@dataclass(frozen=True)
class Judged:
    """Pictures to judge a bundle on.

    Attributes:
        pictures: of categories that are labels of the bundle.
        unknown: of deities that its network was not trained on: they have no label, or beside the
            bundle's own validation side, only a prototype made of these few.
        words: what they are and whether the bundle was made of some, for a report.
    """

    pictures: list[Picture]
    unknown: list[Picture]
    words: str


def choose_side(folder: Path, manifest: Manifest, side: str | None = None) -> Judged:
    """Choose pictures of a dataset folder.

    Where the folder holds pictures that the bundle was made of, which `bundle.json` remembers, they
    are its training side and all others are not, whatever the column `split` says and whatever was
    added, removed, relabelled or reordered since. Of the others those with split `test` are no
    validation side, unless the bundle was made of some: then it knew nothing of that column.

    Args:
        side: None for `valid` where that can be told, else `all`.

    Raises:
        DatasetError: not a dataset; no such side can be told; or pictures that the bundle was made
            of would be called unseen.
    """
    if side not in (None, *SIDES):
        raise DatasetError(f"no split {side!r}: choose one of {', '.join(SIDES)}")
    rows = read_dataset(folder)
    own = _own_sides(rows, manifest)
    named = {picture.path: picture.columns.get("split") or "" for picture in rows}
    if side is None:
        side = "valid" if own or "valid" in named.values() else "all"
    if side == "all":
        return _judged(rows, manifest, _words_of_all(own, manifest))
    if own and side in ("valid", "train"):
        chosen = [p for p in rows if own[p.path] == side]
        words = {
            "valid": "the bundle's own validation side and what has come since: not trained on, "
            "but temperature and thresholds were chosen there",
            "train": "pictures that the bundle was trained on: these figures say nothing of others",
        }[side]
        judged = _judged(chosen, manifest, words)
        if side == "valid":
            few = [p for p in rows if own[p.path] == "train" and p.category in manifest.prototypes]
            return replace(judged, unknown=judged.unknown + few)
        return judged
    chosen = [p for p in rows if named[p.path] == side]
    if not chosen:
        raise DatasetError(
            f"{folder} has no picture with split {side!r}, and it is not known as the data set "
            "that the bundle was made of; run `python -m data_prep prepare` or use --split all"
            if not own
            else f"{folder} has no picture with split {side!r}; use --split valid or all"
        )
    seen = sum((own or {}).get(picture.path) == "train" for picture in chosen)
    if seen and side != "train":
        raise DatasetError(
            f"{seen} of the {len(chosen)} pictures with split {side!r} were trained on, so figures "
            "on them would flatter; use --split valid, the side that the bundle did not see"
        )
    words = f"pictures with split {side!r} in metadata.csv{_doubt(manifest)}"
    return _judged(chosen, manifest, words)


def choose_common_side(
    folder: Path, manifests: Sequence[Manifest], side: str | None = None
) -> Judged:
    """Pictures for a comparison: those of `choose_side` for every one of the bundles.

    Raises:
        DatasetError: see `choose_side`; or nothing is on that side for all of them.
    """
    judged = [choose_side(folder, manifest, side) for manifest in manifests]
    common = set.intersection(*({p.path for p in each.pictures} for each in judged))
    pictures = [p for p in judged[0].pictures if p.path in common]
    if not pictures:
        raise DatasetError("the bundles have no picture of that side in common; use --split all")
    return Judged(pictures, [], "; ".join(dict.fromkeys(each.words for each in judged)))


def seen_names(pictures: Iterable[Picture]) -> list[str]:
    """What `bundle.json` remembers of the pictures that a bundle is made of, whatever their row.

    Returns:
        the first 48 bits of their hashes, hex, sorted; two of a million pictures share theirs with
        a probability of 0.2 %.
    """
    return sorted({picture.sha256[:SEEN_DIGITS] for picture in pictures})


def _own_sides(rows: list[Picture], manifest: Manifest) -> dict[Path, str] | None:
    """Path -> "train" for what the bundle was made of, "test" for what it left to a test, else
    "valid"; None for a data set that is not known as its own."""
    seen = set(manifest.training.get("seen", ()))
    if not seen and "fingerprint" in manifest.training:
        raise DatasetError(
            f"the bundle {manifest.name} does not say which pictures it was trained on, as bundles "
            "of older versions: export it again from its run"
        )
    trained = {p.path for p in rows if p.sha256[:SEEN_DIGITS] in seen}
    tested = {p.path for p in rows if p.is_held_out}
    if not trained:
        return None
    others = dict.fromkeys(tested, "test") if trained.isdisjoint(tested) else {}
    return {p.path: "train" if p.path in trained else others.get(p.path, "valid") for p in rows}


def _doubt(manifest: Manifest) -> str:
    """What is to be said beside every side of a bundle that remembers no picture, as it was not
    made by `fit`."""
    if manifest.training.get("seen"):
        return ""
    return f"; it is not known which pictures {manifest.name} was trained on: figures may flatter"


def _words_of_all(own: dict[Path, str] | None, manifest: Manifest) -> str:
    if doubt := _doubt(manifest):
        return f"all pictures{doubt}"
    if own is None:
        return "all pictures of a data set that is not the one the bundle was made of"
    seen = sum(side == "train" for side in own.values())
    return f"all pictures, {seen} of which the bundle was made of: the figures flatter"


def _judged(chosen: list[Picture], manifest: Manifest, words: str) -> Judged:
    known = set(manifest.labels)
    pictures = [p for p in chosen if p.category in known]
    if not pictures:
        raise DatasetError(
            "none of these pictures is of a category that the bundle has a label for"
        )
    return Judged(pictures, [p for p in chosen if p.category not in known], words)
