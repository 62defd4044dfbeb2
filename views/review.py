"""Review: doubtful pictures of a dataset folder, decided one key each.

The desk itself (`views/desk.py`) is a component: it shows the next picture the moment
the server has the last decision on disk, which a rerun of this script could not do. This script
asks who is there, says what there is to do, and how far reviewers agree.
"""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import streamlit as st

from ideitify.dataset import METADATA_NAME, DatasetError, read_rows
from ideitify.decisions import Agreement, Decision, agreements, read_decisions
from ideitify.review import Item, name_of, reason_kind, review_queue
from ideitify.settings import settings
from views import words
from views.desk import desk, desk_data

PAIRS = 10  # of reviewers, those with most pictures in common
WRONG_PASSWORD_SECONDS = 1.0  # so that guessing takes its time


@st.cache_resource(max_entries=1, show_spinner="Reading the data set …")
def read_folder(folder: Path, changed: int) -> list[dict[str, str]]:
    """The rows of `metadata.csv`, not to be changed; `changed`, its time in ns, when to read anew.

    Raises:
        DatasetError: see `read_rows`.
    """
    return read_rows(folder)


def ask_who() -> None:
    """Name and, unless this machine is alone here, password."""
    st.title("Review", anchor=False)
    st.html(
        '<p class="lead">Decide about the pictures that the program is unsure of. Your name goes '
        "beside every decision.</p>"
    )
    expected = settings().review_password.get_secret_value()
    if not expected and not settings().review_alone:
        st.warning(
            "This page is shut: set `IDEITIFY_REVIEW_PASSWORD` and start the server again.",
            icon=":material/lock:",
        )
        return
    with st.form("who", border=False):
        name = st.text_input(
            "Your name", st.query_params.get("who", ""), max_chars=60, autocomplete="username"
        )
        given = expected and st.text_input(
            "Password", type="password", autocomplete="current-password"
        )
        if not st.form_submit_button("Start", type="primary"):
            return
    if not hmac.compare_digest(given.encode(), expected.encode()):
        time.sleep(WRONG_PASSWORD_SECONDS)
        st.error("This is not the password.", icon=":material/lock:")
    elif not name.strip():
        st.error("Give your name: decisions carry it.", icon=":material/person:")
    else:
        st.session_state.reviewer = st.query_params.who = known_name(" ".join(name.split()))
        st.rerun()


def known_name(name: str) -> str:
    """The name as it was written before, so that Asha and asha are one."""
    try:
        names = {decision.who for decision in read_decisions(Path(settings().review_folder))}
    except DatasetError:
        return name  # said where the decisions are read to be shown
    return next((known for known in names if known.casefold() == name.casefold()), name)


@st.fragment
def review(who: str) -> None:
    """The whole page; it runs again for another choice of pictures, not for decisions."""
    folder = Path(settings().review_folder)
    metadata = folder / METADATA_NAME
    try:
        rows = read_folder(folder, metadata.stat().st_mtime_ns if metadata.is_file() else 0)
        decisions = read_decisions(folder)
    except DatasetError as error:
        st.error(words.plain(str(error)), icon=":material/folder_off:")
        return
    queue = review_queue(rows, decisions, who)
    with st.container(key="review-head", horizontal=True, vertical_alignment="center"):
        st.title("Review", anchor=False, width="content")
        with st.popover("Reviewers", icon=":material/group:", on_change="rerun"):
            show_reviewers(decisions)
        with st.popover("Choose", icon=":material/filter_list:"):
            queue = choose(queue)
    if not any(item.asked for item in queue):
        st.info("Nothing to review here.", icon=":material/task_alt:")
        return
    data = desk_data(queue, who, {row["category"] for row in rows})
    desk(data=data, key="review-desk", on_more_change=lambda: None)


def choose(queue: list[Item]) -> list[Item]:
    """Narrow the queue down."""
    asked = [item for item in queue if item.asked]
    whys = Counter(reason_kind(item.why) for item in asked)
    why = st.selectbox(
        "Why in doubt", sorted(whys), index=None, placeholder="Any reason",
        format_func=lambda kind: f"{kind or 'not said'} ({whys[kind]})",
    )  # fmt: skip
    sizes = Counter(item.category for item in asked)
    category = st.selectbox(
        "Labelled as", sorted(sizes), index=None, placeholder="Anything",
        format_func=lambda slug: f"{name_of(slug)} ({sizes[slug]})",
    )  # fmt: skip
    alone = st.toggle("Leave out what others have decided")
    chosen = {
        item.place
        for item in asked
        if (why is None or reason_kind(item.why) == why)
        and (category is None or item.category == category)
        and (not alone or not item.others)
    }
    return [item for item in queue if item.place in chosen]


def show_reviewers(decisions: Sequence[Decision]) -> None:
    """Who decided how much, and how far each two agree."""
    counts = Counter(made.who for made in decisions if made.action != "undo")
    if not counts:
        st.html('<p class="quiet">Nobody has decided anything yet.</p>')
        return
    show_table(("Reviewer", "Decisions"), {name: (n,) for name, n in counts.most_common()})
    pairs = agreements(decisions)[:PAIRS]
    if not pairs:
        st.html('<p class="quiet">How far reviewers agree is said once two saw one picture.</p>')
        return
    show_table(
        ("Both decided", "Pictures", "Alike", "κ"),
        {f"{pair.first}, {pair.second}": agreement_figures(pair) for pair in pairs},
    )
    st.html('<p class="quiet">κ, Cohen’s kappa: 1 is full agreement, 0 what chance would give.</p>')


def agreement_figures(pair: Agreement) -> tuple[object, ...]:
    """A row of the table of pairs."""
    kappa = "–" if pair.kappa is None else f"{pair.kappa:.2f}"
    return pair.pictures, f"{pair.agreed / pair.pictures:.0%}".replace("%", " %"), kappa


def show_table(head: Sequence[str], rows: Mapping[str, Sequence[object]]) -> None:
    """A small table of figures."""
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{figure}</td>" for figure in figures)
        + "</tr>"
        for name, figures in rows.items()
    )
    st.html(f'<table class="figures"><thead><tr>{columns}</tr></thead>{lines}</table>')


if "reviewer" in st.session_state:
    review(st.session_state.reviewer)
else:
    ask_who()
