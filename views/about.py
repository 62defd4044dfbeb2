"""About: how good the model is, what it cannot do, what happens to photos."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st

from ideitify import BundleError, find_entry
from ideitify.bundle import Estimate, Manifest
from ideitify.serving import refused_update
from views import parts, words


def show_estimates(estimates: Mapping[str, Estimate], first_column: str) -> None:
    """A table of figures with their intervals and numbers of pictures."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{100 * figure.value:.1f} %</td>'
        f"<td>{100 * figure.low:.0f} – {100 * figure.high:.0f} %</td>"
        f"<td>{figure.pictures}</td></tr>"
        for name, figure in estimates.items()
    )
    columns = (first_column, "Value", "95 % interval", "Pictures")
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    st.html(f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')


def show_model(manifest: Manifest) -> None:
    """The bundle's measured figures and facts."""
    parts.heading("How good it is")
    st.markdown(
        "Measured on pictures that the model did not learn from. The interval says how far chance "
        "alone may move a figure: the fewer pictures, the wider."
    )
    for picture_set, metrics in manifest.metrics.items():
        st.html(f'<h3 class="small">{escape(words.figure_name(picture_set))}</h3>')
        in_order = [key for key in dict.fromkeys([*words.FIGURES, *metrics]) if key in metrics]
        show_estimates({words.figure_name(key): metrics[key] for key in in_order}, "Figure")
    if manifest.per_class:
        with st.expander("Each deity: how many of its pictures are named rightly"):
            by_name = sorted(manifest.per_class.items(), key=lambda item: -item[1].value)
            show_estimates({find_entry(slug).name: value for slug, value in by_name}, "Deity")
    parts.heading("The model")
    backbone = manifest.training.get("backbone", {}).get("name", "")
    parts.show_facts({
        "Name": manifest.name,
        "Made": manifest.created[:10],
        "Backbone": backbone.replace("+", " and "),
        "Knows": words.known(manifest),
        "Sees": f"{manifest.input.size} × {manifest.input.size} pixels of each photo",
        "Answers": manifest.thresholds.operating_point,
    })  # fmt: skip


st.title("About Ideitify", anchor=False)
st.html(
    '<p class="lead">An open system that recognises deities and sacred figures in photos, says how '
    "sure it is, and tells you what to look for yourself.</p>"
)
parts.heading("What happens to your photo")
st.markdown(
    "It goes to this server, is looked at, and is forgotten when you take the next one or leave. "
    "Nothing is stored, shared or used for training. While a large file arrives, it may pass "
    "through a temporary file that is deleted at once. A picture from a link is fetched by this "
    "server, so the site it comes from sees the server, not you."
)
parts.heading("What it cannot do")
st.html(parts.bullets((
    "It knows only figures that have an entry under Explore, not all of them, and some from few "
    "pictures only. Thousands of others are missing.",
    "It goes by what is usual in images: rare forms, damaged statues, and figures wrapped in cloth "
    "and flowers are often missed.",
    "Figures that share their signs are confused; the answer then names both.",
    "It says nothing about a person's faith, nor about the holiness of a place or an object.",
)))  # fmt: skip
try:
    show_model(parts.load_recognizer().manifest)
    if refusal := refused_update():
        st.warning(
            "There is a newer model, but it cannot be used, so this one goes on. "
            f"{words.plain(refusal)}",
            icon=":material/update_disabled:",
        )
except BundleError as error:
    parts.show_bundle_error(error)
parts.heading("Use it elsewhere")
st.markdown(
    "The same server answers programs: `POST /api/identify` with a photo returns the answer as "
    "JSON; `/api/openapi.json` describes everything."
)
parts.heading("Licence")
st.markdown("Code and texts are open under the MIT licence.")
