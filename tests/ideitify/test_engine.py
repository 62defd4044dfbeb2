"""One function runs work here or on a Ray cluster; errors arrive as they were raised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import psutil
import pytest

from ideitify.engine import EngineError, one_by_one, run
from ideitify.photo import PhotoError
from tests.ray_cluster import two_nodes
from tests.waiting import wait_until

PROJECT = Path(__file__).parents[2]


def square(number: int) -> int:
    return number * number


def pid_of(number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def fail_at_three(number: int) -> int:
    if number == 3:
        raise PhotoError("too_large", 20)
    return number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_comes_back_once_with_its_result(workers: int) -> None:
    done = list(run(range(50), square, workers=workers))
    assert sorted(done) == [(n, n * n) for n in range(50)]


def test_no_item_is_no_work() -> None:
    assert list(run([], square, workers=2)) == []


def test_equal_items_are_each_done() -> None:
    assert list(run([2, 2, 2], square, workers=2)) == [(2, 4)] * 3


def test_the_work_is_spread_over_processes() -> None:
    processes = {pid for _, pid in run(range(200), pid_of, workers=2)}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_workers_become_free(workers: int) -> None:
    """An endless stream does not fill the memory."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        for taken in count(1):  # noqa: UP028 - `taken` is what is looked at
            yield taken

    results = run(endless(), square, workers=workers)
    assert len(list(islice(results, 20))) == 20
    assert taken <= 20 + 2 * 2 * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_arrives_as_it_was_raised(workers: int) -> None:
    with pytest.raises(PhotoError, match="larger than 20 MB") as raised:
        list(run(range(10), fail_at_three, workers=workers))
    assert raised.value.reason == "too_large"


def test_a_worker_that_dies_is_told_in_a_sentence() -> None:
    with pytest.raises(EngineError, match="use fewer workers"):
        list(run(range(10), die_at_three, workers=2))


def test_an_item_that_workers_die_of_takes_none_along() -> None:
    def alone(number: int) -> int:
        (result,) = one_by_one([number], die_at_three, lambda _: -1)
        return result

    done = dict(run(range(10), die_at_three, workers=2, instead=alone))
    assert done == {number: number if number != 3 else -1 for number in range(10)}


def living_in_group(group: int) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and group_of(process.pid) == group
    ]


def group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


INTERRUPTED = """
import os
from ideitify.engine import run
from tests.ideitify.test_engine import pid_of
if __name__ == "__main__":
    from itertools import count
    for number, (item, pid) in enumerate(run(count(), pid_of, workers=2)):
        if number == 20:
            print(os.getpid(), flush=True)
"""


def test_an_interrupt_ends_it_without_leaving_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in errors
    wait_until(lambda: not living_in_group(process.pid))
    assert errors.count("Traceback") == 1, errors


STARTING = """
import os, signal, time
from ideitify.engine import processes
if __name__ == "__main__":
    with processes(1) as pool:
        pool.submit(os.getpid)
        time.sleep(0.03)
        os.killpg(0, signal.SIGINT)
        time.sleep(60)
"""


def test_an_interrupt_while_workers_start_is_left_to_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(STARTING)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True,
    )  # fmt: skip
    assert done.stderr.count("Traceback") == 1, done.stderr


def sleepy_square(number: int) -> int:
    time.sleep(0.2)
    return number * number


@pytest.mark.xdist_group("ray")
def test_ray_does_what_processes_do_and_survives_the_death_of_a_node() -> None:
    with two_nodes() as nodes:
        with pytest.raises(PhotoError, match="larger than 20 MB") as raised:
            list(run(range(10), fail_at_three, engine="ray", address=nodes.address))
        assert raised.value.reason == "too_large"

        results = run(range(40), sleepy_square, engine="ray", address=nodes.address)
        done = list(islice(results, 4))
        nodes.kill_second()
        done += results
    assert sorted(done) == [(n, n * n) for n in range(40)]


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_a_ray_cluster_that_is_not_there_is_refused_in_a_sentence(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(EngineError, match=f"no Ray cluster answers at {address}: start one with"):
        list(run([1], square, engine="ray", address=address))
