"""Chosen pictures, the decoded cache, sampling and settings."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.torch_core import set_seed

from ideitify.dataset import DatasetError, read_rows, write_rows
from tests.training.conftest import with_rows
from training.data import (
    CACHE_SIZE,
    batch_augmentation,
    choose_pictures,
    decoded_pictures,
    reserve,
    sampling_weights,
    valid_transform,
)
from training.settings import SettingsError, load_settings


def test_small_categories_are_left_out_but_none_stays(drawn_dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(drawn_dataset, tmp_path / "data")
    lines = (folder / "metadata.csv").read_text().splitlines()
    kept = [line for line in lines if "/shiva/" not in line and "/none/" not in line]
    kept += [line for line in lines if "/none/" in line][:1]
    (folder / "metadata.csv").write_text("\n".join(kept))
    assert {p.category for p in choose_pictures(folder, 9)} == {"ganesha", "none"}


def test_what_is_held_out_for_a_test_is_not_chosen_and_does_not_count(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    rows = read_rows(drawn_dataset)
    splits = ["test"] * 4 + ["train"] * 5 + ["valid"] * 27  # of ganesha 8 are left
    tested = [row | {"split": split} for row, split in zip(rows, splits, strict=True)]
    data = with_rows(drawn_dataset, tmp_path / "data", tested)
    chosen = choose_pictures(data, min_images=8)
    assert [p.columns["file_name"] for p in chosen] == [row["file_name"] for row in rows[4:]]
    assert "ganesha" not in {p.category for p in choose_pictures(data, min_images=9)}


def test_one_category_is_not_enough(drawn_dataset: Path) -> None:
    with pytest.raises(DatasetError, match="at least two are needed"):
        choose_pictures(drawn_dataset, min_images=13)


def test_a_category_that_no_bundle_could_answer_is_named_before_anything_is_trained(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(drawn_dataset, tmp_path / "data")
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace(",shiva,", ",nobody-known,"))
    with pytest.raises(DatasetError, match=r"no knowledge entry for nobody-known.*scraper new"):
        choose_pictures(folder)


def test_a_data_set_without_none_is_refused_before_the_work(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    rows = [row for row in read_rows(drawn_dataset) if row["category"] != "none"]
    (tmp_path / "images").symlink_to(drawn_dataset / "images")
    write_rows(tmp_path, rows)
    with pytest.raises(DatasetError, match="no kept picture of the category 'none'"):
        choose_pictures(tmp_path)


def test_pictures_are_decoded_once(drawn_dataset: Path, tmp_path: Path) -> None:
    pictures = choose_pictures(drawn_dataset)
    pixels = decoded_pictures(pictures, "squish", tmp_path)
    assert pixels.shape == (36, CACHE_SIZE, CACHE_SIZE, 3)
    (cached,) = tmp_path.glob("*.npy")
    changed = cached.stat().st_mtime_ns
    again = decoded_pictures(pictures, "squish", tmp_path)
    assert cached.stat().st_mtime_ns == changed
    assert (again == pixels).all()


def test_a_broken_picture_is_named_and_leaves_no_cache(drawn_dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(drawn_dataset, tmp_path / "data")
    (folder / "images" / "ganesha" / "3.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"3\.png"):
        decoded_pictures(choose_pictures(folder), "squish", tmp_path / "cache")
    assert names_in(tmp_path / "cache") == {".lock"}


def test_what_a_killed_run_left_half_decoded_is_cleared_away(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    pictures = choose_pictures(drawn_dataset)
    decoded_pictures(pictures, "squish", tmp_path)
    (cached,) = tmp_path.glob("*.npy")
    cached.rename(tmp_path / f".{cached.name}.12345.partial")
    decoded_pictures(pictures, "squish", tmp_path)
    assert names_in(tmp_path) == {".lock", ".npy"}


def names_in(cache: Path) -> set[str]:
    """Last suffixes of the files there."""
    return {path.suffix for path in cache.iterdir()}


def test_every_picture_of_a_batch_is_distorted_in_its_own_way() -> None:
    one = torch.arange(96, dtype=torch.uint8).expand(3, 96, 96)
    augment = batch_augmentation(64, (0.5,) * 3, (0.25,) * 3)
    set_seed(1)
    photos, labels = augment((one.repeat(4, 1, 1, 1), torch.arange(4)))
    assert type(photos) is torch.Tensor
    assert (photos.shape, photos.dtype) == ((4, 3, 64, 64), torch.float32)
    assert labels.tolist() == [0, 1, 2, 3]
    assert not any(torch.equal(photos[0], other) for other in photos[1:])
    set_seed(1)
    again, _ = augment((one.repeat(4, 1, 1, 1), torch.arange(4)))
    assert torch.equal(again, photos), "a resumed run must draw what an unbroken one would"


def test_distorted_pictures_are_normalised_as_those_that_validate() -> None:
    grey = torch.full((64, 3, 96, 96), 128, dtype=torch.uint8)
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    set_seed(0)
    photos, _ = batch_augmentation(64, mean, std)((grey, torch.zeros(64)))
    expected = valid_transform(64, mean, std)(grey[0]).mean((1, 2))
    assert photos.median(0).values.mean((1, 2)).tolist() == pytest.approx(
        expected.tolist(), abs=0.3
    )


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.9), (0.0, 0.5), (0.5, 0.75)])
def test_sampling_power_goes_from_as_it_is_to_balanced(power: float, share: float) -> None:
    labels = np.array([0] * 90 + [1] * 10)
    weights = sampling_weights(labels, np.zeros(100), power, source_power=1)
    assert weights[:90].sum() == pytest.approx(share)


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.9), (0.0, 0.5), (0.5, 0.75)])
def test_source_power_does_the_same_within_a_class(power: float, share: float) -> None:
    labels = np.array([0] * 100 + [1] * 50)
    sources = np.array(["museum"] * 90 + ["temple"] * 10 + ["museum"] * 50)
    weights = sampling_weights(labels, sources, power=1, source_power=power)
    assert weights[:90].sum() == pytest.approx(share * 100 / 150)
    assert weights[100:].sum() == pytest.approx(50 / 150)


def test_flags_override_the_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("epochs = 5\nseed = 3\n")
    settings = load_settings(path, {"epochs": 7, "seed": None})
    assert (settings.epochs, settings.seed) == (7, 3)


@pytest.mark.parametrize("text", ["epochs = ", "epoch = 3", "epochs = -1", 'train_size = "big"'])
def test_a_settings_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="settings"):
        load_settings(path, {})


def test_every_setting_that_cannot_be_used_is_named_with_its_range() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"runs": 0, "epochs": -1})
    assert str(refused.value) == (
        "settings: runs: input should be greater than or equal to 1; "
        "epochs: input should be greater than or equal to 1"
    )


def test_a_disk_without_room_for_the_pictures_is_told_before_they_are_decoded(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pixels.npy"
    file.touch()
    with pytest.raises(OSError, match=r"take 1073741824\.0 GiB there; make room") as error:
        reserve(file, 2**60)
    assert error.value.filename == str(tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no space")
def test_the_room_for_decoded_pictures_is_taken_before_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "pixels.npy"
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(1 << 20,))
    assert file.stat().st_blocks * 512 < pixels.nbytes
    reserve(file, pixels.nbytes)
    assert file.stat().st_blocks * 512 >= pixels.nbytes
