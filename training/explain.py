"""Where the model looked, by two methods: the bundle's own activation map, and Grad-CAM.

Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017) weighs each channel of the last feature map by the mean gradient of a
score with respect to it. For a linear layer on the mean of the map that gradient is the layer's
weight, divided by the number of cells: Grad-CAM is then the class activation map, up to its scale
and the layer's bias. So the two must agree, and where they do not, the exported map is wrong.

`heat_map` shows a label's map above the mean of all labels' maps, which is what the softmax sees.
Grad-CAM is therefore drawn of two scores: of the label's logit above the mean logit, to compare
like with like, and of the logit alone, as it is usually drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from pydantic import TypeAdapter
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from rich.progress import track
from scipy.stats import spearmanr
from torch import nn
from torchvision.transforms.v2.functional import gaussian_blur

from ideitify.bundle import Estimate, verify_bundle
from ideitify.dataset import NONE_CATEGORY, Picture, read_dataset
from ideitify.heatmap import heat_map, heat_overlay
from ideitify.photo import open_photo
from ideitify.recognizer import Recognizer
from training.finished import Finished, load_finished, read_photos
from training.folding import fold_norms
from training.metrics import bootstrap
from training.record import write_json

OWN, ABOVE_MEAN, LOGIT = "bundle", "Grad-CAM above the mean", "Grad-CAM of the logit"
SHARES = np.linspace(0, 1, 17)  # of the photo's pixels, deleted or inserted
BLUR = 31  # pixels of the blur that insertion starts from, as RISE's at 224 pixels
SHEET_ROWS, CELL = 6, 224
SHEET_NAME, FIGURES_NAME = "contact_sheet.jpg", "explanation.json"
Figures = dict[str, dict[str, dict[str, Estimate]]]  # set -> method -> measure


class FeatureNetwork(nn.Module):
    """The network with its last feature map as a module of its own, which `GradCAM` watches."""

    def __init__(self, finished: Finished) -> None:
        super().__init__()
        self.network = finished.network
        self.features = nn.Identity()

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        features = self.features(self.network.feature_map(photos))
        return self.network.head(features.mean((2, 3)))


@dataclass(frozen=True)
class Explanation:
    """One picture explained.

    Attributes:
        name: of the label explained, the network's first guess among those trained on.
        heats: method -> float32 (size, size) in 0..1.
        figures: method -> measure -> value; the rank correlation is with the bundle's map.
    """

    picture: Picture
    name: str
    heats: dict[str, np.ndarray]
    figures: dict[str, dict[str, float]]

    @property
    def picture_set(self) -> str:
        """How the picture counts: what it shows, and whether that was guessed."""
        if self.picture.category == NONE_CATEGORY:
            return "no deity"
        return "deity, guessed" if self.picture.category == self.name else "deity, not guessed"


def explain(
    bundle: Path,
    run: Path,
    data: Path,
    out: Path,
    backbone: str | None = None,
    count: int = 60,
) -> Figures:
    """Explain pictures of a dataset folder, evenly chosen, by both methods, and measure them.

    Writes `contact_sheet.jpg` and `explanation.json` into `out`.

    Returns:
        Picture set -> method -> measure -> mean, with its interval over sources; without measures
        that no picture of the set has.

    Raises:
        BundleError, DatasetError, PhotoError, RunError: see `load_finished` and `read_dataset`.
    """
    manifest = verify_bundle(bundle)
    finished = load_finished(run, manifest, backbone)
    pictures = read_dataset(data)
    chosen = np.unique(np.linspace(0, len(pictures) - 1, count).astype(int))
    fold_norms(finished.network)  # a third of the time, with kept memory and channels last
    recognizer, model = Recognizer(bundle), FeatureNetwork(finished).eval()
    model.to(memory_format=torch.channels_last)
    explanations = [
        explain_picture(pictures[index], recognizer, model, finished.labels)
        for index in track(chosen, "explaining")
    ]
    figures = summary(explanations)
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(explanations, manifest.input.resize).save(out / SHEET_NAME, quality=90)
    write_json(out / FIGURES_NAME, TypeAdapter(Figures).dump_python(figures))
    return figures


def explain_picture(
    picture: Picture, recognizer: Recognizer, model: FeatureNetwork, labels: list[str]
) -> Explanation:
    """Draw and measure the maps of the network's first guess."""
    spec = recognizer.manifest.input
    photo = read_photos([picture.path], spec)
    with torch.no_grad():
        label = int(model(photo).argmax())
    own = heat_map(recognizer.recognize(picture.path), labels[label])
    heats = {OWN: scale_cam_image(own[None], (spec.size, spec.size))[0]}
    scores: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        ABOVE_MEAN: lambda logits: logits[label] - logits.mean(),
        LOGIT: lambda logits: logits[label],
    }
    with GradCAM(model, [model.features]) as grad_cam:
        for method, score in scores.items():
            heats[method] = grad_cam(input_tensor=photo.clone(), targets=[score])[0]
    figures = {}
    for method, heat in heats.items():
        deletion, insertion = deletion_and_insertion(
            model, photo, heat, label, recognizer.manifest.temperature
        )
        figures[method] = {"deletion": deletion, "insertion": insertion}
        if method != OWN:
            figures[method]["rank correlation"] = rank_correlation(heat, heats[OWN])
    return Explanation(picture, labels[label], heats, figures)


def rank_correlation(heat: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, over the pixels of two maps; NaN where one of them is the same everywhere."""
    if np.ptp(heat) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(heat, other, axis=None).statistic)


@torch.no_grad()
def deletion_and_insertion(
    model: nn.Module, photo: torch.Tensor, heat: np.ndarray, label: int, temperature: float
) -> tuple[float, float]:
    """How well a map orders the pixels (Petsiuk et al., "RISE", BMVC 2018).

    Deletion turns the hottest pixels grey first, insertion brings them first into a blurred photo;
    each score is the area under the label's probability over the share of pixels. A good map has a
    low deletion and a high insertion score.

    Args:
        photo: float32 (1, 3, size, size), normalised, so that 0 is the mean colour.
        heat: float (size, size).

    Returns:
        Both areas, in 0..1.
    """
    order = np.argsort(-heat, axis=None, kind="stable")
    rank = np.empty(order.size)
    rank[order] = np.arange(order.size) / order.size
    shares = torch.from_numpy(SHARES)[:, None, None, None]
    hottest = torch.from_numpy(rank.reshape(heat.shape)) < shares
    blurred = gaussian_blur(photo, [BLUR, BLUR])
    areas = []
    for photos in (
        torch.where(hottest, torch.zeros_like(photo), photo),
        torch.where(hottest, photo, blurred),
    ):
        probability = (model(photos) / temperature).softmax(1)[:, label].numpy()
        areas.append(float(np.trapezoid(probability, SHARES)))
    return areas[0], areas[1]


def summary(explanations: list[Explanation]) -> Figures:
    """Mean of every measure per picture set and method, with its interval over sources."""
    sets: dict[str, list[Explanation]] = {"all": explanations}
    for explanation in explanations:
        sets.setdefault(explanation.picture_set, []).append(explanation)
    return {
        name: {
            method: {
                measure: estimate
                for measure in measures
                if (estimate := _mean(members, method, measure)) is not None
            }
            for method, measures in members[0].figures.items()
        }
        for name, members in sets.items()
    }


def _mean(explanations: list[Explanation], method: str, measure: str) -> Estimate | None:
    """Over the pictures that have the measure; None where none has."""
    found = [(e.figures[method][measure], e.picture.group) for e in explanations]
    known = [(value, group) for value, group in found if not np.isnan(value)]
    if not known:
        return None
    values, groups = zip(*known, strict=True)
    return bootstrap(lambda chosen: float(np.array(values)[chosen].mean()), groups)


def table(figures: Figures) -> list[str]:
    """Lines for a person at a terminal."""
    lines = []
    for picture_set, methods in figures.items():
        for method, measures in methods.items():
            lines += [
                f"{picture_set}: {method}: {measure} {e.value:.3f} "
                f"({e.low:.3f} to {e.high:.3f}, n = {e.pictures})"
                for measure, e in measures.items()
            ]
    return lines


def contact_sheet(explanations: list[Explanation], resize: str) -> Image.Image:
    """A few pictures, evenly chosen, in rows: the photo, the bundle's map, Grad-CAM's.

    Returns:
        RGB, a row of `CELL` pixels a picture and a line of text above all.
    """
    chosen = np.unique(np.linspace(0, len(explanations) - 1, SHEET_ROWS).astype(int))
    methods, head = (OWN, ABOVE_MEAN, LOGIT), 20
    sheet = Image.new("RGB", (CELL * (1 + len(methods)), head + CELL * len(chosen)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(("photo", *methods)):
        pen.text((column * CELL + 4, 4), title, fill="black")
    for row, explanation in enumerate(explanations[index] for index in chosen):
        photo, top = open_photo(explanation.picture.path, side=CELL), head + row * CELL
        cells = [photo, *(heat_overlay(photo, explanation.heats[m], resize) for m in methods)]
        for column, cell in enumerate(cells):
            sheet.paste(ImageOps.pad(cell, (CELL, CELL), color="white"), (column * CELL, top))
        pen.text(
            (4, top + CELL - 14), f"{explanation.name} ({explanation.picture_set})",
            fill="white", stroke_width=2, stroke_fill="black",
        )  # fmt: skip
    return sheet
