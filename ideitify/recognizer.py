"""From a photo to an answer: the words of the whole system."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps

from ideitify.bundle import (
    INPUT_NAME,
    MODEL_NAME,
    OUTPUT_NAMES,
    BundleError,
    InputSpec,
    Manifest,
    verify_bundle,
)
from ideitify.circles import Broader, Circle, broader, circles_of
from ideitify.dataset import NONE_CATEGORY
from ideitify.knowledge import has_entry
from ideitify.photo import Bytes, PhotoError, open_photo
from ideitify.settings import Settings, settings

if TYPE_CHECKING:
    import onnxruntime

T = TypeVar("T")
R = TypeVar("R")
Photo = str | Path | Bytes | BinaryIO | Image.Image

AHEAD = 4  # photos handed out or answered ahead of who reads the answers, per worker
PAD_COLOUR = (124, 116, 104)  # the mean colour of ImageNet, so that padding looks like nothing


class Verdict(StrEnum):
    """The three honest answers."""

    DEITY = "deity"
    UNSURE = "unsure"
    NO_DEITY = "no_deity"


@dataclass(frozen=True)
class Candidate:
    """A deity that the photo may show, with its calibrated probability in 0..1.

    Attributes:
        few_pictures: the model was not trained on it, and knows it from few pictures only.
    """

    deity: str
    probability: float
    few_pictures: bool = field(default=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The candidate as the CLI and the HTTP API tell it."""
        few = {"few_pictures": True} if self.few_pictures else {}
        return {"deity": self.deity, "probability": self.probability, **few}


@dataclass(frozen=True)
class Answer:
    """What the model says of one photo.

    Attributes:
        verdict: whether to name the first candidate, to stay unsure, or to say that no deity that
            the model knows is there.
        candidates: the likeliest deities, most probable first; `none` is never among them.
        none_probability: calibrated probability of `none`.
        broader: the circle that the photo shows one of, such as the forms of Vishnu; only in an
            unsure answer, and only where it is likely enough.
        milliseconds: what decoding and recognising took.
        embedding: float32 (d,), unit length; near for photos that look alike to the model.
        activation_maps: float32 (labels, h, w); the mean over h and w of a label's map is its
            logit, so each cell tells how much that part of the photo speaks for the label.
        labels: what the first axis of `activation_maps` stands for; `none` may be among them.
    """

    verdict: Verdict
    candidates: list[Candidate]
    none_probability: float
    embedding: np.ndarray = field(repr=False, compare=False)
    activation_maps: np.ndarray = field(repr=False, compare=False)
    labels: tuple[str, ...] = field(repr=False, compare=False)
    broader: Broader | None = None
    milliseconds: float = field(default=0.0, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The answer as the CLI and the HTTP API tell it."""
        return {
            "verdict": self.verdict.value,
            "candidates": [candidate.as_json() for candidate in self.candidates],
            "none_probability": self.none_probability,
            **({"broader": self.broader.as_json()} if self.broader else {}),
            "milliseconds": self.milliseconds,
        }


class Recognizer:
    """A loaded model bundle; one instance serves any number of threads."""

    def __init__(self, folder: Path, limits: Settings | None = None) -> None:
        """Open a bundle folder.

        Raises:
            BundleError: the bundle is incomplete, changed, malformed, or names a label that has no
                knowledge entry.
        """
        self.settings = limits or settings()
        self.folder = folder
        self.manifest: Manifest = verify_bundle(folder)
        self.labels = np.array(self.manifest.labels)
        _check_labels(self.manifest.labels)
        spec = self.manifest.input
        self._session = _open_session(folder / MODEL_NAME, self.settings.threads)
        _check_model(self._session, spec, len(self.labels), folder / MODEL_NAME)
        std = np.array(spec.std, np.float32).reshape(3, 1, 1)
        self._scale = 1 / (255 * std)
        self._offset = np.array(spec.mean, np.float32).reshape(3, 1, 1) / std

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        trust_pickle: bool = False,
        limits: Settings | None = None,
    ) -> Recognizer:
        """Load a bundle.

        Args:
            source: a folder, `hf://owner/repo[@revision]`, or None for the one in the settings
                (by default the bundle that ships in `models/default`).
            trust_pickle: convert a Hub repository that has only a fastai `model.pkl`. Unpickling
                runs code from that repository: only for repositories you trust.

        Raises:
            BundleError: nothing usable there; the message says why.
        """
        from ideitify.hub import bundle_folder

        limits = limits or settings()
        return cls(bundle_folder(str(source or limits.bundle), trust_pickle=trust_pickle), limits)

    def recognize(self, photo: Photo, top: int = 5) -> Answer:
        """Recognise one photo: a path, bytes, a binary file or a PIL image.

        Raises:
            PhotoError: the photo cannot be read; the message is for its user.
            TypeError: `photo` is none of these.
            ValueError: `top` is less than 1.
        """
        _check_top(top)
        started = perf_counter()
        logits, embedding, maps = self._run(self._prepare(photo))
        probabilities = softmax(logits / self.manifest.temperature)
        answer = self._answer(probabilities, embedding, maps, top)
        return replace(answer, milliseconds=round(1000 * (perf_counter() - started), 1))

    def recognize_many(
        self, photos: Iterable[Photo], top: int = 5
    ) -> Iterator[Answer | PhotoError]:
        """Recognise photos in order; one that cannot be read yields its error.

        Several photos are in work at once, each on its own: the model takes as long for a batch as
        for the same photos one by one, and so decoding and recognising never wait for each other.

        Raises:
            TypeError: `photos` is a photo itself, or holds what is none.
            ValueError: `top` is less than 1.
        """
        if isinstance(photos, (str, Path, Bytes, Image.Image)) or hasattr(photos, "read"):
            raise TypeError("recognize_many takes a list of photos: give it [photo]")
        _check_top(top)
        return self._recognize_many(photos, top)

    def _recognize_many(self, photos: Iterable[Photo], top: int) -> Iterator[Answer | PhotoError]:
        def work(photo: Photo) -> Answer | PhotoError:
            try:
                return self.recognize(photo, top)
            except PhotoError as error:
                return error

        workers = self.settings.threads or os.cpu_count() or 1
        pool = ThreadPoolExecutor(workers)
        try:
            yield from _map_ahead(pool, work, photos, AHEAD * workers)
        finally:  # whoever stops early does not wait for the photos recognised ahead; nor may
            # this wait where an abandoned generator is collected, which can be in any thread
            pool.shutdown(wait=False, cancel_futures=True)

    def _prepare(self, photo: Photo) -> np.ndarray:
        """Photo -> float32 (3, size, size), normalised."""
        spec = self.manifest.input
        image = open_photo(photo, side=spec.size, limits=self.settings)
        pixels = np.asarray(fit_square(image, spec.size, spec.resize)).transpose(2, 0, 1)
        tensor = pixels.astype(np.float32, order="C")  # so that what follows runs along memory
        tensor *= self._scale
        tensor -= self._offset
        return tensor

    def _run(self, tensor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One photo through the model: logits (labels,), embedding (d,), maps (labels, h, w)."""
        flip = self.manifest.input.flip
        photos = np.stack([tensor, tensor[..., ::-1]] if flip else [tensor])
        logits, embeddings, maps = self._session.run(OUTPUT_NAMES, {INPUT_NAME: photos})
        if flip:
            maps = np.stack([maps[0], maps[1][..., ::-1]])
        embedding = embeddings.mean(axis=0)
        return logits.mean(axis=0), embedding / np.linalg.norm(embedding), maps.mean(axis=0)

    def _answer(
        self, probabilities: np.ndarray, embedding: np.ndarray, maps: np.ndarray, top: int
    ) -> Answer:
        is_none = self.labels == NONE_CATEGORY
        none_probability = float(probabilities[is_none].sum())
        order = [i for i in np.argsort(-probabilities, kind="stable") if not is_none[i]]
        few = set(self.manifest.prototypes)
        candidates = [
            Candidate(slug, round(float(probabilities[i]), 6), slug in few)
            for i, slug in ((i, str(self.labels[i])) for i in order[:top])
        ]
        thresholds = self.manifest.thresholds
        if none_probability >= thresholds.none and none_probability > probabilities[order[0]]:
            verdict = Verdict.NO_DEITY
        elif probabilities[order[0]] >= thresholds.deity:
            verdict = Verdict.DEITY
        else:
            verdict = Verdict.UNSURE
        circle = self._broader(probabilities) if verdict is Verdict.UNSURE else None
        none_probability = round(none_probability, 6)
        labels = tuple(self.manifest.labels)
        return Answer(verdict, candidates, none_probability, embedding, maps, labels, circle)

    def _broader(self, probabilities: np.ndarray) -> Broader | None:
        least = self.manifest.thresholds.broader
        return None if least is None else broader(probabilities, self._circles, least)

    @cached_property
    def _circles(self) -> list[Circle]:  # at the first need: the entries take time to read
        return circles_of(self.manifest.labels)


def fit_square(image: Image.Image, size: int, resize: str) -> Image.Image:
    """Fit an RGB image into (size, size): squished, or padded with a neutral colour."""
    if resize == "pad":
        return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, color=PAD_COLOUR)
    return image.resize((size, size), Image.Resampling.BILINEAR)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError(f"top must be 1 or more, not {top}")


def _check_labels(labels: Sequence[str]) -> None:
    if missing := [label for label in labels if not has_entry(label)]:
        raise BundleError(
            f"the bundle's label {missing[0]!r} has no knowledge entry: add "
            f"knowledge/{missing[0]}.md (knowledge/ganesha.md is an example)"
        )


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime  # takes 20 MB, which those who only read pictures or entries do not need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Idle threads of onnxruntime spin by default, and keep others off the processors that way.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise BundleError(f"{path} is not a model that can be run: {error}") from error


def _check_model(
    session: onnxruntime.InferenceSession, spec: InputSpec, label_count: int, path: Path
) -> None:
    """Compare the model's inputs and outputs with what `bundle.json` promises."""
    inputs = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    if set(inputs) != {INPUT_NAME}:
        raise BundleError(f"{path} must have one input {INPUT_NAME!r}; export it again")
    batch, *shape = inputs[INPUT_NAME]
    if isinstance(batch, int) or not _fits(shape, (3, spec.size, spec.size)):
        raise BundleError(
            f"{path} takes {inputs[INPUT_NAME]}, bundle.json promises any number of photos "
            f"(3, {spec.size}, {spec.size})"
        )
    outputs = {tensor.name: tensor.shape for tensor in session.get_outputs()}
    if missing := [name for name in OUTPUT_NAMES if name not in outputs]:
        raise BundleError(f"{path} lacks the output(s) {', '.join(missing)}; export it again")
    if outputs["logits"][-1] != label_count:
        raise BundleError(
            f"{path} knows {outputs['logits'][-1]} labels, bundle.json lists {label_count}"
        )


def _fits(shape: Sequence[int | str | None], expected: Sequence[int]) -> bool:
    """Whether a tensor's shape, in which names and None stand for any size, allows `expected`."""
    return len(shape) == len(expected) and all(
        not isinstance(side, int) or side == wanted
        for side, wanted in zip(shape, expected, strict=True)
    )


def _map_ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """`map` in order over a pool that holds at most `ahead` unfinished or unread results."""
    remaining = iter(items)
    waiting: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(remaining, ahead))
    while waiting:
        yield waiting.popleft().result()
        for item in islice(remaining, 1):
            waiting.append(pool.submit(work, item))
