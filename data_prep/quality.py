"""Flag pictures that are hard to learn from: by CleanVision's checks, by layout, by the model.

Columns of each check, in CleanVision's way: `<check>_score`, 0..1, low where it is bad, and
`is_<check>_issue`. A flag sends a picture to review; only what shows nothing at all is rejected.
"""

from __future__ import annotations

import logging
from typing import Unpack

import pandas as pd
from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager
from pydantic import BaseModel, ConfigDict, Field

from data_prep.embed import bundle_manifest, embed
from data_prep.marks import mark_scores
from data_prep.pixels import measure
from data_prep.table import Table
from data_prep.workers import Where
from ideitify.dataset import NONE_CATEGORY

VERSION = 3  # brightness, entropy and blurriness from fewer pixels

logger = logging.getLogger(__name__)


class QualitySettings(BaseModel):
    """From which score on a picture is fine, and what becomes of the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dark: float = Field(
        0.32, description="brightness of the lightest percent; CleanVision's own threshold"
    )
    light: float = Field(
        0.05, description="darkness of the darkest 5 percent; CleanVision's own threshold"
    )
    blurry: float = Field(
        0.29, description="contrast of edges at 64 pixels; CleanVision's own threshold"
    )
    odd_aspect_ratio: float = Field(
        0.35, description="short to long side; CleanVision's own threshold"
    )
    odd_size: float = Field(
        3.0, gt=0, description="interquartile ranges from the others' sizes; CleanVision's own"
    )
    low_information: float = Field(
        0.3, description="entropy in tenths of bits; CleanVision's own threshold"
    )
    blank: float = Field(
        0.02, description="spread of colour; JPEG's noise on a single one is 0.01: rejected below"
    )
    text_card: float = Field(
        0.12, description="share of edges that are not of letters: few photos come down to it"
    )
    screenshot: float = Field(
        0.6, description="as collage, for pictures with plain bands from side to side as in pages"
    )
    collage: float = Field(
        0.25, description="share of the longest seam that is none; horizons and doors reach 0.3"
    )
    border: float = Field(
        0.85, description="share that is not plain border; a passe-partout is about 0.8"
    )
    watermark: float = Field(
        0.75, description="disagreement with what pictures of its source share in one place"
    )
    watermark_pictures: int = Field(
        8, ge=3, description="of one source, from which on chance agreement is small"
    )
    columns_only: tuple[str, ...] = Field(
        ("grayscale", "odd_size"),
        description="checks that send nothing to review: old photos are grey, sources differ",
    )


def quality(
    table: Table, settings: QualitySettings, *, bundle: str | None = None, **where: Unpack[Where]
) -> Table:
    """Score every picture, flag those below the thresholds, and send them to review.

    Raises:
        OSError: a cache cannot be written.
        BundleError: the model bundle cannot be used.
        EngineError: the cluster cannot be used.
    """
    seen = measure(table, **where)
    seen = seen[seen["refusal"] == ""]
    if seen.empty:
        logger.info("no picture can be read")
        return table
    readable = Table(table.folder, table.rows.loc[seen.index])
    issues = pd.concat(
        [
            cleanvision_issues(seen, settings),
            layout_issues(seen, settings),
            _watermark_issues(readable, settings),
            _no_deity_issues(readable, bundle, **where),
        ],
        axis=1,
    )
    for column in issues:
        table.rows[column] = issues[column].reindex(table.rows.index)
    for name in issues.index[issues["is_blank_issue"]]:
        table.reject(str(name), "blank")
    _send_to_review(table, issues, settings.columns_only)
    return table


def cleanvision_issues(seen: pd.DataFrame, settings: QualitySettings) -> pd.DataFrame:
    """CleanVision's scores and flags from its raw values, by its own code.

    Args:
        seen: columns of `looks.cleanvision_measures`, and `mode`.
    """
    checks = [
        "dark", "light", "blurry", "odd_aspect_ratio", "odd_size", "low_information", "grayscale",
    ]  # fmt: skip
    manager = ImagePropertyIssueManager()
    thresholds = {name: {"threshold": getattr(settings, name, None)} for name in checks}
    manager.update_params(thresholds | {"odd_size": {"iqr_factor": settings.odd_size}})
    manager.issues = pd.DataFrame(index=seen.index)
    manager.update_issues(seen.rename(columns={"mode": "color_space"}), checks)
    return manager.issues


def layout_issues(seen: pd.DataFrame, settings: QualitySettings) -> pd.DataFrame:
    """Scores and flags of what is put around and over photos.

    Args:
        seen: columns of `looks.layout_measures`.
    """
    is_page = seen["bands"] >= 2
    scores = {
        "blank": seen["spread"].clip(upper=1),
        "text_card": 1 - seen["text"],
        "screenshot": 1 - seen["seam"].where(is_page, 0.0),
        "collage": 1 - seen["seam"],
        "border": 1 - seen["border"],
    }
    return _flagged(scores, settings)


def _watermark_issues(table: Table, settings: QualitySettings) -> pd.DataFrame:
    return _flagged({"watermark": 1 - mark_scores(table, settings.watermark_pictures)}, settings)


def _flagged(scores: dict[str, pd.Series], settings: QualitySettings) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name, score in scores.items():
        columns[f"{name}_score"] = score
        columns[f"is_{name}_issue"] = score < getattr(settings, name)
    return pd.DataFrame(columns)


def _no_deity_issues(table: Table, bundle: str | None, **where: Unpack[Where]) -> pd.DataFrame:
    """Pictures of a deity's category in which the model sees none, by its own threshold."""
    seen = embed(table, bundle, dimensions=0, **where)
    index = table.rows.index[seen.known]
    if NONE_CATEGORY not in seen.labels:
        logger.info("the model bundle knows no %r: deities are not looked for", NONE_CATEGORY)
        return pd.DataFrame(index=index)
    probabilities = seen.probabilities[seen.known]
    none = probabilities[:, list(seen.labels).index(NONE_CATEGORY)]
    threshold = bundle_manifest(bundle).thresholds.none
    says_none = (none >= threshold) & (none == probabilities.max(axis=1))
    deities = set(seen.labels) - {NONE_CATEGORY}  # of others, the model cannot know
    claims_deity = table.rows["category"][seen.known].isin(deities)
    return pd.DataFrame(
        {"no_deity_score": 1 - none, "is_no_deity_issue": says_none & claims_deity}, index=index
    )


def _send_to_review(table: Table, issues: pd.DataFrame, columns_only: tuple[str, ...]) -> None:
    checks = [name[3:-6] for name in map(str, issues) if name.startswith("is_")]
    flags = issues[[f"is_{name}_issue" for name in checks]].eq(True).to_numpy()
    for name, flagged in zip(issues.index, flags, strict=True):
        found = [check for check, flag in zip(checks, flagged, strict=True) if flag]
        if doubtful := [check.replace("_", " ") for check in found if check not in columns_only]:
            table.doubt(str(name), ", ".join(doubtful))
    counts = {name: int(column.sum()) for name, column in zip(checks, flags.T, strict=True)}
    found = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    logger.info("flagged: %s", ", ".join(found) or "none")
