"""One photo has one answer, however it comes; the verdict follows the thresholds of the bundle."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ideitify import Answer, Candidate, PhotoError, Recognizer, Verdict
from ideitify.recognizer import fit_square, softmax
from ideitify.settings import Settings
from tests.tiny import BLUE, GREEN, GREY, LABELS, RED, VIOLET, manifest, picture, png, write_bundle

PHOTOS = [(RED,), (GREEN,), (BLUE,), (GREY,), (VIOLET,), (RED, BLUE), (GREEN, GREY, RED)]


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle)


def assert_same(one: Answer | PhotoError, other: Answer | PhotoError) -> None:
    """Equal but for the last digits, in which a batch may differ from one photo alone."""
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    assert one.verdict == other.verdict
    np.testing.assert_allclose(one.none_probability, other.none_probability, atol=2e-6)
    ours = {candidate.deity: candidate.probability for candidate in one.candidates}
    theirs = {candidate.deity: candidate.probability for candidate in other.candidates}
    assert ours == pytest.approx(theirs, abs=2e-6)
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
    np.testing.assert_allclose(one.activation_maps, other.activation_maps, atol=1e-4)


@pytest.mark.parametrize(
    ("colour", "deity"), [(RED, "ganesha"), (GREEN, "shiva"), (BLUE, "krishna")]
)
def test_a_deity_is_named(recognizer: Recognizer, colour, deity: str) -> None:
    answer = recognizer.recognize(picture(colour))
    assert answer.verdict is Verdict.DEITY
    assert answer.candidates[0] == Candidate(deity, 0.999664)


def test_a_photo_of_nobody(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(GREY))
    assert answer.verdict is Verdict.NO_DEITY
    assert answer.none_probability == pytest.approx(0.711235, abs=1e-5)


def test_a_photo_that_leaves_it_open(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(VIOLET))
    assert answer.verdict is Verdict.UNSURE
    assert {candidate.deity for candidate in answer.candidates[:2]} == {"ganesha", "krishna"}


def test_an_answer_has_the_promised_shapes(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(RED, GREY))
    assert answer.embedding.dtype == np.float32
    assert answer.embedding.shape == (48,)
    assert np.linalg.norm(answer.embedding) == pytest.approx(1, abs=1e-6)
    assert answer.activation_maps.dtype == np.float32
    assert answer.activation_maps.shape == (4, 4, 4)
    assert answer.labels == tuple(LABELS)


def test_candidates_are_sorted_and_without_none(recognizer: Recognizer) -> None:
    candidates = recognizer.recognize(picture(GREEN, GREY, RED)).candidates
    assert {candidate.deity for candidate in candidates} == {"ganesha", "krishna", "shiva"}
    probabilities = [candidate.probability for candidate in candidates]
    assert probabilities == sorted(probabilities, reverse=True)


def test_all_probabilities_add_up_to_one(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(RED, VIOLET))
    total = answer.none_probability + sum(c.probability for c in answer.candidates)
    assert total == pytest.approx(1, abs=1e-5)


def test_top_limits_the_candidates(recognizer: Recognizer) -> None:
    assert len(recognizer.recognize(picture(RED), top=2).candidates) == 2
    assert len(recognizer.recognize(picture(RED), top=50).candidates) == 3


@pytest.mark.parametrize("top", [0, -1])
def test_fewer_candidates_than_one_are_refused(recognizer: Recognizer, top: int) -> None:
    with pytest.raises(ValueError, match=f"top must be 1 or more, not {top}"):
        recognizer.recognize(picture(RED), top=top)
    with pytest.raises(ValueError, match="top must be 1 or more"):
        recognizer.recognize_many([picture(RED)], top=top)


def test_an_answer_as_json(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(picture(RED), top=1)
    assert answer.milliseconds > 0
    assert answer.as_json() == {
        "verdict": "deity",
        "candidates": [{"deity": "ganesha", "probability": 0.999664}],
        "none_probability": 0.000335,
        "milliseconds": answer.milliseconds,
    }


@pytest.mark.parametrize("colours", PHOTOS)
def test_the_same_answer_from_path_bytes_file_and_image(
    recognizer: Recognizer, tmp_path: Path, colours
) -> None:
    data = png(*colours)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    expected = recognizer.recognize(data)
    with path.open("rb") as file:
        sources = [path, str(path), file, io.BytesIO(data), picture(*colours)]
        for source in sources:
            assert recognizer.recognize(source) == expected


@pytest.mark.parametrize(
    "name", ["with space.png", "गणेश की मूर्ति.png", "Άρτεμις [1].png", "ガネーシャ#?%.png"]
)
def test_any_file_name_will_do(recognizer: Recognizer, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(png(RED))
    assert recognizer.recognize(tmp_path / name).candidates[0].deity == "ganesha"


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_same_answer_alone_and_among_many(tiny_bundle: Path, threads: int) -> None:
    recognizer = Recognizer.load(tiny_bundle, limits=Settings(threads=threads))
    answers = list(recognizer.recognize_many(png(*colours) for colours in PHOTOS))
    assert len(answers) == len(PHOTOS)
    for colours, answer in zip(PHOTOS, answers, strict=True):
        assert_same(answer, recognizer.recognize(png(*colours)))


def test_a_broken_photo_keeps_its_place_and_does_not_stop_the_others(tiny_bundle: Path) -> None:
    recognizer = Recognizer.load(tiny_bundle, limits=Settings(threads=2))
    photos = [b"", png(RED), b"no image", Path("nowhere.png"), png(GREEN), png(BLUE)[:60]]
    answers = list(recognizer.recognize_many(photos))
    reasons = [answer.reason if isinstance(answer, PhotoError) else None for answer in answers]
    assert reasons == ["empty", None, "not_an_image", "missing", None, "truncated"]
    assert isinstance(answers[1], Answer)
    assert answers[1].candidates[0].deity == "ganesha"
    assert isinstance(answers[4], Answer)
    assert answers[4].candidates[0].deity == "shiva"


def test_no_photos_no_answers(recognizer: Recognizer) -> None:
    assert list(recognizer.recognize_many([])) == []


@pytest.mark.parametrize(
    "photo", ["photo.jpg", Path("photo.jpg"), png(RED), io.BytesIO(png(RED)), picture(RED)],
    ids=["name", "path", "bytes", "file", "PIL image"],
)  # fmt: skip
def test_a_photo_is_not_taken_for_many(recognizer: Recognizer, photo) -> None:
    with pytest.raises(TypeError, match="takes a list of photos"):
        recognizer.recognize_many(photo)


def test_what_is_no_photo_among_many_is_a_mistake_of_the_programmer(
    recognizer: Recognizer,
) -> None:
    with pytest.raises(TypeError, match="not NoneType"):
        list(recognizer.recognize_many([png(RED), None]))


def test_photos_are_taken_from_the_source_as_they_are_needed(tiny_bundle: Path) -> None:
    """A million photos are not read ahead of the first answer."""
    recognizer = Recognizer.load(tiny_bundle, limits=Settings(threads=2))
    taken = []
    answers = recognizer.recognize_many(taken.append(n) or png(RED) for n in range(1000))
    assert isinstance(next(answers), Answer)
    assert len(taken) < 20


def test_whoever_stops_early_leaves_no_thread_behind(recognizer: Recognizer) -> None:
    before = set(threading.enumerate())
    answers = recognizer.recognize_many(png(RED) for _ in range(1000))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


def test_one_recognizer_serves_many_threads(recognizer: Recognizer) -> None:
    expected = [recognizer.recognize(png(*colours)) for colours in PHOTOS]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda c: recognizer.recognize(png(*c)), PHOTOS * 20))
    for number, answer in enumerate(answers):
        assert answer == expected[number % len(PHOTOS)]


@pytest.mark.parametrize(
    ("colour", "deity", "none", "verdict"),
    [
        (VIOLET, 0.4878, 0.5, Verdict.DEITY),  # its first candidate has 0.487855
        (VIOLET, 0.4879, 0.5, Verdict.UNSURE),
        (GREY, 0.6, 0.7112, Verdict.NO_DEITY),  # `none` has 0.711235
        (GREY, 0.6, 0.7113, Verdict.UNSURE),
        (GREY, 0.0, 0.7113, Verdict.DEITY),
        (GREY, 0.0, 0.7112, Verdict.NO_DEITY),  # `none` comes first where both thresholds are met
        (RED, 0.6, 0.0, Verdict.DEITY),  # `none` must be likelier than any deity
        (RED, 1.0, 0.0, Verdict.UNSURE),
    ],
)
def test_the_verdict_at_the_thresholds(
    tmp_path: Path, colour, deity: float, none: float, verdict: Verdict
) -> None:
    thresholds = {"deity": deity, "none": none, "operating_point": "test"}
    recognizer = Recognizer.load(write_bundle(tmp_path, thresholds=thresholds))
    assert recognizer.recognize(picture(colour)).verdict is verdict


def test_an_unsure_answer_names_a_circle_where_the_bundle_says_from_when(tmp_path: Path) -> None:
    thresholds = {"deity": 0.6, "none": 0.5, "broader": 0.9, "operating_point": "test"}
    recognizer = Recognizer.load(write_bundle(tmp_path, thresholds=thresholds))
    violet = recognizer.recognize(picture(VIOLET))
    assert violet.broader is not None
    assert violet.broader.in_words() == "a figure of Hinduism"
    assert violet.as_json()["broader"] == {
        "kind": "tradition", "name": "Hinduism", "tradition": "Hinduism",
        "probability": violet.broader.probability,
    }  # fmt: skip
    assert violet.broader.probability == pytest.approx(1 - violet.none_probability, abs=2e-6)
    for colour, verdict in ((RED, Verdict.DEITY), (GREY, Verdict.NO_DEITY)):
        answer = recognizer.recognize(picture(colour))
        assert (answer.verdict, answer.broader) == (verdict, None)
        assert "broader" not in answer.as_json()


def test_no_circle_is_named_by_a_bundle_that_does_not_say_from_when(
    recognizer: Recognizer,
) -> None:
    assert recognizer.recognize(picture(VIOLET)).broader is None


def test_a_bundle_without_none_never_says_no_deity(tmp_path: Path) -> None:
    recognizer = Recognizer.load(write_bundle(tmp_path, labels=["ganesha", "krishna"]))
    answer = recognizer.recognize(picture(GREY))
    assert answer.verdict is Verdict.UNSURE
    assert answer.none_probability == 0


def test_the_temperature_softens_the_probabilities(tmp_path: Path) -> None:
    warm = Recognizer.load(write_bundle(tmp_path, temperature=4.0)).recognize(picture(RED))
    logits = np.array([10, -5, 2, -5]) / 4
    assert warm.candidates[0].probability == pytest.approx(softmax(logits)[0], abs=1e-5)


def test_flip_averages_the_photo_and_its_mirror_image(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    spec = manifest(tmp_path)["input"] | {"flip": True}
    recognizer = Recognizer.load(write_bundle(tmp_path, input=spec))
    one, other = recognizer.recognize(picture(RED, GREY)), recognizer.recognize(picture(GREY, RED))
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)
    np.testing.assert_allclose(one.activation_maps, other.activation_maps[..., ::-1], atol=1e-5)
    assert one.activation_maps[0, :, 0].min() > one.activation_maps[0, :, -1].max()


def test_mean_and_std_of_the_bundle_are_applied(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    spec = manifest(tmp_path)["input"] | {"mean": [0.5, 0.0, 0.0], "std": [0.5, 1.0, 1.0]}
    answer = Recognizer.load(write_bundle(tmp_path, input=spec)).recognize(picture(RED))
    np.testing.assert_allclose(answer.activation_maps[0], 10, atol=1e-4)  # (1 - 0.5) / 0.5 = 1


def test_squish_fills_the_square_and_pad_keeps_the_shape() -> None:
    wide = Image.new("RGB", (64, 32), RED)
    assert fit_square(wide, 32, "squish").getcolors() == [(32 * 32, RED)]
    padded = fit_square(wide, 32, "pad")
    assert padded.size == (32, 32)
    assert padded.getpixel((16, 16)) == RED
    assert padded.getpixel((16, 2)) != RED


def test_the_limits_of_the_settings_hold(tiny_bundle: Path) -> None:
    recognizer = Recognizer.load(tiny_bundle, limits=Settings(max_bytes=10))
    with pytest.raises(PhotoError) as error:
        recognizer.recognize(png(RED))
    assert error.value.reason == "too_large"
