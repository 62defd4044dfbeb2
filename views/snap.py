"""Snap: a photo from the camera, a file or an address, and who it shows."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

import streamlit as st
from PIL import Image

from ideitify import Answer, BundleError, PhotoError, Recognizer, Verdict, find_entry, open_photo
from ideitify.fetch import FetchError, fetch_photo
from ideitify.heatmap import heat_map, heat_overlay
from ideitify.words import from_few_pictures, headline, leans_to_nobody, percent, rivals
from views import parts, words

SHOWN_SIDE = 512  # enough for a sharp picture in its column
NOBODY = "No deity that I know"
WORTH_NAMING = 0.01  # of a photo that seems to show no deity
PHOTO_TYPES = ["image/*", "heic", "heif", "avif", "tif", "tiff"]  # some browsers know no HEIC

# Streamlit asks for the camera that faces the user; whoever photographs a statue wants the other.
PREFER_REAR_CAMERA = """<script>
window.rearCamera?.disconnect();
window.rearCamera = new MutationObserver(() => {
  const button = document.querySelector('[data-testid="stCameraInputSwitchButton"] button');
  if (button) { window.rearCamera.disconnect(); button.click(); }
});
window.rearCamera.observe(document.body, {childList: true, subtree: true});
</script>"""


@dataclass(frozen=True)
class Snap:
    """A recognised photo, small enough to keep while its answer is read."""

    photo: Image.Image
    answer: Answer


def ask() -> None:
    """Take a photo in one of three ways; recognition starts as soon as it is there."""
    st.title("Who is this?", anchor=False)
    st.html(
        '<p class="lead">Photograph a statue, a painting or a shrine, and learn who it shows.</p>'
    )
    ways = {"Camera": _from_camera, "Photo": _from_file, "Link": _from_link}
    way = st.segmented_control(
        "Where the photo comes from", ways, default="Camera" if _camera_allowed() else "Photo",
        required=True, key="way", persist_state="session", label_visibility="collapsed",
        width="stretch",
    )  # fmt: skip
    try:
        data = ways[way]()
        recognizer = parts.load_recognizer()  # also while the first photo is still being taken
        if data is not None:
            st.session_state.snap = recognise(recognizer, data)
            st.query_params["answer"] = ""  # an address of its own, so that Back leads here
            st.rerun()
    except (PhotoError, FetchError) as error:
        with st.container(key="refused"):
            st.error(words.plain(str(error)), icon=":material/broken_image:")
    except BundleError as error:
        parts.show_bundle_error(error)
    st.html('<p class="quiet">Your photo is looked at and forgotten: nothing is stored.</p>')


def _camera_allowed() -> bool:
    """Browsers open the camera only for https pages and for this machine's own."""
    url = urlsplit(st.context.url or "")
    return url.scheme != "http" or url.hostname in {"localhost", "127.0.0.1", "::1"}


def _from_camera() -> bytes | None:
    photo = st.camera_input("Take a photo", resolution="720p", label_visibility="collapsed")
    st.html(PREFER_REAR_CAMERA, unsafe_allow_javascript=True)
    if not _camera_allowed():
        st.info(
            "This page came over http, and browsers open the camera only over https. Choose "
            "**Photo**: on a phone it opens the camera app too."
        )
    st.html(
        '<p class="quiet">No picture? Allow this page to use the camera (beside the address bar), '
        "or choose <b>Photo</b> above.</p>"
    )
    return photo and photo.getvalue()


def _from_file() -> bytes | None:
    photo = st.file_uploader(
        "Choose a photo, or take one with the phone's camera", type=PHOTO_TYPES
    )
    return photo and photo.getvalue()


def _from_link() -> bytes | None:
    url = st.text_input(
        "Address of a picture", type="url", placeholder="https://…/statue.jpg",
        help="The address of the image itself, not of the page around it.",
    )  # fmt: skip
    if not url.strip():
        return None
    with st.spinner("Fetching the picture …"):
        return fetch_photo(url.strip())


def recognise(recognizer: Recognizer, data: bytes) -> Snap:
    """Recognise a photo, and keep a small copy to show."""
    with st.spinner("Looking …"):
        answer = recognizer.recognize(data)
        photo = open_photo(data, side=SHOWN_SIDE)
    photo.thumbnail((2 * SHOWN_SIDE, 2 * SHOWN_SIDE))
    return Snap(photo, answer)


def show(snap: Snap) -> None:
    """The answer: in words, in figures, then what there is to know."""
    answer = snap.answer
    first = find_entry(answer.candidates[0].deity)
    st.set_page_config(page_title=f"{headline(answer)} · Ideitify")
    st.title(words.headline(answer), anchor=False)
    if answer.verdict is Verdict.DEITY:
        parts.show_names(first)
    said = words.confidence(answer)
    if few := from_few_pictures(answer):
        said += f" {few}"
    heard = f'<span class="heard">{escape(headline(answer))}.</span>'
    st.html(f'<p class="lead" role="status">{heard} {escape(said)}</p>')
    left, right = st.columns(2, gap="medium")
    with left:
        show_photo(snap)
    with right:
        show_candidates(answer)
    match answer.verdict:
        case Verdict.DEITY:
            explain(answer)
        case Verdict.UNSURE:
            compare(answer)
            if leans_to_nobody(answer):
                advise()
        case Verdict.NO_DEITY:
            advise()
    with st.container(key="again"):
        if st.button("New photo", type="primary", icon=":material/photo_camera:", width="stretch"):
            del st.session_state.snap, st.query_params["answer"]
            st.rerun()


def show_photo(snap: Snap) -> None:
    """The photo, or where in it the model looked for a candidate."""
    place = st.empty()
    image, alt = snap.photo, "Your photo"
    if st.toggle("Show where the model looked", key="heat"):
        slugs = [candidate.deity for candidate in snap.answer.candidates]
        slug = st.pills(
            "For", slugs, default=slugs[0], required=True, key="heat-for",
            format_func=lambda slug: words.plain(find_entry(slug).name), wrap=True,
        )  # fmt: skip
        resize = parts.load_recognizer().manifest.input.resize
        image = heat_overlay(image, heat_map(snap.answer, slug), resize)
        alt = f"Your photo; the brighter a part, the more it speaks for {find_entry(slug).name}"
    place.image(image, alt=alt, width="stretch")


def show_candidates(answer: Answer) -> None:
    """The likeliest candidates as bars, each with a link to its page.

    Where no deity is seen that comes first, and no name is put beside the photo for nothing.
    """
    nobody = answer.verdict is Verdict.NO_DEITY
    st.html('<h2 class="small">The likeliest</h2>')
    with st.container(key="candidates", gap="xsmall"):
        if nobody:
            with st.container(key="bar-none", gap=None):
                st.html(f"<p>{NOBODY}</p>{_bar(answer.none_probability)}")
        for candidate in answer.candidates:
            if nobody and candidate.probability < WORTH_NAMING:
                continue
            with st.container(key=f"bar-{candidate.deity}", gap=None):
                parts.link_to(find_entry(candidate.deity))
                st.html(_bar(candidate.probability))
    if not nobody:
        st.html(f'<p class="quiet">{NOBODY}: {percent(answer.none_probability)}</p>')


def _bar(share: float) -> str:
    bar = f'<span style="width:{share:.1%}"></span>'
    return f'<div class="bar">{bar}</div><b>{percent(share)}</b>'


def explain(answer: Answer) -> None:
    """What to check in the picture, the runner-up, and the story."""
    first, *others = (find_entry(candidate.deity) for candidate in answer.candidates[:2])
    parts.heading("What to look for")
    parts.show_looks(first)
    for second in others:  # none where the model knows one deity alone
        parts.heading(f"Or is it {second.name}?")
        show_difference(first.slug, second.slug)
    parts.show_story(first)
    parts.link_to(first, f"More about {first.name}")


def show_difference(one: str, other: str) -> None:
    """How to tell two entries apart, or both lists of signs where no entry says it."""
    first, second = find_entry(one), find_entry(other)
    if told := words.how_to_tell(first, second):
        st.html(f'<p class="difference">{escape(told)}</p>')
        return
    for entry, column in zip((first, second), st.columns(2, gap="medium"), strict=True):
        with column:
            parts.link_to(entry)
            st.html(parts.bullets(entry.look_for.attributes[:3]))


def compare(answer: Answer) -> None:
    """The candidates side by side, with what to check."""
    parts.heading("Check the picture")
    likely = [find_entry(c.deity) for c in answer.candidates[: max(2, len(rivals(answer)))]]
    for entry, column in zip(likely, st.columns(len(likely), gap="medium"), strict=True):
        with column:
            parts.link_to(entry)
            parts.show_looks(entry)
    told = {
        (one.name, other.name): difference
        for number, one in enumerate(likely)
        for other in likely[number + 1 :]
        if (difference := words.how_to_tell(one, other))
    }
    for (one, other), difference in told.items():
        parts.heading(f"{one} or {other}?")
        st.html(f'<p class="difference">{escape(difference)}</p>')


def advise() -> None:
    """What to try when nothing was recognised."""
    parts.heading("What you can try")
    st.html(parts.bullets((
        "Go closer, so that the figure fills the picture.",
        "Show the whole figure with what it holds, and the animal at its feet.",
        "Avoid reflections and strong backlight; photograph from the front.",
    )))  # fmt: skip
    parts.heading("What this answer means")
    known = words.known(parts.load_recognizer().manifest)
    st.markdown(
        f"I know {known}; thousands of others I do not. So this says "
        "nothing about the worth or the holiness of what you see. Ask someone who knows the place."
    )
    st.page_link("explore.py", label="All entries", icon=":material/menu_book:")


if "snap" in st.session_state and "answer" in st.query_params:
    show(st.session_state.snap)
else:
    ask()
