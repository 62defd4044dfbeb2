"""What the model sees in every picture, computed once for each content and kept.

The cache is `.data_prep/embeddings/<bundle>/` in the dataset folder: pairs of `<name>.npy`, float16
(m, embedding + labels), and `<name>.txt`, the sha256 of the picture behind each row. A pair is
never changed once it is written, so an interrupted run goes on where it stopped, and several runs
do not disturb each other. Half precision is off by 0.0005 of a number, far less than what tells two
pictures apart, and halves what a million of them take: 5.6 GB with the bundle that ships.
"""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from data_prep.table import Table
from data_prep.workers import Where, run_on_pictures
from ideitify.bundle import MANIFEST_NAME, BundleError, Manifest, read_manifest
from ideitify.dataset import NONE_CATEGORY, PREPARED_NAME
from ideitify.files import sha256_of, write_whole
from ideitify.hub import bundle_folder
from ideitify.photo import PhotoError
from ideitify.recognizer import Recognizer
from ideitify.settings import settings as ideitify_settings

_SHA256 = re.compile(r"[0-9a-f]{64}")

PICTURES_PER_FILE = 512  # what an interruption loses: about ten seconds of work

Task = tuple[tuple[str, str], ...]  # (bundle, path)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedded:
    """What the model sees in n pictures.

    Attributes:
        embeddings: float32 (n, d), unit length; zeros where the picture cannot be read.
        probabilities: float32 (n, labels), calibrated; zeros where the picture cannot be read.
        labels: what the second axis of `probabilities` stands for.
        known: bool (n,), False where the picture cannot be read.
    """

    embeddings: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    labels: tuple[str, ...]
    known: np.ndarray = field(repr=False)


def embed(
    table: Table,
    bundle: str | Path | None = None,
    *,
    dimensions: int | None = None,
    **where: Unpack[Where],
) -> Embedded:
    """Embed the pictures of all rows, in row order; those in the cache are not opened again.

    Args:
        bundle: a folder or `hf://owner/repo@revision`; by default the one in the settings.
        dimensions: project the embeddings to so few, at random but always in the same way: their
            angles stay about the same, and memory is `dimensions` floats a picture. 0 where only
            `probabilities` are wanted.

    Raises:
        BundleError: the bundle cannot be used.
        OSError: the cache cannot be written.
    """
    source = _absolute(bundle_source(bundle))
    store = Cache.of(table.folder, source)
    keys = content_keys(table)
    key_of = _files_to_read(table, keys, store.keys())
    if key_of:
        logger.info("embedding %d pictures", len(key_of))
    pictures = ((source, path) for path in key_of)
    block: dict[str, np.ndarray] = {}
    for task, rows in run_on_pictures(pictures, embed_task, fatal=None, **where):
        read = zip(task, rows, strict=True)
        block |= {key_of[path]: row for (_, path), row in read if row is not None}
        if len(block) >= PICTURES_PER_FILE:
            store.write(block)
            block = {}
    store.write(block)
    return store.read(keys, dimensions)


def bundle_source(bundle: str | Path | None) -> str:
    """The model bundle that was asked for, or else the one in the settings."""
    return str(bundle or ideitify_settings().bundle)


def bundle_manifest(bundle: str | Path | None) -> Manifest:
    """What that bundle says of itself.

    Raises:
        BundleError: the bundle cannot be used.
    """
    return read_manifest(bundle_folder(bundle_source(bundle)))


def content_keys(table: Table) -> list[str]:
    """The sha256 of every row's picture: its column, or of the file; "" where neither is."""
    return [
        given if _SHA256.fullmatch(given) else _sha256(table.path(str(name)))
        for name, given in table.rows["sha256"].items()
    ]


def embed_task(task: Task) -> list[np.ndarray | None]:
    """Recognise pictures: (embedding + labels) numbers for each, None where it cannot be read."""
    return [_row(_recognizer(bundle), path) for bundle, path in task]


@dataclass(frozen=True)
class Cache:
    """The files of one bundle in one dataset folder."""

    folder: Path
    labels: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Path, source: str) -> Cache:
        """The cache for a bundle, named by the hash of its manifest.

        Raises:
            BundleError: the bundle cannot be used.
        """
        bundle = bundle_folder(source)
        labels = tuple(read_manifest(bundle).labels)
        name = sha256_of(bundle / MANIFEST_NAME)[:16]
        return cls(dataset / PREPARED_NAME / "embeddings" / name, labels)

    def keys(self) -> set[str]:
        """Every content that the cache knows."""
        return {key for path in self.folder.glob("*.txt") for key in _lines(path)}

    def write(self, block: Mapping[str, np.ndarray]) -> None:
        """Add rows by key; the list of keys comes last and makes them count."""
        if not block:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / uuid.uuid4().hex
        with path.with_suffix(".npy").open("wb") as file:
            np.save(file, np.stack(list(block.values())).astype(np.float16))
            file.flush()
            os.fsync(file.fileno())
        write_whole(path.with_suffix(".txt"), "\n".join(block))

    def read(self, keys: Sequence[str], dimensions: int | None = None) -> Embedded:
        """The rows of these contents; zeros for those that the cache does not know."""
        codes, unique = pd.factorize(np.array(keys, dtype=object))
        slot_of = {key: slot for slot, key in enumerate(unique)}
        out: np.ndarray | None = None
        seen = np.zeros((len(unique), len(self.labels)), np.float32)
        for path in sorted(self.folder.glob("*.txt")):
            slots = np.array([slot_of.get(key, -1) for key in _lines(path)])
            rows = _load(path.with_suffix(".npy"))[slots >= 0].astype(np.float32)
            vectors = rows[:, : -len(self.labels)]
            if dimensions is not None and dimensions < vectors.shape[1]:
                vectors = vectors @ _projection(vectors.shape[1], dimensions)
            if out is None:
                out = np.zeros((len(unique), vectors.shape[1]), np.float32)
            out[slots[slots >= 0]] = _unit(vectors)
            seen[slots[slots >= 0]] = rows[:, -len(self.labels) :]
        if out is None:
            out = np.zeros((len(unique), 1 if dimensions is None else dimensions), np.float32)
        if len(unique) < len(codes):
            out, seen = out[codes], seen[codes]
        return Embedded(out, seen, self.labels, seen.sum(axis=1) > 0)


def _row(recognizer: Recognizer, path: str) -> np.ndarray | None:
    labels = recognizer.labels
    try:
        answer = recognizer.recognize(path, top=len(labels))
    except PhotoError:
        return None
    found = {candidate.deity: candidate.probability for candidate in answer.candidates}
    found[NONE_CATEGORY] = answer.none_probability
    probabilities = [found.get(label, 0.0) for label in labels]
    return np.concatenate([answer.embedding, np.array(probabilities, np.float32)])


@cache
def _recognizer(source: str) -> Recognizer:
    """The process's own, with one thread: there are as many processes as processors."""
    return Recognizer.load(source, limits=ideitify_settings().model_copy(update={"threads": 1}))


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} is damaged: delete its folder to embed again") from error


@cache
def _projection(before: int, after: int) -> np.ndarray:
    """Gaussian, so that angles are kept up to noise (Johnson and Lindenstrauss, 1984)."""
    return np.random.default_rng(0).standard_normal((before, after), dtype=np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split("\n")


def _files_to_read(table: Table, keys: Sequence[str], known: set[str]) -> dict[str, str]:
    """Path -> key, one path for each content that is not known."""
    paths = zip(keys, map(table.path, table.rows.index), strict=True)
    path_of = {key: str(path.absolute()) for key, path in paths if key and key not in known}
    return {path: key for key, path in path_of.items()}


def _absolute(source: str) -> str:
    """A worker on another machine has another working folder."""
    return source if "://" in source else str(Path(source).absolute())


def _sha256(path: Path) -> str:
    return sha256_of(path) if path.is_file() else ""
