"""Copies planted among real pictures, and who finds them: ours, imagededup, CleanVision."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.cost import Cost, timed
from benchmarks.imagenet_network import imagenet_network
from data_prep.candidates import SearchSettings
from data_prep.copies import Relation
from data_prep.copy_search import find_copies
from data_prep.glance import fill_hashes
from data_prep.table import Table, read_table
from ideitify.dataset import read_dataset, write_rows
from ideitify.files import sha256_of

Pair = frozenset[str]
Rng = np.random.Generator

console = Console(width=150)


def reencoded(image: Image.Image, rng: Rng) -> Image.Image:
    return image


def resized(image: Image.Image, rng: Rng) -> Image.Image:
    factor = rng.choice([0.4, 0.5, 0.7, 1.5, 2.0])
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, rng: Rng) -> Image.Image:
    """Ten per cent of either side are cut off."""
    width, height = round(0.9 * image.width), round(0.9 * image.height)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def bordered(image: Image.Image, rng: Rng) -> Image.Image:
    plain = rng.random() < 0.6
    colour = [int(rng.choice([0, 255]))] * 3 if plain else rng.integers(0, 256, 3).tolist()
    sides = rng.uniform(0.04, 0.15, 2) * image.size
    return ImageOps.expand(image, (round(sides[0]), round(sides[1])), tuple(colour))


def recoloured(image: Image.Image, rng: Rng) -> Image.Image:
    kind = rng.integers(0, 4)
    if kind == 0:
        return image.convert("L").convert("RGB")
    if kind == 1:
        hue, saturation, value = image.convert("HSV").split()
        shift = int(rng.integers(20, 236))
        turned = hue.point(lambda level: (level + shift) % 256)
        return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    if kind == 2:
        gamma = rng.choice([0.5, 0.6, 1.6, 2.0])
        return image.point(lambda level: 255 * (level / 255) ** gamma)
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.2, 2.0))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.6, 1.5))
    return ImageEnhance.Brightness(image).enhance(rng.uniform(0.7, 1.3))


def mirrored(image: Image.Image, rng: Rng) -> Image.Image:
    return ImageOps.mirror(image)


KINDS: dict[str, Callable[[Image.Image, Rng], Image.Image]] = {
    each.__name__.replace("reencoded", "re-encoded"): each
    for each in (reencoded, resized, cropped, bordered, recoloured, mirrored)
}


@dataclass(frozen=True)
class Planted:
    """A dataset folder with copies in it.

    Attributes:
        kind_of: how each planted pair was made; a pair is two file names without folders.
    """

    table: Table
    kind_of: dict[Pair, str]


def plant(data: Path, folder: Path, pairs: int, most: int = 0) -> Planted:
    """Link the pictures of a dataset folder into one folder, and copies of some, changed.

    Args:
        most: of the pictures, chosen at random; 0 for all.
    """
    rng = np.random.default_rng(0)
    pictures = read_dataset(data)
    if most:
        pictures = [pictures[place] for place in rng.permutation(len(pictures))[:most]]
    (folder / "images").mkdir(parents=True)
    rows, kind_of = [], {}
    for picture in pictures:
        name = f"images/{picture.path.name}"
        (folder / name).symlink_to(picture.path.absolute())
        rows.append({**picture.columns, "file_name": name})
    for number, place in enumerate(rng.permutation(len(pictures))[:pairs]):
        kind = list(KINDS)[number % len(KINDS)]
        picture = pictures[place]
        path = folder / "images" / f"copy-{number:05}.jpg"
        with Image.open(picture.path) as image:
            changed = KINDS[kind](image.convert("RGB"), rng)
        changed.save(path, quality=int(rng.integers(25, 60)) if kind == "re-encoded" else 88)
        rows.append(
            {"file_name": f"images/{path.name}", "category": picture.category, "status": "kept",
             "sha256": sha256_of(path)}
        )  # fmt: skip
        kind_of[frozenset((path.name, picture.path.name))] = kind
    write_rows(folder, rows)
    return Planted(read_table(folder), kind_of)


def ours(planted: Planted) -> set[Pair]:
    """What the duplicates step would call copies, from nothing: hashes, embeddings, comparisons."""
    fill_hashes(planted.table)
    pairs = find_copies(planted.table, SearchSettings())
    copies = pairs[pairs["relation"] == Relation.COPY]
    return {
        frozenset((Path(first).name, Path(second).name))
        for first, second in zip(copies["first"], copies["second"], strict=True)
    }


def scored_pairs(found: dict[str, list[tuple[str, float]]]) -> dict[Pair, float]:
    """imagededup's answer as pairs with their score."""
    return {
        frozenset((name, other)): float(score)
        for name, others in found.items()
        for other, score in others
    }


def imagededup_phash(planted: Planted) -> dict[Pair, float]:
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    folder = planted.table.folder / "images"
    return scored_pairs(
        method.find_duplicates(image_dir=folder, max_distance_threshold=20, scores=True)
    )


def imagededup_cnn(planted: Planted, backbone: str | None) -> tuple[dict[Pair, float], str]:
    """Its pairs, and which network it used."""
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel

    try:
        method, name = CNN(verbose=False), "MobileNetV3"
    except OSError as error:
        console.print(f"imagededup's own weights cannot be had here ({error})")
        if backbone is None:
            return {}, "not run"
        model, transform = imagenet_network(backbone)
        name = Path(backbone).name
        method = CNN(False, CustomModel(name=name, model=model, transform=transform))
    folder = planted.table.folder / "images"
    found = method.find_duplicates(image_dir=folder, min_similarity_threshold=0.7, scores=True)
    return scored_pairs(found), name


def cleanvision(planted: Planted) -> set[Pair]:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(planted.table.folder / "images"))
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    sets = [lab.info[kind]["sets"] for kind in ("exact_duplicates", "near_duplicates")]
    return {
        frozenset((Path(a).name, Path(b).name))
        for group in (*sets[0], *sets[1])
        for a in group
        for b in group
        if a != b
    }


def f1(found: set[Pair], planted: set[Pair]) -> float:
    return 2 * len(found & planted) / max(1, len(found) + len(planted))


def at_thresholds(
    scores: dict[Pair, float], planted: set[Pair], default: float, distances: bool
) -> Iterator[tuple[str, set[Pair]]]:
    """The pairs at the default threshold, and at that with the best F1."""

    def within(threshold: float) -> set[Pair]:
        sign = 1 if distances else -1
        return {pair for pair, score in scores.items() if sign * score <= sign * threshold}

    steps = sorted({default, *np.round(list(scores.values()), 0 if distances else 2).tolist()})
    best = max(steps, key=lambda step: f1(within(step), planted))
    yield f"default, {default:g}", within(default)
    yield f"best here, {best:g}", within(best)


def near_duplicates(data: Path, pairs: int, backbone: str | None, most: int) -> None:
    """Print who finds the planted copies."""
    sheet = Sheet("near duplicates", *KINDS, "recall", "precision", "time", title=f"{pairs} pairs")
    with tempfile.TemporaryDirectory() as scratch:
        planted = plant(data, Path(scratch) / "planted", pairs, most)
        truth = set(planted.kind_of)

        def tell(name: str, found: set[Pair], cost: Cost) -> None:
            by_kind = pd.Series([pair in found for pair in truth]).groupby(
                [planted.kind_of[pair] for pair in truth]
            )
            right = len(found & truth)
            recall, precision = right / len(truth), right / max(1, len(found))
            shares = by_kind.mean()[list(KINDS)]
            sheet.add_row(
                name, *(f"{share:.3f}" for share in (*shares, recall, precision)), str(cost)
            )
            console.print(f"{name}: recall {recall:.4f}, precision {precision:.4f}, {cost}")

        found, cost = timed(partial(ours, planted))
        tell("ours", found, cost)
        for pair in sorted(found - truth, key=sorted):
            console.print("not planted:", *sorted(pair))
        for pair in sorted(truth - found, key=sorted):
            console.print("not found:", planted.kind_of[pair], *sorted(pair))
        scores, cost = timed(partial(imagededup_phash, planted))
        for threshold, found in at_thresholds(scores, truth, 10, distances=True):
            tell(f"imagededup PHash ({threshold})", found, cost)
        (scores, name), cost = timed(partial(imagededup_cnn, planted, backbone))
        for threshold, found in at_thresholds(scores, truth, 0.9, distances=False):
            tell(f"imagededup CNN, {name} ({threshold})", found, cost)
        found, cost = timed(partial(cleanvision, planted))
        tell("CleanVision", found, cost)
    console.print(sheet)
    console.print("aim: recall and precision of 0.98 or more, the best of all")
