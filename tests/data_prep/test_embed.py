from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.embed import Cache, embed
from data_prep.table import Table, read_table
from ideitify.bundle import BundleError
from ideitify.recognizer import Recognizer
from tests.data_prep.pictures import save_dataset, scene
from tests.tiny import BLUE, RED, picture


@pytest.fixture
def table(tmp_path: Path) -> Table:
    scenes = {f"zeus/{seed}.jpg": scene(seed) for seed in range(5)}
    return save_dataset(tmp_path, scenes | {"ganesha/red.png": picture(RED)})


def test_every_row_gets_what_the_recognizer_says(table: Table, tiny_bundle: Path) -> None:
    seen = embed(table, tiny_bundle, workers=1)
    recognizer = Recognizer.load(tiny_bundle)
    for row, name in enumerate(table.rows.index):
        answer = recognizer.recognize(table.path(name))
        np.testing.assert_allclose(seen.embeddings[row], answer.embedding, atol=1e-3)
        best = answer.candidates[0]
        told = seen.probabilities[row, seen.labels.index(best.deity)]
        assert told == pytest.approx(best.probability, abs=1e-3)
    assert seen.known.all()
    np.testing.assert_allclose(seen.probabilities.sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(seen.embeddings, axis=1), 1, atol=1e-6)


def test_several_processes_give_the_same_as_one(table: Table, tiny_bundle: Path) -> None:
    several = embed(table, tiny_bundle, workers=2)
    (table.folder / ".data_prep").rename(table.folder / "before")
    one = embed(table, tiny_bundle, workers=1)
    np.testing.assert_allclose(several.embeddings, one.embeddings, atol=1e-3)


@pytest.mark.usefixtures("flawed_decoder")
def test_a_picture_that_ends_the_process_is_not_known_and_the_others_are(
    table: Table, tiny_bundle: Path
) -> None:
    table.path("images/zeus/2.jpg").write_bytes(b"GIF89a" + bytes(100))
    seen = embed(table, tiny_bundle, workers=2)
    unknown = table.rows.index[~seen.known]
    assert list(unknown) == ["images/zeus/2.jpg"]


def test_a_picture_is_opened_once_for_all_runs(table: Table, tiny_bundle: Path) -> None:
    before = embed(table, tiny_bundle, workers=1).embeddings
    for name in table.rows.index:
        table.path(name).unlink()
    np.testing.assert_array_equal(embed(table, tiny_bundle, workers=1).embeddings, before)


def test_after_an_interruption_only_the_missing_pictures_are_opened(
    table: Table, tiny_bundle: Path
) -> None:
    half = Table(table.folder, table.rows.iloc[:3])
    embed(half, tiny_bundle, workers=1)
    for name in half.rows.index:
        table.path(name).unlink()
    assert embed(table, tiny_bundle, workers=1).known.all()


def test_an_array_whose_keys_were_not_written_does_not_count(
    table: Table, tiny_bundle: Path
) -> None:
    embed(table, tiny_bundle, workers=1)
    (keys,) = (table.folder / ".data_prep/embeddings").glob("*/*.txt")
    keys.unlink()
    assert Cache.of(table.folder, str(tiny_bundle)).keys() == set()
    assert embed(table, tiny_bundle, workers=1).known.all()


def test_two_rows_with_one_content_get_one_embedding(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {"zeus/a.png": scene(1), "zeus/b.png": scene(1)})
    seen = embed(table, tiny_bundle, workers=1)
    np.testing.assert_array_equal(seen.embeddings[0], seen.embeddings[1])
    assert seen.known.all()


def test_a_picture_that_cannot_be_read_has_zeros_and_is_tried_again(
    table: Table, tiny_bundle: Path
) -> None:
    name = table.rows.index[0]
    content = table.path(name).read_bytes()
    table.path(name).write_bytes(b"not a picture")
    seen = embed(table, tiny_bundle, workers=1)
    assert seen.known.tolist() == [False] + [True] * 5
    assert not seen.embeddings[0].any()
    table.path(name).write_bytes(content)
    assert embed(table, tiny_bundle, workers=1).known.all()


def test_pictures_without_a_sha256_are_known_by_the_files_own(
    table: Table, tiny_bundle: Path
) -> None:
    embed(table, tiny_bundle, workers=1)
    table.rows["sha256"] = ""
    files = len(list((table.folder / ".data_prep/embeddings").glob("*/*.txt")))
    assert embed(table, tiny_bundle, workers=1).known.all()
    assert len(list((table.folder / ".data_prep/embeddings").glob("*/*.txt"))) == files


def test_projected_embeddings_keep_their_angles_and_never_change(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    rng = np.random.default_rng(0)
    full = rng.normal(size=(40, 600)).astype(np.float32)
    full[20:] = full[:20] + 0.4 * full[20:]
    full /= np.linalg.norm(full, axis=1, keepdims=True)
    cache = Cache(tmp_path, ("ganesha",))
    cache.write({f"{row:064x}": np.append(vector, 1.0) for row, vector in enumerate(full)})
    keys = [f"{row:064x}" for row in range(40)]
    few = cache.read(keys, dimensions=128).embeddings
    assert few.shape == (40, 128)
    np.testing.assert_allclose(np.linalg.norm(few, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(few @ few.T, full @ full.T, atol=0.4)
    again = cache.read(keys[:5], dimensions=128).embeddings
    np.testing.assert_allclose(again, few[:5], atol=1e-6)


def test_the_cache_takes_two_bytes_a_number(table: Table, tiny_bundle: Path) -> None:
    seen = embed(table, tiny_bundle, workers=1)
    (array,) = (table.folder / ".data_prep/embeddings").glob("*/*.npy")
    numbers = seen.embeddings.size + seen.probabilities.size
    assert array.stat().st_size == 128 + 2 * numbers  # NumPy's header, and the rest


def test_probabilities_can_be_had_without_embeddings(table: Table, tiny_bundle: Path) -> None:
    both = embed(table, tiny_bundle, workers=1)
    alone = embed(table, tiny_bundle, dimensions=0, workers=1)
    assert alone.embeddings.shape == (6, 0)
    assert alone.known.all()
    np.testing.assert_array_equal(alone.probabilities, both.probabilities)


def test_another_bundle_has_a_cache_of_its_own(table: Table, tmp_path: Path) -> None:
    from tests.tiny import write_bundle

    for name in ("one", "two"):
        embed(table, write_bundle(tmp_path / name, name=name), workers=1)
    assert len(list((table.folder / ".data_prep/embeddings").iterdir())) == 2


def test_a_damaged_cache_is_named(table: Table, tiny_bundle: Path) -> None:
    embed(table, tiny_bundle, workers=1)
    (array,) = (table.folder / ".data_prep/embeddings").glob("*/*.npy")
    array.write_bytes(array.read_bytes()[:100])
    with pytest.raises(BundleError, match="damaged: delete its folder"):
        embed(table, tiny_bundle, workers=1)


def test_a_missing_bundle_is_named(table: Table, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle folder"):
        embed(table, tmp_path / "nowhere")


def test_a_dataset_of_unreadable_pictures_is_all_unknown(tmp_path: Path, tiny_bundle: Path) -> None:
    table = save_dataset(tmp_path, {"zeus/a.png": picture(BLUE)})
    (tmp_path / "images/zeus/a.png").write_bytes(b"")
    assert embed(read_table(table.folder), tiny_bundle, workers=1).known.tolist() == [False]
