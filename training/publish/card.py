"""The model card as the Hub shows it: the bundle's own, with what the Hub reads by machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

from huggingface_hub import EvalResult, ModelCard

from ideitify.bundle import Estimate, Manifest
from training.card import LICENSE, license_of
from training.publish.forms import FASTAI_FILES, TIMM_FILES

_HUB_PAGE = "https://huggingface.co/"
_HUB_MODEL = re.compile(rf"{re.escape(_HUB_PAGE)}([\w.-]+/[\w.-]+)")
_METRIC_TYPES = {"macro_f1": "f1", "none_auroc": "roc_auc"}  # the Hub's names; others stay

LOAD = """\
## Load it

```python
from ideitify import Recognizer  # calibrated, with its `none` and its thresholds; no torch

answer = Recognizer.load("hf://{repository}{revision}").recognize("photo.jpg")
```
"""
LOAD_TIMM = """
```python
import timm  # the logits before the temperature; names in model.pretrained_cfg["label_names"]

model = timm.create_model("hf-hub:{repository}{revision}", pretrained=True).eval()
```
"""
LOAD_FASTAI = """
```python
from huggingface_hub import from_pretrained_fastai  # to go on training; opening it runs its code

learner = from_pretrained_fastai("{repository}"{fastai_revision})
```
"""
CALIBRATION = """
timm's and fastai's forms give the same logits, of the {labels} labels trained on. Divide them by
the temperature, {temperature}, before the softmax, for calibrated probabilities.
"""
CITE = """
## How to cite

```bibtex
@software{{{key},
  title = {{{name}: recognising deities in photos}},
  year = {{{year}}},{version}
  url = {{{page}}}
}}
```
"""


def hub_card(
    text: str, manifest: Manifest, repository: str, files: Iterable[str], tag: str | None
) -> str:
    """Complete the bundle's README.md for the Hub.

    Args:
        text: the bundle's own card, with front matter.
        repository: owner/name.
        files: names of all that is published.
        tag: of this release.
    """
    card, names = ModelCard(text), set(files)
    front = card.data
    has_timm, has_fastai = names.issuperset(TIMM_FILES), names.issuperset(FASTAI_FILES)
    libraries = ["timm"] * has_timm + ["fastai"] * has_fastai
    front.tags = list(dict.fromkeys([*(front.tags or []), *libraries]))
    backbone = manifest.training.get("backbone", {})
    if front.license == LICENSE:  # what cards once said of every backbone
        front.license, front.license_name = license_of(backbone.get("license"))
    models = list(dict.fromkeys(_HUB_MODEL.findall(backbone.get("origin", ""))))
    if models:
        front.base_model = models if len(models) > 1 else models[0]
    front.model_name = manifest.name
    front.eval_results = [
        _result(pictures, metric, estimate)
        for pictures, figures in manifest.metrics.items()
        for metric, estimate in figures.items()
    ]
    load = LOAD + LOAD_TIMM * has_timm + LOAD_FASTAI * has_fastai + CALIBRATION * bool(libraries)
    load = load.format(
        repository=repository,
        revision=f"@{tag}" if tag else "",
        fastai_revision=f', revision="{tag}"' if tag else "",
        labels=len(manifest.labels) - len(manifest.prototypes),
        temperature=manifest.temperature,
    )
    cite = CITE.format(
        key=manifest.name,
        name=manifest.name,
        year=manifest.created[:4],
        version=f"\n  version = {{{tag}}}," if tag else "",
        page=_HUB_PAGE + repository,
    )
    card.text = f"{card.text.rstrip()}\n\n{load}{cite}"
    return str(card)


def _result(pictures: str, metric: str, estimate: Estimate) -> EvalResult:
    """A row of the Hub's `model-index`; the sample size and the interval stand in its name."""
    return EvalResult(
        task_type="image-classification",
        dataset_type="imagefolder",
        dataset_name=pictures,
        dataset_config=pictures,  # else rows of different sets would be joined
        metric_type=_METRIC_TYPES.get(metric, metric),
        metric_value=round(estimate.value, 4),
        metric_name=(
            f"{metric} (95 % interval {estimate.low:.3f} to {estimate.high:.3f}, "
            f"n = {estimate.pictures})"
        ),
    )
