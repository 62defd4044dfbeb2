"""Explore: every deity and sacred figure, and a page for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ideitify import BundleError, Entry, find_entry, knowledge, search_entries
from ideitify.circles import mid_sentence
from ideitify.knowledge import close_slugs, entry_named
from views import parts, words

SHOWN_OF_EACH = 6  # entries of a tradition before one asks for all

# Streamlit goes to the top of another page, but not after a link within this one.
TO_THE_TOP = "document.querySelector('[data-testid=stMain]').scrollTo(0, 0);"


def browse() -> None:
    """All entries as cards, searched and filtered; back from an entry, at its card."""
    scroll = st.empty()
    everyone = [entry for entry in knowledge().values() if entry.kind != "none"]
    st.title("Explore", anchor=False)
    query = st.text_input(
        "Search in any name or script", type="search", placeholder="Ganesha, शिव, முருகன், Άρης …",
        key="q", live=True, persist_state="session", icon=":material/search:",
    )  # fmt: skip
    with st.container(key="filters"):
        left, right = st.columns(2)
    tradition = _choose(left, "Tradition", "All traditions", [[e.tradition] for e in everyone])
    region = _choose(right, "Region", "All regions", [e.regions for e in everyone])
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
    if query.strip() or tradition or region:
        show_cards(found, "found", with_tradition=True)
    else:
        show_traditions(everyone)
    if read := st.session_state.pop("read", None):
        card = f"document.getElementsByClassName('st-key-card-{read}')[0]"
        to_its_card = f"{TO_THE_TOP} {card}?.scrollIntoView({{block: 'center'}})"
        scroll.html(f"<script>{to_its_card}</script>", unsafe_allow_javascript=True)


def _choose(
    place: DeltaGenerator, label: str, everything: str, values: Sequence[Sequence[str | None]]
) -> str | None:
    """A filter by one of the entries' values, each with how many entries have it."""
    counts = Counter(value for several in values for value in several if value)
    return place.selectbox(
        label, sorted(counts), index=None, placeholder=everything,
        format_func=lambda name: f"{name} ({counts[name]})",
        key=label.lower(), persist_state="session",
    )  # fmt: skip


def show_traditions(entries: Sequence[Entry]) -> None:
    """Some of each tradition, those with most to read first: the page opens fast on a phone."""
    groups = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: (entry.brief, entry.name)):
        groups[entry.tradition or ""].append(entry)
    for tradition, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        parts.heading(tradition)
        show_cards(members[:SHOWN_OF_EACH], tradition, with_tradition=False)
        if len(members) > SHOWN_OF_EACH:
            st.button(
                f"All {len(members)} of {words.plain(mid_sentence(tradition))}",
                icon=":material/expand_more:", on_click=_filter_by, args=[tradition],
            )  # fmt: skip


def _filter_by(tradition: str) -> None:
    st.session_state.tradition = tradition


def show_cards(entries: Sequence[Entry], name: str, *, with_tradition: bool) -> None:
    """One card per entry; the whole card is its link."""
    with st.container(key=f"cards-{name}"):
        for entry in entries:
            with st.container(key=f"card-{entry.slug}", gap=None):
                parts.link_to(entry)
                tag, native = words.native_name(entry) or ("", "")
                tradition = (entry.tradition or "") if with_tradition else ""
                st.html(
                    f'<span class="native" lang="{tag}">{escape(native)}</span>'
                    f'<span class="domain">{escape(", ".join(entry.domain[:2]))}</span>'
                    f'<span class="tradition">{escape(tradition)}</span>'
                )


def show(entry: Entry) -> None:
    """The page of one entry, with every field."""
    st.set_page_config(page_title=f"{entry.name} · Ideitify")
    st.session_state.read = entry.slug
    st.html(f"<script>/* {entry.slug} */{TO_THE_TOP}</script>", unsafe_allow_javascript=True)
    st.page_link("explore.py", label="All entries", icon=":material/arrow_back:")
    st.title(words.plain(entry.name), anchor=False)
    parts.show_names(entry, most=None)
    if notes := [*_how_it_is_known(entry), *([words.BRIEF] if entry.brief else [])]:
        st.html(f'<p class="quiet">{escape(" ".join(notes))}</p>')
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


def _how_it_is_known(entry: Entry) -> Iterator[str]:
    """Whether photos of this one are recognised, where that is not as usual."""
    try:
        manifest = parts.load_recognizer().manifest
    except BundleError:  # Snap and About tell
        return
    if entry.slug not in manifest.labels:
        yield "I do not recognise this one in photos yet."
    elif entry.slug in manifest.prototypes:
        yield "I know this one from few pictures only."


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
elif entry := entry_named(slug):
    show(entry)
else:
    st.title("Not in the collection", anchor=False)
    st.warning(f"There is no entry “{words.plain(slug)}”. The link may be old or mistyped.")
    for close in close_slugs(slug):
        parts.link_to(find_entry(close))
    st.page_link("explore.py", label="All entries", icon=":material/arrow_back:")
