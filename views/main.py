"""The frame around every page: title, style, navigation."""

from pathlib import Path
from urllib.parse import quote

import streamlit as st

from ideitify.settings import settings

HERE = Path(__file__).parent

options = settings()

# A page's own icon would make browsers fetch it from another host as the tab's picture.
icons = {}
if not options.review_alone:
    icons |= {
        st.Page("snap.py", title="Snap", default=True): ":material/photo_camera:",
        st.Page("explore.py", title="Explore"): ":material/menu_book:",
        st.Page("about.py", title="About"): ":material/info:",
    }
if options.review_folder:
    icons[st.Page("review.py", title="Review")] = ":material/rule:"
page = st.navigation(list(icons), position="hidden")

st.set_page_config(page_title=f"{page.title} · Ideitify", page_icon=HERE / "mark.svg")
st.html(HERE / "style.css")

if page.title == "Snap" and (slug := st.query_params.get("deity")):  # `/?deity=ganesha`
    # `st.switch_page` would leave this address behind it, and Back would lead here and on again.
    entry = f"explore?deity={quote(slug, safe='')}"
    st.html(f"<script>location.replace('{entry}')</script>", unsafe_allow_javascript=True)
    st.stop()

# Streamlit writes the address when the page changes, but not after a link within a page.
st.query_params.update()
answer = {"Snap": {"answer": ""}} if "snap" in st.session_state else {}

with st.container(key="masthead", horizontal=True, vertical_alignment="center"):
    st.html('<span class="brand">Ideitify</span>', width="content")
    if len(icons) > 1:
        with st.container(key="tabs", horizontal=True, gap=None, width="content"):
            for each, icon in icons.items():
                place = "here" if each == page else each.url_path or "home"
                with st.container(key=f"tab-{place}", width="content"):
                    st.page_link(each, icon=icon, query_params=answer.get(each.title))

page.run()
