"""What people decided is one file that only grows; what stands follows from it."""

from __future__ import annotations

import multiprocessing
import os
import resource
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from ideitify.dataset import DatasetError
from ideitify.decisions import (
    DECISIONS_NAME,
    Action,
    Decision,
    agreements,
    append_decisions,
    read_decisions,
    standing,
)


def said(
    who: str, file_name: str, action: Action, category: str = "", reason: str = ""
) -> Decision:
    return Decision("2026-01-01T00:00:00.000Z", who, file_name, action, category, reason)


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    first = [said("Āśā", "images/a/1.jpg", "keep", "ganesha")]
    second = [said("Ravi", "images/a/1.jpg", "reject", reason='said "no", twice')]
    append_decisions(tmp_path, first)
    append_decisions(tmp_path, second)
    assert read_decisions(tmp_path) == first + second
    assert len((tmp_path / DECISIONS_NAME).read_text().splitlines()) == 3


def test_without_a_file_nothing_was_decided(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == []


def test_a_decision_is_one_line_whatever_is_typed(tmp_path: Path) -> None:
    append_decisions(tmp_path, [said("A\nB", "1.jpg", "reject", reason="one\r\ntwo\tthree")])
    (decision,) = read_decisions(tmp_path)
    assert (decision.who, decision.reason) == ("A B", "one two three")


@pytest.mark.parametrize(
    "name",
    ["my  photo.jpg", " Screenshot at 10.00.00\u202fAM.jpg", "tab\t.jpg", "line\nbreak\r.jpg"],
)
def test_a_decision_is_about_the_very_file_whatever_spaces_are_in_its_name(
    tmp_path: Path, name: str
) -> None:
    append_decisions(tmp_path, [said("A", name, "keep", "ganesha"), said("A", name, "skip")])
    assert [decision.file_name for decision in read_decisions(tmp_path)] == [name, name]


def test_a_decision_equals_what_is_read_of_it(tmp_path: Path) -> None:
    made = said(" A  B", "1.jpg", "reject", reason="one\u00a0two ")
    append_decisions(tmp_path, [made])
    assert read_decisions(tmp_path) == [made]


def test_a_missing_last_line_break_does_not_join_two_decisions(tmp_path: Path) -> None:
    append_decisions(tmp_path, [said("A", "1.jpg", "keep", "ganesha")])
    path = tmp_path / DECISIONS_NAME
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    append_decisions(tmp_path, [said("A", "2.jpg", "keep", "ganesha")])
    assert [decision.file_name for decision in read_decisions(tmp_path)] == ["1.jpg", "2.jpg"]


def _append_many(folder: Path, who: str) -> None:
    for number in range(50):
        append_decisions(folder, [said(who, f"{number}.jpg", "keep", "ganesha")] * 2)


def test_reviewers_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append_many, args=(tmp_path, who)) for who in ("A", "B", "C")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    made = read_decisions(tmp_path)
    assert sorted({(d.who, d.file_name) for d in made}) == sorted(
        (who, f"{number}.jpg") for who in "ABC" for number in range(50)
    )
    assert len(made) == 300


def _append_with_little_room(folder: Path) -> None:
    """As on a disk that is full after 150 bytes more."""
    size = (folder / DECISIONS_NAME).stat().st_size + 150
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        append_decisions(folder, [said("A", f"{number}.jpg", "keep", "x") for number in range(9)])
    except OSError:
        os._exit(7)


def test_a_full_disk_leaves_no_half_decision(tmp_path: Path) -> None:
    append_decisions(tmp_path, [said("A", "1.jpg", "keep", "ganesha")])
    before = (tmp_path / DECISIONS_NAME).read_bytes()
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_append_with_little_room, args=(tmp_path,))
    writer.start()
    writer.join()
    assert writer.exitcode == 7
    assert (tmp_path / DECISIONS_NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"who,what\n", "must begin with the line when,who,"),
        (b"when,who,file_name,action,category,reason\n1,2,3\n", "line 2 has not as many fields"),
        (b"when,who,file_name,action,category,reason\n,A,1.jpg,burn,,\n", "no action 'burn'"),
        (b"when,who,file_name,action,category,reason\n,A,1.jpg,keep,\xff,\n", "not UTF-8"),
        (b'when,who,file_name,action,category,reason\n,A,1.jpg,keep,"x\n', "is not CSV"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / DECISIONS_NAME).write_bytes(content)
    with pytest.raises(DatasetError, match=complaint):
        read_decisions(tmp_path)


def test_the_last_word_stands_and_undo_gives_the_one_before() -> None:
    words = [
        said("A", "1.jpg", "keep", "ganesha"),
        said("A", "1.jpg", "relabel", "shiva"),
        said("A", "1.jpg", "reject", reason="no deity"),
        said("A", "1.jpg", "undo"),
        said("B", "1.jpg", "keep", "ganesha"),
        said("B", "1.jpg", "undo"),
        said("B", "1.jpg", "undo"),
    ]
    assert standing(words) == {"1.jpg": {"A": words[1]}}


def test_agreement_is_cohens_kappa() -> None:
    first = ["ganesha", "shiva", "reject", "shiva", "durga", "ganesha", "reject"]
    second = ["ganesha", "shiva", "shiva", "shiva", "kaali", "ganesha", "reject"]
    made = [
        said(who, f"{number}.jpg", "reject" if outcome == "reject" else "keep",
             "" if outcome == "reject" else outcome)
        for who, outcomes in {"Ravi": second, "Asha": first}.items()
        for number, outcome in enumerate(outcomes)
    ]  # fmt: skip
    made.append(said("Asha", "only hers.jpg", "keep", "ganesha"))
    made.append(said("Ravi", "skipped.jpg", "skip"))
    made.append(said("Asha", "skipped.jpg", "keep", "ganesha"))
    (pair,) = agreements(made)
    assert (pair.first, pair.second, pair.pictures, pair.agreed) == ("Asha", "Ravi", 7, 5)
    assert pair.kappa == pytest.approx(cohen_kappa_score(first, second))


def test_agreement_without_any_choice_has_no_kappa() -> None:
    (pair,) = agreements([said(who, "1.jpg", "keep", "ganesha") for who in ("A", "B")])
    assert (pair.agreed, pair.kappa) == (1, None)
