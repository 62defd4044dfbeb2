"""Pictures handed to workers: several to a task, and one that ends its process fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypedDict, TypeVar, Unpack

from ideitify.engine import Engine, one_by_one, run

Item = TypeVar("Item")
Picture = TypeVar("Picture")  # what a worker needs to know of one
Seen = TypeVar("Seen")

PICTURES_PER_TASK = 32  # enough that sending a task costs nothing against doing it


class Where(TypedDict, total=False):
    """Where work is done, as `ideitify.engine.run` takes it."""

    engine: Engine
    workers: int | None
    address: str | None


def run_on_pictures(
    pictures: Iterable[Picture],
    work: Callable[[tuple[Picture, ...]], list[Seen]],
    *,
    fatal: Seen,
    **where: Unpack[Where],
) -> Iterator[tuple[tuple[Picture, ...], list[Seen]]]:
    """Apply `work` to pictures in parallel, several at a time; yields (pictures, what was seen).

    Where a worker died, each picture of its task gets a process of its own.

    Args:
        work: a module-level function, one result for each picture.
        fatal: the result of a picture that its process dies of.
    """

    def singly(task: tuple[Picture, ...]) -> list[Seen]:
        alone = [(picture,) for picture in task]
        return [seen for (seen,) in one_by_one(alone, work, lambda _: [fatal])]

    return run(batches(pictures, PICTURES_PER_TASK), work, instead=singly, **where)


def batches(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """So many items at a time, the rest at the end."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch
