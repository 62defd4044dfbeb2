"""From a dataset folder to batches: chosen pictures, a decoded cache, augmentation, sampling."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.torch_basics import Pipeline
from fastai.vision.augment import RandomErasing, Saturation, aug_transforms
from fastai.vision.core import TensorImage
from filelock import FileLock
from rich.progress import track
from torchvision.transforms import v2

from ideitify.dataset import NONE_CATEGORY, DatasetError, Picture, fingerprint, read_dataset
from ideitify.files import replacing
from ideitify.knowledge import has_entry
from ideitify.photo import PhotoError, open_photo
from ideitify.recognizer import fit_square

CACHE_SIZE = 288  # pixels a side; crops of it are what the network sees


def choose_pictures(folder: Path, min_images: int = 9) -> list[Picture]:
    """The kept pictures of `none` and of every category with at least `min_images` of them.

    Those held out for a test are not among them and do not count.

    Raises:
        DatasetError: the folder is not a dataset, fewer than two categories remain, or one of them
            is not in `knowledge/`, so that no bundle could answer it; or `none` is missing.
    """
    pictures = [picture for picture in read_dataset(folder) if not picture.is_held_out]
    sizes = Counter(picture.category for picture in pictures)
    chosen = {c for c, size in sizes.items() if size >= min_images or c == NONE_CATEGORY}
    if len(chosen) < 2:
        raise DatasetError(
            f"{folder} has {len(chosen)} categories with {min_images} or more kept pictures; "
            "at least two are needed (collect more, or lower --min-images)"
        )
    if not sizes[NONE_CATEGORY]:
        raise DatasetError(
            f"{folder} has no kept picture of the category {NONE_CATEGORY!r}, which teaches what "
            "is no deity: collect statues of people, figurines, buildings and whatever else might "
            "be mistaken for one"
        )
    if strangers := sorted(category for category in chosen if not has_entry(category)):
        raise DatasetError(
            f"{folder}: no knowledge entry for {', '.join(strangers)}, and an answer needs one: "
            "add knowledge/<category>.md (python -m scraper new <category> drafts it), or relabel"
        )
    return [picture for picture in pictures if picture.category in chosen]


def decoded_pictures(pictures: Sequence[Picture], resize: str, cache: Path) -> np.ndarray:
    """Every picture decoded and resized once, from the cache where that was done before.

    Returns:
        uint8 (n, CACHE_SIZE, CACHE_SIZE, 3), memory-mapped.

    Raises:
        DatasetError: a picture cannot be read; it is named.
        OSError: the disk has no room for them.
    """
    order = fingerprint(pictures) + "".join(str(picture.path) for picture in pictures)
    key = f"{hashlib.sha256(order.encode()).hexdigest()[:16]}-{resize}-{CACHE_SIZE}.npy"
    path = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{key}.lock"):  # a second run waits, and then has them
        if not path.is_file():
            for leftover in cache.glob(f".{key}.*.partial"):  # of a run that was killed
                leftover.unlink()
            _decode(pictures, resize, path)
    return np.load(path, mmap_mode="r")


def _decode(pictures: Sequence[Picture], resize: str, path: Path) -> None:
    """Write the pictures to `path`, which appears when all of them are there."""
    with replacing(path) as partial:
        shape = (len(pictures), CACHE_SIZE, CACHE_SIZE, 3)
        pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        reserve(partial, pixels.nbytes)

        def decode(index: int) -> None:
            try:
                image = open_photo(pictures[index].path, side=CACHE_SIZE)
            except PhotoError as error:
                raise DatasetError(
                    f"{pictures[index].path}: {error}; run data_prep first"
                ) from error
            pixels[index] = np.asarray(fit_square(image, CACHE_SIZE, resize))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            work = pool.map(decode, range(len(pictures)))
            for _ in track(work, "decoding", total=len(pictures)):
                pass
        pixels.flush()


def reserve(path: Path, size: int) -> None:
    """Take `size` bytes of disk for a file now.

    A memory map takes them as it is written to, and ends the process where the disk is full.

    Raises:
        OSError: there is not so much space.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS, Windows
        return
    try:
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: the decoded pictures take {size / 2**30:.1f} GiB there; make room, "
            "or let XDG_CACHE_HOME name a folder on another disk",
            str(path.parent),
        ) from error


def valid_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> v2.Transform:
    """uint8 (3, h, w) -> float32 (3, size, size), normalised."""
    return v2.Compose(
        [
            v2.Resize((size, size), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )


def batch_augmentation(
    size: int, mean: Sequence[float], std: Sequence[float]
) -> Callable[[tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]]:
    """(uint8 (n, 3, h, w), labels) -> (float32 (n, 3, size, size), labels), normalised.

    fastai's transforms of whole batches, computed where the batch is: every picture is mirrored,
    warped, turned, enlarged and lit in its own way, in a single interpolation; from a share of the
    batches a patch is erased.
    """
    transforms = Pipeline(
        [
            IntToFloatTensor(),
            *aug_transforms(
                max_rotate=15,
                max_zoom=1.58,  # down to 0.4 of the area
                max_warp=0.2,
                p_affine=0.9,
                max_lighting=0.4,
                xtra_tfms=[Saturation(0.5, p=0.5)],
                size=size,
            ),
            Normalize.from_stats(mean, std),
            RandomErasing(p=0.25, sl=0.02, sh=0.2),
        ],
        split_idx=0,  # fastai's for training
    )

    def augment(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        photos, *targets = transforms((TensorImage(batch[0]), *batch[1:]))
        return photos.as_subclass(torch.Tensor), *targets

    return augment


class PictureDataset(torch.utils.data.Dataset):
    """(picture, label) pairs out of the decoded cache; without a transform, uint8 (3, h, w)."""

    def __init__(
        self,
        pixels: np.ndarray,
        indices: np.ndarray,
        labels: np.ndarray,
        transform: v2.Transform | None = None,
    ) -> None:
        self.pixels, self.indices, self.labels, self.transform = pixels, indices, labels, transform

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        index = self.indices[position]
        picture = torch.from_numpy(np.array(self.pixels[index])).permute(2, 0, 1)
        if self.transform is not None:
            picture = self.transform(picture)
        return picture, int(self.labels[index])


def sampling_weights(
    labels: np.ndarray, sources: np.ndarray, power: float, source_power: float
) -> np.ndarray:
    """Weight of each picture so that a class is drawn in proportion to its size**power, and within
    it a source in proportion to its size**source_power.

    Args:
        labels: int (n,).
        sources: (n,), whatever names where a picture comes from.

    Returns:
        float (n,), summing to 1.
    """
    sizes = np.bincount(labels)
    _, source_of, counts = np.unique(
        [f"{label} {source}" for label, source in zip(labels, sources, strict=True)],
        return_inverse=True,
        return_counts=True,
    )
    within = counts[source_of].astype(float) ** (source_power - 1)
    within /= np.bincount(labels, within)[labels]
    weights = sizes[labels].astype(float) ** power * within
    return weights / weights.sum()
