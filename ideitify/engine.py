"""Work over a list of items, here or on many machines: one function, one argument to scale out."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Literal, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Engine = Literal["local", "ray"]

# Items handed out beyond those at work, per worker: enough that none waits for its next one.
AHEAD = 1
CONNECT_SECONDS = 10


class EngineError(ValueError):
    """The work cannot be done here; the message says what to do. Errors of the work are its own."""


def run(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    *,
    engine: Engine = "local",
    workers: int | None = None,
    address: str | None = None,
    instead: Callable[[Item], Result] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Apply `work` to every item in parallel; yields (item, result) as they are done.

    Args:
        items: consumed as workers become free, so that endless ones are fine.
        work: a module-level function; on Ray it may run twice where a node dies in the middle.
        engine: `local`, a pool of processes; `ray`, tasks on an existing cluster, whose nodes have
            the project, its libraries and the pictures at the same paths as this machine.
        workers: processes, or Ray tasks at a time; as many as there are CPUs by default.
        address: of the Ray cluster; by default the one that Ray finds.
        instead: done here for the items that were at work when a process of the pool died, which
            is an error otherwise; `one_by_one` finds the one that it died of.

    Raises:
        EngineError: no such cluster, Ray is not installed, or workers died.
        Exception: whatever `work` raises, at the item that made it; what others are still doing
            is dropped.
    """
    if engine == "ray":
        return _run_on_ray(items, work, workers, address)
    return _run_here(items, work, workers or os.cpu_count() or 1, instead)


def one_by_one(
    items: Sequence[Item], work: Callable[[Item], Result], instead: Callable[[Item], Result]
) -> list[Result]:
    """Apply `work` to each item alone in a process, and `instead` to one that the process dies of.

    Raises:
        EngineError: not even a process with nothing to do lives.
    """
    results: list[Result] = []
    while len(results) < len(items):
        with processes(1) as pool:
            pool.submit(int).result()
            try:
                for item in items[len(results) :]:
                    results.append(pool.submit(work, item).result())
            except BrokenProcessPool:
                results.append(instead(items[len(results)]))
    return results


def _run_here(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    workers: int,
    instead: Callable[[Item], Result] | None,
) -> Iterator[tuple[Item, Result]]:
    if workers == 1:
        yield from ((item, work(item)) for item in items)
        return
    remaining = iter(items)
    while True:
        waiting: dict[Future[Result], Item] = {}
        with processes(workers) as pool:
            try:
                yield from _run_in_pool(pool, remaining, work, (1 + AHEAD) * workers, waiting)
                return
            except BrokenProcessPool:
                if instead is None:
                    raise
        for item in waiting.values():
            yield item, instead(item)


def _run_in_pool(
    pool: ProcessPoolExecutor,
    remaining: Iterator[Item],
    work: Callable[[Item], Result],
    most: int,
    waiting: dict[Future[Result], Item],
) -> Iterator[tuple[Item, Result]]:
    """At most so many at a time; `waiting` holds those that were taken and not yet given back."""
    while True:
        for item in islice(remaining, most - len(waiting)):
            waiting[_submit(pool, work, item)] = item
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            result = future.result()
            yield waiting.pop(future), result


def _submit(
    pool: ProcessPoolExecutor, work: Callable[[Item], Result], item: Item
) -> Future[Result]:
    try:
        return pool.submit(work, item)
    except BrokenProcessPool as error:  # told with the item's turn, so that the item is not lost
        future: Future[Result] = Future()
        future.set_exception(error)
        return future


@contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes, each started when it is first needed.

    They leave Ctrl-C to this process, and end with it, even where it is killed.

    Raises:
        EngineError: in the context, where one of them died.
    """
    pool = ProcessPoolExecutor(workers, _Context(), initializer=_follow_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise EngineError(
            "a worker process died, most likely for want of memory: free some, or use fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker(SpawnProcess):
    """A process that Ctrl-C does not reach while it starts, when it cannot ignore it yet."""

    def start(self) -> None:
        if sys.platform == "win32":
            super().start()
            return
        resource_tracker.ensure_running()  # else starting the process does, and lifts the block
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class _Context(SpawnContext):
    """Spawns, not forks: a copy of a process with threads (of onnxruntime, say) may hang."""

    Process = _Worker


def _follow_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_on_ray(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int | None, address: str | None
) -> Iterator[tuple[Item, Result]]:
    with cluster(address) as ray:
        task = ray.remote(work)
        at_once = workers or (1 + AHEAD) * int(ray.cluster_resources().get("CPU", 1))
        remaining = iter(items)
        waiting: dict[Any, Item] = {}
        try:
            while True:
                for item in islice(remaining, at_once - len(waiting)):
                    waiting[task.remote(item)] = item
                if not waiting:
                    return
                for done in ray.wait(list(waiting), num_returns=1)[0]:
                    yield waiting.pop(done), ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise EngineError(f"the Ray cluster gave up on a task: {error}") from error
        finally:
            for unread in waiting:
                ray.cancel(unread, force=True)


@contextmanager
def cluster(address: str | None) -> Iterator[Any]:
    """Ray, connected; a connection that is there already is used and left open.

    Raises:
        EngineError: no such cluster, or Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise EngineError("Ray is not installed: pip install ray") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        if address:
            _knock(address)
        ray.init(address or "auto", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"no Ray cluster answers at {address or 'any known address'}: start one with "
            "ray start --head, or name it with --address"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself waits without end for an address at which nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
        pass
