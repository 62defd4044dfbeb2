"""Charts for pages that are one file: plotly, its script once, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

INK, QUIET, LINE = "#2c2520", "#6b5e52", "#e4dacb"  # of the pages, as in templates/page.css
COLOURS = {
    "kept": "#8f3b1b", "review": "#d9a441", "rejected": "#c9bdae",
    "open": "#4f7a52", "noncommercial": "#d9a441", "restricted": "#b5573f", "unknown": "#c9bdae",
}  # fmt: skip
BAR = 22  # pixels of height for each bar, so that its label can be read


def plotly_script() -> str:
    """The library, to be put into a page once."""
    return str(get_plotlyjs())


def bars(labels: Sequence[str], series: Mapping[str, Sequence[int]], title: str) -> str:
    """Horizontal bars, the first on top, as HTML; the page says what their colours mean.

    Args:
        series: name, a key of `COLOURS` -> a number for each label.
        title: what the numbers count.
    """
    figure = go.Figure([
        go.Bar(
            y=list(labels), x=list(values), name=name, orientation="h",
            marker_color=COLOURS[name], hovertemplate="%{y}: %{x} " + name + "<extra></extra>",
        )
        for name, values in series.items()
    ])  # fmt: skip
    figure.update_layout(barmode="stack", bargap=0.2, height=54 + BAR * len(labels))
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", dtick=1, ticklen=4)
    figure.update_xaxes(title=title, gridcolor=LINE, zeroline=False)
    return _html(figure)


def histogram(values: Sequence[int], title: str) -> str:
    """How often values occur, as HTML."""
    figure = go.Figure(go.Histogram(x=list(values), nbinsx=40, marker_color=COLOURS["kept"]))
    figure.update_layout(height=240, bargap=0.05)
    figure.update_xaxes(title=title, gridcolor=LINE)
    figure.update_yaxes(title="pictures", gridcolor=LINE, automargin=True)
    return _html(figure)


def _html(figure: go.Figure) -> str:
    figure.update_layout(
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 12, "t": 8, "b": 46},
        showlegend=False,
        dragmode=False,  # or a thumb that scrolls the page would zoom the chart
    )
    small = {"title_font": {"size": 13, "color": QUIET}, "title_standoff": 8}
    figure.update_xaxes(**small).update_yaxes(**small)
    config = {"displayModeBar": False, "responsive": True}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=config))
