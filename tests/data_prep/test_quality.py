"""Pictures that are hard to learn from are flagged, scored, and left to a person."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanvision import Imagelab
from PIL import Image, ImageFilter, ImageOps

from data_prep.pixels import measure
from data_prep.quality import QualitySettings, cleanvision_issues, quality
from data_prep.state import as_text
from data_prep.table import Table, read_table
from tests.data_prep.pictures import save_dataset, scene
from tests.data_prep.test_looks import collage, page, text_card
from tests.tiny import GREY, RED, picture, write_bundle

CHECKS = (
    "dark", "light", "blurry", "odd_aspect_ratio", "odd_size", "low_information", "grayscale",
)  # fmt: skip


def darker(image: Image.Image, share: float) -> Image.Image:
    return image.point(lambda value: int(value * share))


def run(table: Table, bundle: Path, **settings: object) -> pd.DataFrame:
    quality(table, QualitySettings(**settings), workers=1, bundle=str(bundle))
    return as_text(table.rows)


def test_flags_and_scores_are_cleanvision_s_own(tmp_path: Path) -> None:
    pictures = {f"ganesha/plain{n}.png": scene(n) for n in range(20)}
    for n in range(8):
        pictures |= {
            f"ganesha/dark{n}.png": darker(scene(n), 0.1 + n / 20),
            f"ganesha/light{n}.png": ImageOps.invert(darker(scene(n), 0.02 + n / 100)),
            f"ganesha/blurry{n}.png": scene(n).filter(ImageFilter.GaussianBlur(5 + 5 * n)),
            f"ganesha/grey{n}.png": scene(n).convert("L"),
            f"ganesha/strip{n}.png": scene(n, (400, 80 + 20 * n)),
            f"ganesha/flat{n}.png": scene(n).quantize(2 + n, dither=0).convert("RGB"),
        }
    pictures["ganesha/huge.png"] = scene(1, (3000, 2000))
    table = save_dataset(tmp_path, pictures)
    ours = cleanvision_issues(measure(table, workers=2), QualitySettings())
    lab = Imagelab(filepaths=[str(table.path(name)) for name in table.rows.index])
    lab.find_issues({name: {} for name in CHECKS}, n_jobs=1, verbose=False)
    theirs = lab.issues.loc[[str(table.path(name)) for name in ours.index]].set_index(ours.index)
    for check in CHECKS:
        flagged, wanted = ours[f"is_{check}_issue"], theirs[f"is_{check}_issue"]
        assert wanted.sum() > 0, check
        assert list(ours.index[flagged != wanted]) == [], check
        score = f"{check}_score"
        assert np.abs(ours[score] - theirs[score]).max() < 0.05, check


def test_every_check_leaves_a_score_and_a_flag(tmp_path: Path, tiny_bundle: Path) -> None:
    rows = run(save_dataset(tmp_path, {"ganesha/a.png": scene(1)}), tiny_bundle)
    for check in (*CHECKS, "blank", "text_card", "screenshot", "collage", "border", "watermark",
                  "no_deity"):  # fmt: skip
        assert 0 <= float(rows[f"{check}_score"].iloc[0]) <= 1, check
        assert rows[f"is_{check}_issue"].iloc[0] in {"true", "false"}, check


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (darker(scene(1), 0.2), "dark"),
        (scene(8).filter(ImageFilter.GaussianBlur(12)), "blurry"),
        (scene(1, (500, 100)), "odd aspect ratio"),
        (text_card("black", "#eedd88"), "text card"),
        (collage(6), "collage"),
        (page(), "screenshot"),
        (ImageOps.expand(scene(7, (300, 300)), 60, "white"), "border"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_doubtful_goes_to_review_with_its_reasons(
    tmp_path: Path, tiny_bundle: Path, image: Image.Image, reason: str
) -> None:
    rows = run(save_dataset(tmp_path, {"none/a.png": image, "none/b.png": scene(2)}), tiny_bundle)
    assert list(rows["status"]) == ["review", "kept"]
    assert reason in rows["reject_reason"].iloc[0].split(", ")


def test_only_what_shows_nothing_is_rejected(tmp_path: Path, tiny_bundle: Path) -> None:
    blank = Image.new("RGB", (300, 300), "navy")
    rows = run(save_dataset(tmp_path, {"none/a.png": blank, "none/b.png": scene(2)}), tiny_bundle)
    assert list(rows["status"]) == ["rejected", "kept"]
    assert rows["reject_reason"].iloc[0] == "blank"


def test_checks_may_be_columns_only(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {"none/a.png": scene(1).convert("L"), "none/b.png": scene(2)})
    rows = run(table, tiny_bundle)
    assert list(rows["is_grayscale_issue"]) == ["true", "false"]
    assert list(rows["status"]) == ["kept", "kept"]
    assert list(run(table, tiny_bundle, columns_only=())["status"]) == ["review", "kept"]


def test_a_deity_s_picture_in_which_the_model_sees_none(tmp_path: Path, tiny_bundle: Path) -> None:
    pictures = {
        "ganesha/red.png": picture(RED), "ganesha/grey.png": picture(GREY),
        "none/grey.png": picture(GREY), "agni/grey.png": picture(GREY),
    }  # fmt: skip
    rows = run(save_dataset(tmp_path, pictures), tiny_bundle, blank=0.0)
    assert list(rows["is_no_deity_issue"]) == ["false", "true", "false", "false"]
    assert "no deity" in rows["reject_reason"].iloc[1]
    assert float(rows["no_deity_score"].iloc[0]) > 0.9


def test_a_bundle_that_does_not_know_none_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = write_bundle(tmp_path / "bundle", labels=["ganesha", "shiva"])
    with caplog.at_level(logging.INFO):
        rows = run(save_dataset(tmp_path, {"ganesha/a.png": scene(1)}), bundle)
    assert "the model bundle knows no 'none'" in caplog.text
    assert "no_deity_score" not in rows


def test_unreadable_pictures_have_no_scores(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {"ganesha/a.png": scene(1), "ganesha/b.png": scene(2)})
    (tmp_path / "images/ganesha/a.png").write_bytes(b"broken")
    rows = run(table, tiny_bundle)
    assert list(rows["dark_score"] == "") == [True, False]
    (tmp_path / "images/ganesha/b.png").unlink()
    assert len(run(table, tiny_bundle)) == 2, "not one picture can be read"


def test_a_picture_that_vanished_after_it_was_embedded_has_no_scores(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    table = save_dataset(tmp_path, {"ganesha/a.png": scene(1), "ganesha/b.png": scene(2)})
    run(table, tiny_bundle)
    (tmp_path / "images/ganesha/a.png").unlink()  # its sha256, which the cache knows, stays
    rows = run(read_table(tmp_path), tiny_bundle)
    assert list(rows["no_deity_score"] == "") == [True, False]
    assert list(rows["is_blank_issue"]) == ["", "false"]


def test_a_person_s_decision_stays(tmp_path: Path, tiny_bundle: Path) -> None:
    pictures = {"ganesha/a.png": Image.new("RGB", (300, 300), "navy")}
    table = save_dataset(tmp_path, pictures, {"ganesha/a.png": {"decided_by": "Asha"}})
    assert run(table, tiny_bundle)["status"].iloc[0] == "kept"
