"""Which pictures a bundle may be judged on: never those that it was made of, by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ideitify.bundle import Manifest
from ideitify.dataset import DatasetError, Picture, fingerprint, read_dataset
from training.split import split_pictures

SIDES = ("valid", "test", "train", "all")


@dataclass(frozen=True)
class Judged:
    """Pictures to judge a bundle on.

    Attributes:
        pictures: of categories that are labels of the bundle.
        unknown: of deities that the bundle has no label for.
        words: what they are and whether the bundle was made of some, for a report.
    """

    pictures: list[Picture]
    unknown: list[Picture]
    words: str


def choose_side(folder: Path, manifest: Manifest, side: str | None = None) -> Judged:
    """Choose pictures of a dataset folder.

    Where the folder holds the very pictures that the bundle was made of, its own split is rebuilt
    from the settings in `bundle.json` and decides what is unseen, whatever the column `split` says.

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
        words = _words_of_all(own)
        return _judged(rows, manifest, words)
    if own and side in ("valid", "train"):
        chosen = [p for p in rows if own.get(p.path, "valid") == side]
        words = {
            "valid": "the bundle's own validation side, rebuilt from its settings: not trained on, "
            "but temperature and thresholds were chosen on it",
            "train": "pictures that the bundle was trained on: these figures say nothing of others",
        }[side]
        return _judged(chosen, manifest, words)
    chosen = [p for p in rows if named[p.path] == side]
    if not chosen:
        raise DatasetError(
            f"{folder} has no picture with split {side!r}, and it is not the data set that the "
            "bundle was made of, whose sides could be rebuilt; run `python -m data_prep prepare` "
            "or use --split all"
            if not own
            else f"{folder} has no picture with split {side!r}; use --split valid or all"
        )
    seen = sum((own or {}).get(picture.path) == "train" for picture in chosen)
    if seen and side != "train":
        raise DatasetError(
            f"{seen} of the {len(chosen)} pictures with split {side!r} were trained on, so figures "
            "on them would flatter; use --split valid, the side that the bundle did not see"
        )
    return _judged(chosen, manifest, f"pictures with split {side!r} in metadata.csv")


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


def _own_sides(rows: list[Picture], manifest: Manifest) -> dict[Path, str] | None:
    """Path -> "train" or "valid" for what the bundle was made of; None for another data set."""
    settings = manifest.training.get("settings") or {}
    few = set(manifest.prototypes)
    trained = [p for p in rows if p.category in set(manifest.labels) - few]
    if not trained or fingerprint(trained) != manifest.training.get("fingerprint"):
        return None
    split = split_pictures(trained, settings["valid_share"], settings["split_seed"])
    if int(split.is_valid.sum()) != manifest.training["pictures"]["valid"]:
        raise DatasetError(
            "the bundle was trained on these pictures with a split that cannot be rebuilt; use "
            "--split all, or evaluate on other pictures"
        )
    sides = {
        picture.path: "valid" if is_valid else "train"
        for picture, is_valid in zip(trained, split.is_valid, strict=True)
    }
    return sides | {p.path: "train" for p in rows if p.category in few}


def _words_of_all(own: dict[Path, str] | None) -> str:
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
