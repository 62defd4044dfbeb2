"""Pictures go to workers several at a time, and one that ends its process fails alone."""

from __future__ import annotations

import os

from data_prep.workers import PICTURES_PER_TASK, batches, run_on_pictures


def double(numbers: tuple[int, ...]) -> list[int]:
    return [2 * number for number in numbers]


def double_or_die_at_seven(numbers: tuple[int, ...]) -> list[int]:
    if 7 in numbers:
        os._exit(1)
    return double(numbers)


def test_what_was_seen_comes_in_tasks_with_the_pictures() -> None:
    numbers = range(2 * PICTURES_PER_TASK + 1)
    done = list(run_on_pictures(numbers, double, fatal=-1, workers=1))
    assert [len(task) for task, _ in done] == [PICTURES_PER_TASK, PICTURES_PER_TASK, 1]
    assert [number for task, _ in done for number in task] == list(numbers)
    assert [seen for _, task in done for seen in task] == double(tuple(numbers))


def test_a_picture_that_ends_its_process_fails_alone() -> None:
    numbers = range(PICTURES_PER_TASK + 8)
    done = list(run_on_pictures(numbers, double_or_die_at_seven, fatal=-1, workers=2))
    seen = {n: s for task, results in done for n, s in zip(task, results, strict=True)}
    assert seen == {number: -1 if number == 7 else 2 * number for number in numbers}


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], 3)) == []
    assert list(batches("abcde", 3)) == [("a", "b", "c"), ("d", "e")]
