"""The model card, written from measured facts."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ideitify.bundle import Estimate, Manifest
from ideitify.dataset import Picture

LICENSE = "mit"  # of this project, and of what it makes of weights whose licence allows that
_PERMISSIVE = re.compile(r"mit|apache-2\.0|bsd-.+|cc0-1\.0")
_CREATIVE_COMMONS = re.compile(r"cc-by(-nc)?(-nd|-sa)?-4\.0")  # the Hub knows all of them by name

CARD = """---
license: {license}
library_name: ideitify
pipeline_tag: image-classification
tags: [deities, iconography, onnx]
---

# {name}

Recognises {deity_count} deities and sacred figures in photos of statues, reliefs, paintings and
prints, or says that it is not sure, or that it sees no deity that it knows.{few_count} Made
{created} by `python -m training fit`; the settings are in `bundle.json`.

## Use

```python
from ideitify import Recognizer

answer = Recognizer.load("this folder").recognize("photo.jpg")
```

## Intended use

Meant for learning and for sorting collections, with a person who looks again. Not meant to judge
people, beliefs or the authenticity of objects.

## Measured

{pictures_valid} validation pictures that were not trained on, on one side of a split by source,
opened as the app opens them; {unseen} are from sources with no picture in training. Intervals are
95 %, resampled over whole sources. Settings, temperature and thresholds were chosen on these same
pictures (the calibration error is cross-fitted), so expect a little less on new photos.

{metrics}

Thresholds: {operating_point}.
{few}
## Per class

Recall of the first guess on the validation pictures, with Wilson 95 % intervals. Small samples:
read the interval, not the value.

{per_class}

Split by near-duplicate group, because whole sources could not split them (their figures are
flattered by pictures of the same source in training): {near_duplicates}.

## Known biases

{biases}
- Few pictures a class: {smallest} to {largest}. Regional forms that the pictures lack are missed.
- A photo of a deity outside the {deity_count} is often answered with the most similar one known.

## Data and rights

Backbone `{backbone}` ({backbone_license}; {backbone_origin}), pretrained on ImageNet. Trained on
{pictures_train} labelled pictures and validated on {pictures_valid}, from {sources} sources (data
fingerprint `{fingerprint}`). The licences of all of them: {licenses}. The pictures are not part of
this model's folder and are not redistributed.
{notes}"""


FEW = """
### Known from few pictures

{categories} categories with too few pictures to be trained ({pictures} pictures) are told by a
linear discriminant from the mean of their embeddings. The rows "few pictures" above measure that on
the {measured_pictures} pictures of {measured_categories} of them that have another source to be
made from: each is judged among all labels by prototypes without its own source. The others cannot
be measured. What this costs the trained deities on validation: {cost}.
"""


RIGHTS = """
The weights derive from the backbone's, so its licence, or each of its licences, named above, holds
for them as well: read it before you use them or pass them on. Where it is unknown, ask who made
them.
"""


def license_of(backbone_license: str | None) -> tuple[str, str | None]:
    """The Hub's `license` of a model made from a backbone, and its `license_name` beside "other".

    The weights derive from the backbone's, so they are not ours to put under any licence.

    Args:
        backbone_license: as in `Backbone.license`: an identifier with remarks in parentheses, or
            several, joined by ";"; nothing or "unknown" where it is not recorded.
    """
    without_remarks = re.sub(r"\([^()]*\)", "", backbone_license or "")
    slugs = [re.sub(r"[^a-z0-9.]+", "-", part.lower()) for part in without_remarks.split(";")]
    names = sorted({slug.strip("-") or "unknown" for slug in slugs})
    if all(map(_PERMISSIVE.fullmatch, names)):
        return LICENSE, None
    if len(names) == 1 and _CREATIVE_COMMONS.fullmatch(names[0]):
        return names[0], None
    return "other", "-and-".join(names)


def model_card(manifest: Manifest, pictures: list[Picture], unseen: int) -> str:
    """README.md of a bundle.

    Args:
        pictures: all that the model was trained and validated on.
        unseen: how many validation pictures come from sources without a picture in training.
    """
    sizes = Counter(picture.category for picture in pictures)
    licenses = Counter(picture.columns.get("license") or "unknown" for picture in pictures)
    training = manifest.training
    license_id, license_name = license_of(training["backbone"]["license"])
    return CARD.format(
        license=license_id + (f"\nlicense_name: {license_name}" if license_name else ""),
        name=manifest.name,
        created=manifest.created[:10],
        deity_count=len(manifest.labels) - len(manifest.prototypes) - 1,
        few_count=_few_count(manifest),
        few=_few_pictures(manifest),
        pictures_valid=training["pictures"]["valid"],
        pictures_train=training["pictures"]["train"],
        unseen=unseen,
        metrics=_metrics_table(manifest),
        operating_point=manifest.thresholds.operating_point,
        per_class=_class_table(manifest, sizes),
        near_duplicates=", ".join(training["split_by_near_duplicates"]) or "none",
        biases=_one_source_biases(pictures),
        smallest=min(sizes.values()),
        largest=max(sizes.values()),
        backbone=training["backbone"]["name"],
        backbone_license=training["backbone"]["license"],
        backbone_origin=training["backbone"]["origin"],
        sources=len({picture.group for picture in pictures}),
        fingerprint=training["fingerprint"][:16],
        licenses=", ".join(f"{name} {count}" for name, count in licenses.most_common()),
        notes=_notes(training),
    )


def _notes(training: dict[str, Any]) -> str:
    """What is unusual about a training; empty where nothing is."""
    notes = ""
    if license_of(training["backbone"]["license"])[0] != LICENSE:
        notes += RIGHTS
    if made := training["pictures"].get("synthetic"):
        notes += (
            f"\n{made} machine-made variants of training pictures were trained on as well; no "
            "figure is measured on them.\n"
        )
    if teacher := training.get("teacher"):
        notes += (
            f"\nWhat was learned is {training['settings']['teacher_share']:.0%} the answer of "
            f"another network to the same crops, the rest the label: `{teacher}` "
            f"({training.get('teacher_license')}), trained on the same pictures.\n"
        )
    if training["epochs"] < training["settings"]["epochs"]:
        notes += (
            f"\nThe training was broken off after {training['epochs']} of "
            f"{training['settings']['epochs']} epochs.\n"
        )
    return notes


def _few_count(manifest: Manifest) -> str:
    if not manifest.prototypes:
        return ""
    return f" {len(manifest.prototypes)} others it knows from few pictures only and seldom names."


def _few_pictures(manifest: Manifest) -> str:
    """The section on prototypes; empty without them."""
    facts = manifest.training.get("few_pictures")
    if not facts:
        return ""
    cost = ", ".join(f"{name} {share:.2%}" for name, share in facts["cost"].items())
    return FEW.format(**facts | {"cost": cost})


def _metrics_table(manifest: Manifest) -> str:
    lines = ["| pictures | figure | value | 95 % interval | n |", "|---|---|---|---|---|"]
    for pictures, figures in manifest.metrics.items():
        for figure, estimate in figures.items():
            lines.append(f"| {pictures} | {figure} | {_cells(estimate)} |")
    return "\n".join(lines)


def _class_table(manifest: Manifest, sizes: Counter[str]) -> str:
    lines = ["| class | pictures | recall | 95 % interval | n |", "|---|---|---|---|---|"]
    for label, estimate in manifest.per_class.items():
        lines.append(f"| {label} | {sizes[label]} | {_cells(estimate)} |")
    return "\n".join(lines)


def _cells(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} | {estimate.low:.3f} to {estimate.high:.3f} | {estimate.pictures}"


def _one_source_biases(pictures: list[Picture]) -> str:
    """Name the classes of which most pictures come from one source: it may be learned instead."""
    by_class: dict[str, Counter[str]] = {}
    for picture in pictures:
        by_class.setdefault(picture.category, Counter())[picture.group] += 1
    shares = {c: max(groups.values()) / groups.total() for c, groups in by_class.items()}
    named = [
        f"{c} ({share:.0%})"
        for c, share in sorted(shares.items(), key=lambda i: -i[1])
        if share >= 0.6
    ]
    if not named:
        return "- No class has most of its pictures from one source."
    return (
        "- Most pictures of these classes come from one source, so the model may know the source "
        f"(a temple's light, a museum's wall) rather than the deity: {', '.join(named)}."
    )
