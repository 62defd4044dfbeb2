"""Near duplicates and label errors, planted among real pictures; and duplicates by the million.

    python -m benchmarks.data_prep --data ../shared/deities \
        --backbone ../shared/weights/mobilenet_edgetpu_100.mlperf_in1k
    python -m benchmarks.data_prep --simulate 1000000

Copies of known kinds are planted among the pictures of a dataset folder; ours, imagededup and
CleanVision look for them. A pair is right if it was planted, so that copies which the folder had
before count against whoever finds them; ours are named, to be looked at. imagededup has a line at
its default threshold and one at the best for this very set. Its CNN needs weights from the
internet; where they cannot be had, it gets the backbone given.

Label errors are labels swapped between pictures. The bundle that ships was trained on the right
labels of most of these pictures, which helps ours; with `--backbone`, a second line is of
embeddings that never saw a label of them.

Times are of the clock and, in brackets, of the processors, all processes together: on a busy
machine only the latter can be compared.

The simulation runs the duplicates step, but for opening pictures, on made-up hashes and embeddings
of the bundle's size, in a process of its own each, and compares it with all pairs, measured on ten
thousand and extrapolated.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from PIL import Image, ImageEnhance, ImageOps
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.cost import Cost, timed
from data_prep.candidates import MIRROR, SearchSettings, candidate_pairs
from data_prep.copies import Relation
from data_prep.copy_search import find_copies
from data_prep.duplicates import decide
from data_prep.embed import PICTURES_PER_FILE, Cache, embed
from data_prep.glance import fill_hashes
from data_prep.labels import LabelsSettings, judge
from data_prep.table import DECIDED_BY, Table, read_table
from ideitify.bundle import sha256_of
from ideitify.dataset import COLUMNS, read_dataset, write_rows

Pair = frozenset[str]
Rng = np.random.Generator

SWAPPED = 0.05
WIDTH, LABELS = 2560, 218  # of the bundle that ships: its embedding and its labels
PER_CLUSTER = 50  # simulated pictures of one subject

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


def imagenet_network(backbone: str) -> tuple[Any, Callable[[Image.Image], Any]]:
    """A timm network without its last layer, and how it wants its pictures."""
    import timm
    import torch

    from training.backbone import find_backbone

    found = find_backbone(backbone)
    model = timm.create_model(found.architecture, True, num_classes=0, **found.keywords).eval()
    mean, std = np.array(found.mean, np.float32), np.array(found.std, np.float32)

    def transform(image: Image.Image) -> torch.Tensor:
        pixels = np.asarray(image.convert("RGB").resize((224, 224)), np.float32) / 255
        return torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1))

    return model, transform


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


def swapped(categories: np.ndarray, seed: int) -> np.ndarray:
    """Labels of which `SWAPPED` went round among pictures of different categories."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(categories))
    chosen = [order[0]]
    for place in order[1:]:
        if len(chosen) < SWAPPED * len(order) and categories[place] != categories[chosen[-1]]:
            chosen.append(place)
    while categories[chosen[0]] == categories[chosen[-1]]:
        chosen.pop()
    given = categories.copy()
    given[chosen] = np.roll(categories[chosen], 1)
    return given


def label_errors(data: Path, backbone: str | None, seeds: int) -> None:
    """Print how well doubtful labels are ranked; mean and range over seeds."""
    from sklearn.metrics import average_precision_score

    sheet = Sheet("label errors", "average precision", "precision of the doubted", "their recall",
                  title=f"{SWAPPED:.0%} swapped")  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        table = plant(data, Path(scratch) / "data", 0).table
        seen = embed(table)
        views: dict[str, np.ndarray | None] = {"ours, embeddings of the bundle": seen.embeddings}
        if backbone:
            views["ours, embeddings of the backbone"] = backbone_embeddings(table, backbone)
        views["cleanlab on raw pixels"] = raw_pixels(table)
        views["random order"] = None
        truth = table.rows["category"].to_numpy(dtype=object)
        alone = pd.Series(table.rows.index)
        for name, vectors in views.items():
            figures = []
            for seed in range(seeds):
                given = swapped(truth, seed)
                wrong = given != truth
                if vectors is None:
                    doubt = np.random.default_rng(seed).random(len(truth))
                    doubted = doubt > 0.9
                else:
                    judged = judge(vectors, given, alone, LabelsSettings())
                    doubt, doubted = -np.nan_to_num(judged.scores, nan=1.0), judged.issues
                right = (doubted & wrong).sum()
                figures.append((average_precision_score(wrong, doubt), right / doubted.sum(),
                                right / wrong.sum()))  # fmt: skip
            sheet.add_row(name, *(mean_and_range(column) for column in zip(*figures, strict=True)))
    console.print(sheet)
    console.print("aim: average precision of 0.6 or more; pictures not judged rank last")


def mean_and_range(values: tuple[float, ...]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def backbone_embeddings(table: Table, backbone: str) -> np.ndarray:
    """float32 (n, d), unit length, of a network that never saw a label of these pictures."""
    import torch

    model, transform = imagenet_network(backbone)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(table.rows), 32):
            images = [Image.open(table.path(n)) for n in table.rows.index[start : start + 32]]
            batch = torch.stack([transform(image) for image in images])
            rows.append((model(batch) + model(batch.flip(3))).numpy())
    vectors = np.concatenate(rows)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def raw_pixels(table: Table) -> np.ndarray:
    """Small pictures as vectors, float32 (n, 768), unit length."""
    rows = []
    for name in table.rows.index:
        with Image.open(table.path(name)) as image:
            small = image.convert("RGB").resize((16, 16), Image.Resampling.BOX)
        rows.append(np.asarray(small, np.float32).ravel())
    pixels = np.stack(rows)
    pixels -= pixels.mean(axis=0)
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


def make_up(folder: Path, count: int) -> None:
    """Hashes, and embeddings in a cache; the last tenth are copies of the first."""
    rng = np.random.default_rng(0)
    copies = count // 10
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    flips = np.zeros(copies, np.uint64)
    for _ in range(6):
        flips ^= np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
    changed = hashes[:copies] ^ flips
    changed[::3] ^= MIRROR
    changed[1::3] = hashes[-copies:][1::3]  # cropped: the hash knows nothing of it
    hashes[-copies:] = changed
    np.save(folder / "hashes.npy", hashes)

    centres = rng.standard_normal((count // PER_CLUSTER + 1, 64), dtype=np.float32)
    seen = centres[rng.integers(0, len(centres), count)]
    seen += 0.7 * rng.standard_normal(seen.shape, dtype=np.float32)
    seen[-copies:] = seen[:copies] + 0.4 * rng.standard_normal((copies, 64), dtype=np.float32)
    spread = rng.standard_normal((64, WIDTH), dtype=np.float32)
    for start in range(0, count, PICTURES_PER_FILE):
        block = seen[start : start + PICTURES_PER_FILE] @ spread
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        rows = np.hstack([block, np.full((len(block), LABELS), 1 / LABELS, np.float32)])
        made_up_cache(folder).write({key_of(start + n): row for n, row in enumerate(rows)})


def key_of(number: int) -> str:
    return f"{number:064x}"


def made_up_cache(folder: Path) -> Cache:
    return Cache(folder / "cache", tuple(f"label-{number}" for number in range(LABELS)))


def run_made_up(folder: Path, count: int, figures: Any) -> None:
    """The duplicates step on them; pixels would show the planted pairs to be copies."""
    hashes = [f"{value:016x}" for value in np.load(folder / "hashes.npy").tolist()]
    columns = {
        "category": [f"c{number % (count - count // 10) % LABELS}" for number in range(count)],
        "perceptual_hash": hashes,
        "sha256": [key_of(number) for number in range(count)],
        "group": [f"source {number // 200}" for number in range(count)],
        "status": "kept",
    }
    copies = count // 10
    names = [f"images/{number:08}.jpg" for number in range(count)]
    rows = pd.DataFrame(columns, names, dtype=str).reindex(columns=[*COLUMNS[1:], DECIDED_BY])
    table = Table(folder, rows.fillna(""))

    def search() -> np.ndarray:
        seen = made_up_cache(folder).read(list(rows["sha256"]), SearchSettings().dimensions)
        vectors = seen.embeddings
        del seen  # as in the step: the probabilities are let go before the search
        return candidate_pairs(hashes, vectors, SearchSettings())

    candidates, searched = timed(search)
    copied = candidates[candidates[:, 1] - candidates[:, 0] == count - copies]
    ends = np.array(names, dtype=object)[copied]
    pairs = pd.DataFrame(ends, columns=["first", "second"]).assign(relation=Relation.COPY)
    _, decided = timed(partial(decide, table, pairs, {name: name for name in names}))
    rejected = int((table.rows["status"] == "rejected").sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures.put((searched, decided, peak, len(candidates), rejected / copies))


def all_pairs_seconds(folder: Path, count: int) -> float:
    """Processor seconds to compare every hash and every embedding with every other."""
    hashes = np.load(folder / "hashes.npy")
    keys = [key_of(number) for number in range(count)]
    vectors = made_up_cache(folder).read(keys).embeddings

    def compare() -> None:
        for start in range(0, count, 500):
            block = slice(start, start + 500)
            for queries in (hashes[block], hashes[block] ^ MIRROR):
                distances = np.bitwise_count(queries[:, None] ^ hashes)
                np.nonzero(distances <= SearchSettings().hash_bits)
            np.nonzero(vectors[block] @ vectors.T >= SearchSettings().cosine)

    return timed(compare)[1].processors


def simulate(largest: int) -> None:
    """Print how time and memory grow."""
    sheet = Sheet("rows", "search", "decide", "peak memory", "pairs to look at", "copies found",
                  "all pairs", title=f"{os.cpu_count()} processors")  # fmt: skip
    spawn, every = get_context("spawn"), None
    for count in [10**power for power in range(4, 9) if 10**power <= largest]:
        with tempfile.TemporaryDirectory() as scratch:
            folder, figures = Path(scratch), spawn.SimpleQueue()
            for work in (partial(make_up, folder, count),
                         partial(run_made_up, folder, count, figures)):  # fmt: skip
                process = spawn.Process(target=work)
                process.start()
                process.join()
            if every is None:
                every = all_pairs_seconds(folder, count) / count**2
            searched, decided, peak, pairs, found = figures.get()
        sheet.add_row(f"{count:,}", str(searched), str(decided), f"{peak:.2f} GiB",
                      f"{pairs:,}", f"{found:.2%}", f"{every * count**2:,.0f} s")  # fmt: skip
    console.print(sheet)
    console.print("aim at 1,000,000: under 600 s and 4 GiB; all pairs beyond the first line are "
                  "extrapolated")  # fmt: skip


def main(
    data: Annotated[Path | None, typer.Option(help="dataset folder to plant in")] = None,
    backbone: Annotated[str | None, typer.Option(help="as `training fit` takes it")] = None,
    pairs: Annotated[int, typer.Option(help="planted copies; 0 for none")] = 2000,
    pictures: Annotated[int, typer.Option(help="plant among so many; 0 for all")] = 0,
    seeds: Annotated[int, typer.Option(help="runs with other swapped labels; 0 for none")] = 3,
    simulate_rows: Annotated[
        int | None, typer.Option("--simulate", help="10000, 100000, … up to so many rows")
    ] = None,
) -> None:
    """Print what was asked for."""
    if data and pairs:
        near_duplicates(data, pairs, backbone, pictures)
    if data and seeds:
        label_errors(data, backbone, seeds)
    if simulate_rows:
        simulate(simulate_rows)


if __name__ == "__main__":
    typer.run(main)
