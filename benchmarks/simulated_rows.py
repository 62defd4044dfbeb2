"""The duplicates step on made-up hashes and embeddings, by the million, against all pairs."""

from __future__ import annotations

import os
import resource
import tempfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.cost import timed
from data_prep.candidates import MIRROR, SearchSettings, candidate_pairs
from data_prep.copies import Relation
from data_prep.duplicates import decide
from data_prep.embed import PICTURES_PER_FILE, Cache
from data_prep.table import DECIDED_BY, Table
from ideitify.dataset import COLUMNS

WIDTH, LABELS = 2560, 218  # of the bundle that ships: its embedding and its labels
PER_CLUSTER = 50  # simulated pictures of one subject

console = Console(width=150)


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
