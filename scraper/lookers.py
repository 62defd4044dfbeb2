"""Who looks at pictures, in a pool of processes that outlives any picture that ends one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ideitify.engine import one_by_one
from ideitify.photo import PhotoError
from ideitify.settings import Settings
from scraper.look import Look, look_at

Picture = tuple[Path, bytes | None]  # as `look_at` takes it


@dataclass(frozen=True)
class Looking:
    """Pictures that are being looked at."""

    pictures: Sequence[Picture]
    future: Future[list[Look | PhotoError]]

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.future.done()


class Lookers:
    """A pool that looks at pictures; use it as a context, at whose end what waits is dropped.

    Args:
        limits: on the pictures.
        open_pool: makes the pool, and another where that one broke.
    """

    def __init__(
        self, limits: Settings, open_pool: Callable[[], AbstractContextManager[Executor]]
    ) -> None:
        self._limits, self._open_pool = limits, open_pool
        self._stack = ExitStack()

    def __enter__(self) -> Lookers:
        self._pool = self._stack.enter_context(self._open_pool())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def submit(self, pictures: Sequence[Picture]) -> Looking:
        """Have pictures looked at."""
        try:
            future = self._pool.submit(look_at, pictures, self._limits)
        except BrokenProcessPool:
            self._stack.close()
            self._pool = self._stack.enter_context(self._open_pool())
            future = self._pool.submit(look_at, pictures, self._limits)
        return Looking(pictures, future)

    def looks(self, looking: Looking) -> list[Look | PhotoError]:
        """Wait for what they see, see `look_at`.

        Where a process ended, each picture is looked at again, alone, and the one with which it
        ends again is refused as `fatal`.

        Raises:
            OSError: a file cannot be written.
            EngineError: not even a process with nothing to do lives.
        """
        try:
            return looking.future.result()
        except BrokenProcessPool:
            return one_by_one(looking.pictures, partial(_look_at_one, self._limits), _refuse)


def _look_at_one(limits: Settings, picture: Picture) -> Look | PhotoError:
    (look,) = look_at([picture], limits)
    return look


def _refuse(picture: Picture) -> PhotoError:
    path, _ = picture
    path.unlink(missing_ok=True)
    return PhotoError("fatal")
