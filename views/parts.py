"""What several pages show: an entry's sections, links to entries, the loaded model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

import streamlit as st

from ideitify import BundleError, Entry, Recognizer, find_entry
from ideitify.knowledge import Source
from ideitify.serving import default_recognizer
from views import words


@st.cache_resource(show_spinner="Loading the model …")
def _load_model() -> None:
    default_recognizer()


def load_recognizer() -> Recognizer:
    """The process's model; the first page that asks shows that it is loaded."""
    _load_model()
    return default_recognizer()


def link_to(entry: Entry, label: str | None = None) -> None:
    """Link to the entry's page; it opens without losing the photo on Snap."""
    st.page_link(
        "explore.py", label=words.plain(label or entry.name), query_params={"deity": entry.slug}
    )


def heading(text: str) -> None:
    """Head a section; `text` is shown as it is."""
    st.subheader(words.plain(text), anchor=False)


def bullets(items: Iterable[str]) -> str:
    """HTML of a list, escaped."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def show_facts(facts: Mapping[str, str | None]) -> None:
    """Short facts as a list of terms; those without a value are left out."""
    terms = "".join(
        f"<div><dt>{term}</dt><dd>{escape(fact)}</dd></div>" for term, fact in facts.items() if fact
    )
    st.html(f'<dl class="facts">{terms}</dl>')


def show_looks(entry: Entry) -> None:
    """What to check in the picture, aspect by aspect."""
    blocks = [
        f"<section><h3>{words.ASPECTS[aspect]}</h3>{bullets(phrases)}</section>"
        for aspect, phrases in entry.look_for
    ]
    st.html(f'<div class="aspects">{"".join(blocks)}</div>')


def show_names(entry: Entry, most: int | None = 4) -> None:
    """The name in its first other script, and at most `most` others that the entry goes by."""
    tag, name = words.native_name(entry) or ("", "")
    native = f'<span lang="{tag}" class="native">{escape(name)}</span> ' if name else ""
    others = ", ".join(entry.also_known_as[:most])
    if native or others:
        st.html(f'<p class="names">{native}{escape(others)}</p>')


def show_story(entry: Entry) -> None:
    """History and living worship: body, festivals, places, care, sources."""
    heading("History and meaning")
    st.markdown(entry.body)
    if entry.festivals:
        heading("Festivals")
        st.html("".join(
            f'<div class="festival"><h3>{escape(festival.name)}</h3>'
            f'<p class="when">{escape(festival.when)}</p><p>{escape(festival.what)}</p></div>'
            for festival in entry.festivals
        ))  # fmt: skip
    if entry.sacred_places:
        heading("Sacred places")
        st.html(f'<div class="wide-list">{bullets(entry.sacred_places)}</div>')
    if entry.care:
        heading("With care")
        st.html(f'<div class="care">{bullets(entry.care)}</div>')
    heading("Sources")
    st.html(f'<ul class="sources">{"".join(map(_source_item, entry.sources))}</ul>')


def show_look_alikes(entry: Entry) -> None:
    """Entries that this one is often confused with, each with the difference."""
    if not entry.confused_with:
        return
    heading("Often confused with")
    for alike in entry.confused_with:
        with st.container(key=f"alike-{alike.deity}", gap="xxsmall"):
            link_to(find_entry(alike.deity))
            st.html(f"<p>{escape(alike.how_to_tell)}</p>")


def _source_item(source: Source) -> str:
    title = f"<cite>{escape(source.title)}</cite>"
    if source.url:
        title = f'<a href="{escape(str(source.url))}" target="_blank" rel="noopener">{title}</a>'
    details = [escape(str(part)) for part in (source.author, source.publisher, source.year) if part]
    return f"<li>{', '.join([title, *details])}</li>"


def apologise(error: Exception) -> bool:
    """Say that something failed, in place of Streamlit's own notice; the log has the rest."""
    st.error(
        "Something went wrong here; it is not your photo's fault. Reload the page and try again.",
        icon=":material/error:",
    )
    return True


def show_bundle_error(error: BundleError) -> None:
    """Say that there is no usable model, and what to do about it."""
    st.error(
        f"The model cannot be used, so no photo can be recognised. {words.plain(str(error))}\n\n"
        "If this server is yours: set `IDEITIFY_BUNDLE` to a working bundle and start it again.",
        icon=":material/build:",
    )
