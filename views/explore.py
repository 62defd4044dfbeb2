"""Explore: every deity and sacred figure, and a page for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from html import escape

import streamlit as st

from ideitify import Entry, KnowledgeError, find_entry, knowledge, search_entries
from ideitify.knowledge import close_slugs
from views import parts, words


def browse() -> None:
    """All entries as cards, searched and filtered."""
    everyone = [entry for entry in knowledge().values() if entry.kind != "none"]
    st.title("Explore", anchor=False)
    query = st.text_input(
        "Search in any name or script", type="search", placeholder="Ganesha, शिव, முருகன், Άρης …",
        key="q", live=True, persist_state="session", icon=":material/search:",
    )  # fmt: skip
    left, right = st.columns(2)
    traditions = dict.fromkeys(entry.tradition for entry in everyone)
    tradition = left.selectbox(
        "Tradition", traditions, index=None, placeholder="All traditions",
        key="tradition", persist_state="session",
    )  # fmt: skip
    regions = Counter(region for entry in everyone for region in entry.regions)
    region = right.selectbox(
        "Region", sorted(regions), index=None, placeholder="All regions",
        format_func=lambda name: f"{name} ({regions[name]})",
        key="region", persist_state="session",
    )  # fmt: skip
    found = [
        entry
        for entry in search_entries(query)
        if entry.kind != "none"
        and (tradition is None or entry.tradition == tradition)
        and (region is None or region in entry.regions)
    ]
    if not found:
        st.info(
            "Nobody found. Try another spelling, or fewer filters.", icon=":material/search_off:"
        )
        return
    st.html(f'<p class="quiet" role="status">{len(found)} of {len(everyone)} entries</p>')
    show_cards(found)


def show_cards(entries: Sequence[Entry]) -> None:
    """One card per entry; the whole card is its link."""
    with st.container(key="cards"):
        for entry in entries:
            with st.container(key=f"card-{entry.slug}", gap=None):
                parts.link_to(entry)
                tag, native = next(iter(entry.names.items()), ("", ""))
                st.html(
                    f'<span class="native" lang="{tag}">{escape(native)}</span>'
                    f'<span class="domain">{escape(", ".join(entry.domain[:2]))}</span>'
                    f'<span class="tradition">{escape(entry.tradition or "")}</span>'
                )


def show(entry: Entry) -> None:
    """The page of one entry, with every field."""
    st.page_link("explore.py", label="All entries", icon=":material/arrow_back:")
    st.title(words.plain(entry.name), anchor=False)
    parts.show_names(entry, most=None)
    parts.show_facts({
        "Tradition": entry.tradition,
        "Circle": entry.family,
        "Stands for": ", ".join(entry.domain),
        "Regions": ", ".join(entry.regions),
    })  # fmt: skip
    if entry.form_of or entry.relations:
        parts.heading("Related")
        show_relations(entry)
    parts.heading("What to look for")
    parts.show_looks(entry)
    parts.show_look_alikes(entry)
    parts.show_story(entry)
    if entry.names:
        parts.heading("In other languages")
        terms = "".join(
            f'<div><dt>{words.LANGUAGES[tag]}</dt><dd lang="{tag}">{escape(name)}</dd></div>'
            for tag, name in entry.names.items()
        )
        st.html(f'<dl class="languages">{terms}</dl>')


def show_relations(entry: Entry) -> None:
    """Family and forms, each with links."""
    ties = defaultdict(list)
    if entry.form_of:
        ties["form of"].append(entry.form_of)
    for tie in entry.relations:
        ties[tie.relation].append(tie.deity)
    with st.container(gap="xxsmall"):
        for relation, slugs in ties.items():
            with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
                st.html(f"<span>{escape(relation)}</span>", width="content")
                for slug in slugs:
                    parts.link_to(find_entry(slug))


slug = st.query_params.get("deity")
if slug is None:
    browse()
else:
    try:
        show(find_entry(slug))
    except KnowledgeError:
        st.title("Not in the collection", anchor=False)
        st.warning(f"There is no entry “{words.plain(slug)}”. The link may be old or mistyped.")
        for close in close_slugs(slug):
            parts.link_to(find_entry(close))
        st.page_link("explore.py", label="All entries", icon=":material/arrow_back:")
