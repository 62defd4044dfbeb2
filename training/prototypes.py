"""Labels known from few pictures: prototypes beside the labels that were trained.

A category too small to be trained on joins as a discriminant (Fisher's, as in Hastie, Tibshirani
and Friedman, "The Elements of Statistical Learning", 4.3):

    logit = scale * (e . P m - m . P m / 2) + bias

where e is the embedding, seen from the mean of the trained pictures, m the mean of the category's
few, drawn towards that mean, and P the inverse of how pictures of one trained label scatter
(covariance after Ledoit and Wolf, 2004). It is linear in the embedding, and so joins the model as
one more row, as Qi et al. ("Low-Shot Learning with Imprinted Weights", CVPR 2018) did with cosines.
One scale and one bias for all of them are chosen so that the trained labels lose almost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import GroupKFold
from torch import nn

from ideitify.bundle import Estimate
from ideitify.dataset import NONE_CATEGORY, Picture, read_dataset
from ideitify.knowledge import has_entry
from ideitify.recognizer import softmax
from training.calibrate import fit_temperature
from training.data import PictureDataset, decoded_pictures, valid_transform
from training.metrics import bootstrap, none_auroc, top_k_hits
from training.network import Network
from training.train import Fitted, console, predict

# share of their validation pictures that the trained labels may lose among the 1, 3 and 5 likeliest
COST = {1: 0.005, 3: 0.005, 5: 0.005}
LIKELIHOOD = 0.02  # what their pictures' mean log-likelihood may lose: 2 % of the confidence
SCALES = (1 / 128, 1 / 64, 1 / 32, 1 / 16)  # from soft to sharp: so little is known of so few
BIAS_STEP = 1e-4  # of logits: no figure is finer
CENTRE_WEIGHT = 1  # pictures: how much the centre counts beside a category's own
FIGURES = {1: "accuracy", 3: "top_3_accuracy", 5: "top_5_accuracy"}


@dataclass(frozen=True)
class Prototypes:
    """Further rows of the model.

    Attributes:
        labels: knowledge slugs, sorted.
        directions, biases: float32 (k, d) and (k,), the scale included.
        metrics: share of right guesses among all labels, each picture judged by prototypes made
            without its source.
        facts: how many pictures and categories, how many of them could be measured, and the cost.
        pictures: what they are made of.
    """

    labels: list[str]
    directions: np.ndarray
    biases: np.ndarray
    metrics: dict[str, Estimate]
    facts: dict[str, object]
    pictures: list[Picture]

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, k) for embeddings of unit length (n, d), or means of such over views."""
        return embeddings @ self.directions.T + self.biases


@dataclass(frozen=True)
class Space:
    """Where the trained pictures lie, and how those of one label scatter.

    Attributes:
        centre: (d,), their mean.
        whitener: (d, d); after it pictures of one label scatter alike in all directions.
    """

    centre: np.ndarray
    whitener: np.ndarray

    def enter(self, embeddings: np.ndarray) -> np.ndarray:
        """Whiten embeddings, (n, d)."""
        return (embeddings - self.centre) @ self.whitener

    def leave(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions (k, d) and offsets (k,) that give embeddings the `scores` of these means."""
        directions = means @ self.whitener.T
        return directions, -directions @ self.centre - np.square(means).sum(axis=1) / 2


@dataclass(frozen=True)
class Answers:
    """What a network says of pictures: `logits` (n, labels), `embeddings` (n, d), over views."""

    logits: np.ndarray
    embeddings: np.ndarray


def find_prototypes(fitted: Fitted) -> Prototypes | None:
    """Prototypes of the categories that the network was not trained on, or None.

    None where there are none, where the settings say so, or where under the allowed `COST` no
    picture of them would be answered.

    Raises:
        DatasetError: a picture cannot be read; it is named.
    """
    few = small_categories(fitted) if fitted.settings.prototypes else []
    if not few:
        return None
    with console.status(f"prototypes from {len(few)} pictures of small categories"):
        labels, targets = np.unique([picture.category for picture in few], return_inverse=True)
        sources = np.array([picture.group for picture in few])
        cache = Path(str(fitted.data.pixels.filename)).parent  # type: ignore[attr-defined]
        pixels = decoded_pictures(few, fitted.settings.resize, cache)
        answers = _answers(fitted, pixels, np.arange(len(few)))
        valid = _answers(fitted, fitted.data.pixels, fitted.valid)
        space = find_space(*_trained_embeddings(fitted))
    inside = space.enter(answers.embeddings)
    means = shrunk_means(*sums_and_counts(inside, targets, len(labels)))
    judged, judged_scores = leave_one_source_out(inside, targets, sources)
    known = fitted.data.targets[fitted.valid]
    none = fitted.data.labels.index(NONE_CATEGORY)
    directions, offsets = space.leave(means)
    valid_scores = valid.embeddings @ directions.T + offsets

    biases = [choose_bias(fitted.logits, s * valid_scores, known, none) for s in SCALES]
    trained = len(fitted.data.labels)
    hits = np.stack([
        ranks_hit(_joined(answers.logits[judged], s * judged_scores + b), trained + targets[judged])
        for s, b in zip(SCALES, biases, strict=True)
    ])  # fmt: skip
    if not hits.any():
        console.print("no prototype would be answered at the allowed cost: they are left out")
        return None
    best = best_scale(hits)
    scale, bias = SCALES[best], biases[best]
    directions, offsets = _as_stored(scale * directions), _as_stored(scale * offsets + bias)
    valid_logits = valid.embeddings @ directions.T + offsets
    return Prototypes(
        labels=labels.tolist(),
        directions=directions,
        biases=offsets,
        metrics=_measured(hits, sources[judged]),
        facts={
            "categories": len(labels),
            "pictures": len(few),
            "measured_categories": len(np.unique(targets[judged])),
            "measured_pictures": len(judged),
            "scale": scale,
            "bias": round(bias, 4),
            "cost": _cost(fitted.logits, valid_logits, known, none),
        },
        pictures=few,
    )


def _cost(logits: np.ndarray, rows: np.ndarray, targets: np.ndarray, none: int) -> dict[str, float]:
    """Share of the trained deities' pictures that are lost among the likeliest to the rows."""
    before, after = ranks_hit(logits, targets), ranks_hit(_joined(logits, rows), targets)
    lost = (before.astype(float) - after)[targets != none].mean(axis=0)
    return {FIGURES[rank]: round(float(share), 4) for rank, share in zip(COST, lost, strict=True)}


def _as_stored(numbers: np.ndarray) -> np.ndarray:
    """Rounded to half precision, as the bundle stores large weights: what is measured ships."""
    return numbers.astype(np.float16).astype(np.float32)


def small_categories(fitted: Fitted) -> list[Picture]:
    """Pictures of the dataset's categories that the network has no label for, but for a test's.

    A category without a knowledge entry is left out, with a line that says so.
    """
    first = fitted.data.real[0]
    folder = first.path.parents[len(PurePosixPath(first.columns["file_name"]).parts) - 1]
    others = [p for p in read_dataset(folder) if p.category not in set(fitted.data.labels)]
    others = [p for p in others if p.category != NONE_CATEGORY and not p.is_held_out]
    without = sorted({p.category for p in others if not has_entry(p.category)})
    if without:
        console.print(f"no knowledge entry, so no prototype: {', '.join(without)}")
    return [picture for picture in others if picture.category not in without]


class WithEmbedding(nn.Module):
    """Photos -> logits and the embedding of unit length side by side, (n, labels + d)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        features = self.network.feature_map(photos).mean((2, 3))
        logits = self.network.head(features)
        return torch.cat([logits, nn.functional.normalize(features, dim=1)], dim=1)


def _answers(fitted: Fitted, pixels: np.ndarray, chosen: np.ndarray) -> Answers:
    look = valid_transform(fitted.settings.valid_size, fitted.backbone.mean, fitted.backbone.std)
    dataset = PictureDataset(pixels, chosen, np.zeros(len(pixels), int), look)
    both = predict(WithEmbedding(fitted.network), dataset, fitted.settings.flip)
    return Answers(*np.split(both, [len(fitted.data.labels)], axis=1))


def _trained_embeddings(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and targets of the real pictures that the network was trained on."""
    data = fitted.data
    chosen = np.flatnonzero(data.split.is_train[: len(data.real)])  # variants stand behind them
    return _answers(fitted, data.pixels, chosen).embeddings, data.targets[chosen]


def find_space(embeddings: np.ndarray, targets: np.ndarray) -> Space:
    """The space of pictures of known labels: embeddings (n, d), targets int (n,)."""
    sums, counts = sums_and_counts(embeddings, targets, int(targets.max()) + 1)
    residuals = embeddings - (sums / np.maximum(counts, 1)[:, None])[targets]
    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    whitener = np.linalg.cholesky(np.linalg.inv(covariance))
    return Space(embeddings.mean(axis=0), whitener.astype(np.float32))


def sums_and_counts(
    vectors: np.ndarray, targets: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of each class's vectors, (count, d), and their number, (count,)."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, targets, vectors)
    return sums, np.bincount(targets, minlength=count)


def shrunk_means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means drawn towards the centre, (k, d): the fewer the pictures, the more."""
    return sums / (counts + CENTRE_WEIGHT)[:, None]


def scores(vectors: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Discriminants (n, k) of whitened vectors (n, d) for means (k, d)."""
    return vectors @ means.T - np.square(means).sum(axis=1) / 2


def leave_one_source_out(
    vectors: np.ndarray, targets: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare every picture with prototypes made without its source, as if it came from a new one.

    Args:
        vectors: whitened, (n, d).

    Returns:
        int (m,): the pictures whose class has a picture from another source; the others cannot be
        judged. float (m, classes): their `scores`; -inf for a class that has no other source.
    """
    sums, counts = sums_and_counts(vectors, targets, int(targets.max()) + 1)
    judged, seen = [], []
    for source in np.unique(sources):
        inside = np.flatnonzero(sources == source)
        own_sums, own_counts = sums_and_counts(vectors[inside], targets[inside], len(counts))
        remaining = counts - own_counts
        members = inside[remaining[targets[inside]] > 0]
        means = shrunk_means(sums - own_sums, remaining)
        judged.append(members)
        seen.append(np.where(remaining > 0, scores(vectors[members], means), -np.inf))
    return np.concatenate(judged), np.concatenate(seen)


def choose_bias(logits: np.ndarray, rows: np.ndarray, targets: np.ndarray, none: int) -> float:
    """The largest bias of the rows at which the trained labels lose at most `COST`.

    That holds for deities and for `none` apart; the area under the ROC curve of `none` stays what
    it was, to three decimals, and all lose at most `LIKELIHOOD`: rows that hardly ever win would
    otherwise still take their share of every confidence.

    Args:
        logits: of trained labels, (n, labels), on validation pictures.
        rows: of prototypes without a bias, (n, k).
    """
    deities, temperature = targets != none, fit_temperature(logits, targets)

    def figures(every: np.ndarray) -> np.ndarray:
        hits, probabilities = ranks_hit(every, targets), softmax(every / temperature)
        shares = [hits[side].mean(axis=0) for side in (deities, ~deities) if side.any()]
        own = probabilities[np.arange(len(targets)), targets]
        likelihood = np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean()
        auroc = round(none_auroc(probabilities[:, none], ~deities), 3)
        return np.append(np.ravel(shares), [likelihood, auroc])

    allowed = figures(logits)
    allowed[:-2] -= np.resize(list(COST.values()), len(allowed) - 2)
    allowed[-2] -= LIKELIHOOD

    def fits(bias: float) -> bool:
        now = figures(_joined(logits, rows + bias))
        return bool((np.nan_to_num(now, nan=1.0) >= np.nan_to_num(allowed)).all())

    # with this bias a row overtakes a picture's own label; with much less it is out of the race
    overtaking = logits[np.arange(len(targets)), targets] - rows.max(axis=1)
    low, high = float(overtaking.min() - 100 * temperature), float(overtaking.max())
    while high - low > BIAS_STEP:  # figures fall as the bias rises, but for small waves
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def ranks_hit(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """bool (n, 3): the target is among the 1, 3, 5 likeliest."""
    return np.stack([top_k_hits(logits, targets, rank) for rank in COST], axis=1)


def best_scale(hits: np.ndarray) -> int:
    """Which scale answers most pictures, over all ranks; `hits`: bool (scales, m, ranks)."""
    return int(hits.sum(axis=(1, 2)).argmax())


def _measured(hits: np.ndarray, sources: np.ndarray) -> dict[str, Estimate]:
    """Figures, each picture with the scale that is best for the pictures of other sources."""
    fair = np.empty(hits.shape[1:], bool)
    folds = min(5, len(np.unique(sources)))
    if folds < 2:
        fair = hits[best_scale(hits)]
    else:
        for others, judged in GroupKFold(folds).split(hits[0], groups=sources):
            fair[judged] = hits[best_scale(hits[:, others]), judged]
    return {
        FIGURES[rank]: bootstrap(lambda i, r=r: float(fair[i, r].mean()), sources)
        for r, rank in enumerate(COST)
    }


def _joined(logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([logits, rows], axis=1)
