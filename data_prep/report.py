"""One page to send to someone: what the data set is, and what was done to make it that."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

from pydantic import BaseModel, ConfigDict, Field

from data_prep.charts import bars, histogram, plotly_script
from data_prep.findings import STATUSES, Findings, Limits, find, license_name
from data_prep.page import render
from data_prep.table import Table
from data_prep.thumbnails import thumbnails
from data_prep.workers import Where
from ideitify.dataset import NONE_CATEGORY
from ideitify.decisions import DECISIONS_NAME
from ideitify.files import write_whole

REPORT_NAME = "report.html"

logger = logging.getLogger(__name__)


class ReportSettings(BaseModel):
    """How much to show; every picture adds about 4 kB to the page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_category: int = Field(8, ge=1, description="pictures on a category's sheet: a row or two")
    per_issue: int = Field(
        12, ge=1, description="pictures of each kind of issue: enough to judge its threshold"
    )
    groups: int = Field(12, ge=0, description="groups of copies that are shown side by side")
    bars: int = Field(40, ge=1, description="bars in a chart; the tables below have all")


def report(table: Table, settings: ReportSettings, **where: Unpack[Where]) -> Table:
    """Write report.html: sizes, licences, sources, pictures, issues, label conflicts, agreement.

    It is one file that fetches nothing.

    Raises:
        DatasetError: decisions.csv cannot be read.
        OSError: the page cannot be written.
    """
    limits = Limits(settings.per_category, settings.per_issue, settings.groups)
    findings = find(table, limits)
    small = thumbnails(table, findings.names(), **where)
    page = render(
        "report.html",
        title=table.folder.absolute().name,
        day=datetime.now(UTC).strftime("%Y-%m-%d"),
        findings=findings,
        charts=_charts(findings, settings.bars),
        plotly=plotly_script(),
        thumbnails=small,
        limits=limits,
        bars=settings.bars,
        open_share=_open_share(findings),
        without_deity=next(
            (each for each in findings.categories if each.slug == NONE_CATEGORY), None
        ),
    )
    write_whole(table.folder / REPORT_NAME, page)
    logger.info("%s: %.1f MB", REPORT_NAME, len(page) / 1e6)
    return table


def reads(table: Table) -> list[Path]:
    """What the result depends on beside the table."""
    return [table.folder / DECISIONS_NAME]


def _open_share(findings: Findings) -> float:
    """The share of kept pictures that may be passed on."""
    free = sum(n for name, n in findings.licenses.items() if findings.permits[name] == "open")
    return free / max(1, findings.licenses.total())


def _charts(findings: Findings, most: int) -> Mapping[str, str]:
    """Each chart as HTML, by its name in the template; none for what nothing is known of."""
    # without `none`, which is often so large that the others' bars could not be compared
    categories = [each for each in findings.categories if each.slug != NONE_CATEGORY][:most]
    series = {status: [each.statuses[status] for each in categories] for status in STATUSES}
    sources, licenses = findings.sources.most_common(most), findings.licenses.most_common()
    permits = sorted(set(findings.permits.values()))
    charts = {
        "categories": bars([each.name for each in categories], series, "pictures"),
        "sources": bars(
            [name for name, _ in sources], {"kept": [n for _, n in sources]}, "kept pictures"
        ),
        "licenses": bars(
            [license_name(name) for name, _ in licenses],
            {
                each: [n if findings.permits[name] == each else 0 for name, n in licenses]
                for each in permits
            },
            "kept pictures",
        ),
    }
    if findings.short_sides:
        charts["sizes"] = histogram(findings.short_sides, "short side in pixels")
    return charts
