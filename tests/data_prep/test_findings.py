"""What is counted of a dataset folder for its report."""

from __future__ import annotations

from pathlib import Path

from data_prep.findings import Findings, Limits, find, license_name
from data_prep.prepare import run_steps
from data_prep.steps import find_step
from data_prep.table import read_table
from ideitify.decisions import Decision, append_decisions
from tests.data_prep.publish.dataset import write_dataset

LIMITS = Limits(per_category=3, per_issue=3, groups=2)


def found(folder: Path, *rows: dict[str, str]) -> Findings:
    return find(write_dataset(folder, *rows), LIMITS)


def test_pictures_are_counted_by_status_and_category(tmp_path: Path) -> None:
    findings = found(
        tmp_path,
        {"category": "ganesha"}, {"category": "ganesha", "status": "rejected"},
        {"category": "shiva", "status": "review"}, {"category": "ganesha", "source": "commons"},
    )  # fmt: skip
    assert findings.statuses == {"kept": 2, "review": 1, "rejected": 1}
    ganesha, shiva = findings.categories
    assert (ganesha.name, ganesha.statuses["rejected"]) == ("Ganesha", 1)
    assert ganesha.largest_source in {"museum 50%", "commons 50%"}
    assert (shiva.largest_source, shiva.sheet) == ("", [])


def test_licences_are_those_of_kept_pictures_with_what_they_permit(tmp_path: Path) -> None:
    findings = found(
        tmp_path, {"license": "CC0-1.0"}, {"license": "CC-BY-NC-4.0"}, {"license": "CC0-1.0"},
        {"license": "CC-BY-4.0", "status": "rejected"},
    )  # fmt: skip
    assert findings.licenses == {"CC0-1.0": 2, "CC-BY-NC-4.0": 1}
    assert findings.permits == {"CC0-1.0": "open", "CC-BY-NC-4.0": "noncommercial"}


def test_a_sheet_is_chosen_evenly(tmp_path: Path) -> None:
    rows = [{"file_name": f"images/ganesha/{number}.jpg"} for number in range(9)]
    (category,) = found(tmp_path, *rows).categories
    names = [shown.file_name for shown in category.sheet]
    assert names == [f"images/ganesha/{number}.jpg" for number in (0, 3, 6)]


def test_issues_come_from_columns_with_the_worst_pictures_first(tmp_path: Path) -> None:
    blurry = [
        {"blurry_score": score, "is_blurry_issue": flag, "file_name": f"images/ganesha/{score}.jpg"}
        for score, flag in [("0.3", "true"), ("0.1", "true"), ("0.9", "false"), ("0.2", "true")]
    ]
    (kind,) = found(tmp_path, *blurry).kinds
    assert (kind.name, kind.pictures) == ("blurry", 3)
    assert [shown.caption for shown in kind.shown] == [
        "ganesha 0.10",
        "ganesha 0.20",
        "ganesha 0.30",
    ]


def test_issues_come_from_reasons_where_no_column_says_the_same(tmp_path: Path) -> None:
    kinds = found(
        tmp_path,
        {"is_blurry_issue": "true", "status": "rejected", "reject_reason": "blurry"},
        {"status": "rejected", "reject_reason": "near duplicate of images/ganesha/a.jpg"},
        {"status": "rejected", "reject_reason": "near duplicate of images/ganesha/b.jpg"},
        {"status": "rejected", "reject_reason": "over the cap of 500 pictures of museum"},
        {"status": "review", "reject_reason": "label conflict: the same picture is under shiva"},
        {"status": "review", "reject_reason": "label may be wrong", "is_label_issue": "true"},
    ).kinds
    assert {kind.name: kind.pictures for kind in kinds} == {
        "near duplicate": 2, "blurry": 1, "over the cap": 1,
    }  # fmt: skip


def test_copies_are_shown_beside_the_picture_that_is_kept(tmp_path: Path) -> None:
    best = {"file_name": "images/ganesha/best.jpg", "duplicate_of": ""}
    copies = [
        {"file_name": f"images/ganesha/copy{n}.jpg", "duplicate_of": best["file_name"],
         "status": "rejected"} for n in range(2)
    ]  # fmt: skip
    (group,) = found(tmp_path, *copies, best).copies
    assert [shown.file_name for shown in group] == [
        best["file_name"], copies[0]["file_name"], copies[1]["file_name"],
    ]  # fmt: skip


def test_label_conflicts_name_what_else_a_picture_may_be(tmp_path: Path) -> None:
    doubt = {"status": "review", "reject_reason": "label doubtful", "category": "rama"}
    conflicts = found(
        tmp_path,
        doubt | {"guesses": "hanuman 0.81, rama 0.1", "label_score": "0.1"},
        doubt | {"guesses": "", "label_score": "0.05"},
        {"status": "review", "reject_reason": "dark"},
    ).conflicts
    assert [shown.caption for shown in conflicts] == [
        "rama? label doubtful",
        "rama, or hanuman 81%?",
    ]


def test_both_sides_of_a_label_conflict_are_shown_together(tmp_path: Path) -> None:
    copy = {"status": "review", "duplicate_group": "one"}
    conflicts = found(
        tmp_path,
        copy | {"category": "rama", "reject_reason": "label conflict: …", "label_score": "0.4"},
        {"status": "review", "reject_reason": "label doubtful", "label_score": "0.3"},
        copy | {"category": "shiva", "reject_reason": "dark", "label_score": "0.1"},
    ).conflicts
    assert [shown.caption.split("?")[0] for shown in conflicts] == ["shiva", "rama", "ganesha"]


def test_agreement_is_that_of_decisions_csv(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {}, {}, {})
    decisions = [
        Decision("2025-06-01T10:00:00.000Z", who, str(name), "keep", category)
        for number, name in enumerate(table.rows.index)
        for who, category in (("Asha", ["ganesha", "shiva"][number % 2]),
                              ("Jonas", ["ganesha", "shiva"][number % 2 and number > 1]))
    ]  # fmt: skip
    append_decisions(tmp_path, decisions)
    findings = find(table, LIMITS)
    (pair,) = findings.agreements
    assert (pair.pictures, pair.agreed, pair.kappa) == (4, 3, 0.5)
    assert {each.name: each.actions["keep"] for each in findings.reviewers} == {
        "Asha": 4, "Jonas": 4,
    }  # fmt: skip


def test_steps_tell_what_became_of_pictures(tmp_path: Path) -> None:
    table = write_dataset(tmp_path, {}, {}, {})
    name = str(table.rows.index[0])
    rejected = Decision("2025-06-01T10:00:00.000Z", "Asha", name, "reject", "", "no deity")
    append_decisions(tmp_path, [rejected])
    list(run_steps(tmp_path, [find_step("decisions")]))
    (step,) = find(read_table(tmp_path), LIMITS).steps
    assert (step.name, step.became) == ("decisions", {"rejected": 1})
    assert step.messages == ["decided by people: 0 kept, 1 rejected, 0 disputed"]


def test_only_web_addresses_are_followed(tmp_path: Path) -> None:
    (category,) = found(tmp_path, {"uri": "javascript:alert(1)"}).categories
    assert category.sheet[0].page == ""


def test_rights_statements_are_named_by_their_code() -> None:
    assert license_name("http://rightsstatements.org/vocab/InC-NC/1.0/") == "InC-NC"
    assert license_name("CC-BY-4.0") == "CC-BY-4.0"
