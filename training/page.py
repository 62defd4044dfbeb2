"""The pages of this stage: their templates, their charts and their look."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ideitify.page import environment

TEMPLATES = Path(__file__).resolve().parent / "templates"
INK, QUIET, LINE = "#2c2520", "#6b5e52", "#e4dacb"  # as in templates/page.css
COLOURS = ("#8f3b1b", "#4f7a52", "#d9a441", "#4a6c8c")


def render(template: str, **values: Any) -> str:
    """Fill a template of `training/templates`; every value but `Markup` is escaped."""
    return _environment().get_template(template).render(**values)


def chart(figure: go.Figure, height: int = 300) -> Markup:
    """A plotly figure as HTML in the page's look; the page itself holds the script."""
    figure.update_layout(
        template="none",
        height=height,
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 12, "t": 8, "b": 46},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,  # or a thumb that scrolls the page would zoom the chart
    )
    figure.update_xaxes(gridcolor=LINE, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=LINE, zeroline=False, automargin=True)
    config = {"displayModeBar": False, "responsive": True}
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config))


@cache
def _environment() -> Environment:
    pages = environment(TEMPLATES)
    pages.globals["plotly"] = Markup(get_plotlyjs())
    pages.filters["percent"] = lambda share: f"{100 * share:.1f}"
    return pages
