"""A local site whose pages behave like three image search engines, as they are and as they may be.

`/<engine>/<layout>/...`, where the layout is `classic` (as others describe it in 2025 and 2026),
`renamed` (every class, id and data attribute has another name in every answer, and elements have
moved), or one of those that the engine's class describes. Words may be added to it:
`classic+consent-de`, `classic+blocked`, `classic+cut-off` (blocked after two loads),
`classic+endless` (the same results over and over). A query that has "nothing" in it has no results.
The pictures and their pages lie on another host name of the same server, as they do on the web.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from PIL import Image

FULL, SMALL = (640, 480), (160, 120)  # pixels
BATCH = 12  # results at a time
BATCHES = 4  # in all; the last one comes only when a button is pressed
LICENSE_URL = "https://creativecommons.org/licenses/by-sa/4.0/"

CONSENTS = {  # language: (refuse, accept, neither)
    "en": ("Reject all", "Accept all", "More options"),
    "de": ("Alle ablehnen", "Alle akzeptieren", "Weitere Optionen"),
    "fr": ("Tout refuser", "Tout accepter", "Plus d'options"),
    "ja": ("すべて拒否", "すべて同意", "その他のオプション"),
    "hi": ("सभी अस्वीकार करें", "सभी स्वीकार करें", "ज़्यादा विकल्प"),
}


@dataclass(frozen=True)
class Result:
    """One picture of a search."""

    number: int
    mark: str
    address: str
    page: str
    title: str

    @property
    def license(self) -> str:
        """The licence that its site publishes, if it does."""
        return LICENSE_URL if self.number % 5 == 1 else ""

    @property
    def secret(self) -> str:
        """What the page's script knows and the page does not show."""
        facts = [self.address, self.page, self.title, self.license]
        return base64.b64encode(json.dumps(facts).encode()).decode()


class SearchPages(ThreadingHTTPServer):
    """The server.

    Attributes:
        log: (seconds of `time.monotonic`, path) of what was asked.
        choices: what was answered to questions about cookies.
        headers: of the last request for a page.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log: list[tuple[float, str]] = []
        self.choices: list[str] = []
        self.headers: Mapping[str, str] = {}

    def asked(self, part: str) -> int:
        """How often a path with `part` in it was asked for."""
        return sum(part in path for _, path in self.log)

    def base_url(self, engine: str, layout: str) -> str:
        """To be a source's `base_url`."""
        return f"http://127.0.0.1:{self.server_port}/{engine}/{layout}"

    def results(self, query: str) -> list[Result]:
        """What a search finds, in its order."""
        if "nothing" in query:
            return []
        elsewhere = f"http://localhost:{self.server_port}"
        slug = quote(query.replace(" ", "-"))
        return [
            Result(
                number,
                mark=hashlib.sha1(f"{query}{number}".encode()).hexdigest()[:14],
                address=f"{elsewhere}/pictures/{slug}-{number}.jpg?a=1&b=2",
                page=f"{elsewhere}/pages/{slug}-{number}",
                title=f'{query} {number}, "a & b"',
            )
            for number in range(BATCH * BATCHES)
        ]


@contextmanager
def serve_search_pages() -> Iterator[SearchPages]:
    """Run the server."""
    with SearchPages() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: SearchPages
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self.server.log.append((time.monotonic(), address.path))
        if "text/html" in self.headers.get("Accept", ""):
            self.server.headers = dict(self.headers)
        first, *rest = address.path.strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if first == "pictures":
            self.give(_picture(address.path, FULL), "image/jpeg")
        elif first in ENGINES and rest:
            layout, *words = rest[0].split("+")
            ENGINES[first](self, f"/{first}/{rest[0]}", layout, words, query).answer(rest[1:])
        else:
            self.give(b"not here", status=404)

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.choices.append(body["choice"][0])
        cookie = f"SOCS={body['choice'][0]}; Path=/"
        self.give(b"", status=303, Location=body["continue"][0], Set_Cookie=cookie)

    def give(
        self, body: bytes | str, kind: str = "text/html", status: int = 200, **more: str
    ) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **more}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Engine:
    """What the engines share: cookies, refusals, and results that load on scrolling."""

    shows_more = "Show more"
    end = ""

    def __init__(
        self, handler: _Handler, root: str, layout: str, words: list[str], query: dict[str, str]
    ) -> None:
        self.handler = handler
        self.root = root
        self.layout = layout
        self.words = words
        self.query = query
        self.results = handler.server.results(query.get("q", ""))
        self._names = random.Random()

    def answer(self, path: list[str]) -> None:
        """Answer a request below `root`."""
        getattr(self, f"give_{'_'.join(path).replace('.', '_') or 'home'}", self.give_none)()

    def give_none(self) -> None:
        self.handler.give(b"not here", status=404)

    def give_picture(self) -> None:
        self.handler.give(_picture(self.handler.path, SMALL), "image/jpeg")

    def give_page(self, body: str, status: int = 200) -> None:
        head = "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Search</title>"
        self.handler.give(f"{head}<body>{body}</body></html>", status=status)

    def redirect(self, path: str) -> None:
        self.handler.give(b"", status=302, Location=f"{self.root}/{path}?{urlencode(self.query)}")

    def word(self, prefix: str) -> str | None:
        """The rest of the layout's word that begins so."""
        return next((w.removeprefix(prefix) for w in self.words if w.startswith(prefix)), None)

    def asks_for_consent(self) -> bool:
        """Whether the question about cookies is to be answered first."""
        cookies = self.handler.headers.get("Cookie", "")
        return self.word("consent-") is not None and "SOCS=" not in cookies

    def name(self, classic: str) -> str:
        """A class or id: as it was, or another in every answer."""
        return classic if self.layout == "classic" else f"x{self._names.getrandbits(40):x}"

    def thumbnail(self, result: Result) -> str:
        """The engine's own address of a thumbnail."""
        raise NotImplementedError

    def tile(self, result: Result) -> str:
        """A thumbnail and what stands around it."""
        raise NotImplementedError

    def batch(self) -> list[Result]:
        """The results that are asked for."""
        start = 0 if "endless" in self.words else int(self.query.get("start", 0))
        return self.results[start : start + BATCH]

    def grid(self, batch: list[Result], script: str = "") -> str:
        """The page of results: the first ones, and the script that loads the others."""
        settings = {
            "root": self.root,
            "query": self.query["q"],
            "batch": BATCH,
            "batches": 10**6 if "endless" in self.words else BATCHES,
            "secrets": {result.mark: result.secret for result in self.results},
        }
        grid, end, more, viewer = (self.name(id) for id in ("islmp", "end", "more", "viewer"))
        return _PAGE.format(
            tiles="".join(map(self.tile, batch)),
            grid=grid, end=end, more=more, viewer=viewer,
            says_end=self.end, says_more=self.shows_more,
            script=_SCRIPT.replace("SETTINGS", json.dumps(settings))
            .replace("GRID", grid).replace("END", end).replace("MORE", more)
            .replace("VIEWER", viewer) + script,
        )  # fmt: skip


class Google(Engine):
    """Layouts besides: `bare` (nothing but thumbnails and a viewer), `drawn` (the thumbnails are no
    `img`), `mute` (a click does nothing)."""

    end = "Looks like you've reached the end"

    @property
    def shows_more(self) -> str:
        """What the button says."""
        return "More results" if self.layout == "classic" else "Show more"

    def give_search(self) -> None:
        if "blocked" in self.words:
            self.redirect("sorry")
        elif self.asks_for_consent():
            self.redirect("consent")
        elif not self.results:
            self.give_page(
                f"<p role=heading>Your search - <em>{escape(self.query['q'])}</em> - did not match"
                " any image results.</p><p>Suggestions: try fewer words.</p>"
            )
        else:
            records = "".join(f"known({compact(self.record(r))});" for r in self.batch())
            records = records.replace("=", "\\u003d") if self.layout == "classic" else ""
            self.give_page(self.grid(self.batch(), _GOOGLE + records))

    def give_consent(self) -> None:
        language = self.word("consent-") or "en"
        if language == "riddle":
            self.give_page("<h1>Before you go on</h1>We use cookies. <u onclick=0>So be it</u>")
            return
        refuse, accept, neither = CONSENTS[language]
        forward = escape(f"{self.root}/search?{urlencode(self.query)}")
        forms = "".join(
            f"<form action={self.root}/save method=post>"
            f'<input type=hidden name=continue value="{forward}">'
            f"<input type=hidden name=choice value={choice}>"
            f'<button class={self.name("VfPpkd")} aria-label="{label}">{label}</button></form>'
            for choice, label in (("accept", accept), ("refuse", refuse))
        )
        self.give_page(f"<h1>Google</h1><p>We use cookies.</p>{forms}<a href=#>{neither}</a>")

    def give_sorry(self) -> None:
        self.give_page(
            "<form id=captcha-form method=post><div class=g-recaptcha>I am no robot</div></form>"
            "Our systems have detected unusual traffic from your computer network.",
            status=429,
        )

    def give_images(self) -> None:
        self.give_picture()

    def give_more(self) -> None:
        """Tiles, and records that are encoded once more."""
        if "cut-off" in self.words and int(self.query["start"]) > BATCH:
            self.handler.give(b"", status=429)
            return
        tiles = "".join(map(self.tile, self.batch()))
        records = compact({"m": [self.record(result) for result in self.batch()]})
        answer = [tiles, records if self.layout == "classic" else ""]
        self.handler.give(f")]}}'\n{compact(answer)}", "application/json")

    def thumbnail(self, result: Result) -> str:
        return f"{self.root}/images?q=tbn:{result.mark}&s"

    def record(self, result: Result) -> list[Any]:
        """What the page's data says of a result."""
        host = f"http://127.0.0.1:{self.handler.server.server_port}"
        return [
            0,
            result.mark,
            [host + self.thumbnail(result), SMALL[1], SMALL[0]],
            [result.address, FULL[1], FULL[0]],
            None, 0, "rgb(152,114,82)", None, 0,
            {
                "2000": [None, "localhost", "68KB"],
                "2001": [None, None, None, 3, 9],
                "2003": [None, "ref", result.page, result.title, None, 1],
            },
        ]  # fmt: skip

    def tile(self, result: Result) -> str:
        title, mark = escape(result.title), result.mark
        badge = "<span aria-label=Licensable>Licensable</span>" if result.license else ""
        source = escape(self.thumbnail(result))
        if self.layout == "classic" and result.number < 4:  # the first ones come with the page
            picture = base64.b64encode(_picture(mark, SMALL)).decode()
            source = f"data:image/jpeg;base64,{picture}"
        image = f'<img class={self.name("YQ4gaf")} alt="{title}" src="{source}">'
        if self.layout == "classic":
            return (
                f'<div class="eA0Zlc tile" data-docid={mark} data-lpage="{escape(result.page)}"'
                f' data-attrid="images universal" onmousedown="point(this, \'{mark}\')"'
                f" onclick=\"view('{mark}')\"><h3><a><g-img>{image}</g-img></a></h3>"
                f'<a href="{escape(result.page)}" onclick="return false">{title}</a>{badge}</div>'
            )
        if self.layout == "drawn":
            return f'<div class=tile style="background: url({source})"></div>'
        role = "" if self.layout == "bare" else "role=listitem tabindex=0"
        point = f"point(this, '{mark}')" if self.layout == "renamed" else ""
        view = "" if self.layout == "mute" else f"view('{mark}')"
        return (
            f'<section class="{self.name("tile")} tile" {role} onmousedown="{point}"'
            f' onclick="{view}"><a><p>{image}</p></a><i>{title}</i>{badge}</section>'
        )


class Bing(Engine):
    """Layouts besides: `links` (no JSON, only the addresses of the viewers), `overlay` (the address
    of a viewer is known only once it is open, in a frame)."""

    @property
    def shows_more(self) -> str:
        """What the button says; in `links` in a language that is not known."""
        return "Weiter" if self.layout == "links" else "See more images"

    def give_images_search(self) -> None:
        if "blocked" in self.words:
            self.give_page(
                "<h1>One last step</h1>Please solve the challenge below to continue"
                f"<iframe src={self.root}/turnstile width=300 height=80></iframe>"
            )
        elif "view" in self.query:
            self.give_page("the viewer")
        elif not self.results:
            self.give_page(f"<h1>There are no results for {escape(self.query['q'])}</h1>")
        else:
            self.give_page(self.grid(self.batch(), _BING) + self.banner())

    def banner(self) -> str:
        """The question about cookies, which lies upon the results."""
        if not self.asks_for_consent():
            return ""
        refuse, accept, neither = CONSENTS[self.word("consent-") or "en"]
        buttons = "".join(
            f"<button id={self.name(id)} onclick=\"answer('{choice}')\">{label}</button>"
            for id, choice, label in (
                ("bnp_btn_accept", "accept", accept),
                ("bnp_btn_reject", "refuse", refuse),
                ("bnp_btn_preference", "neither", neither),
            )
        )
        return (
            f"<div id={self.name('bnp_container')} role=dialog"
            ' style="position: fixed; inset: 0; background: white">'
            f"Microsoft and our third-party vendors use cookies. {buttons}</div>"
        )

    def give_images_async(self) -> None:
        self.handler.give("".join(map(self.tile, self.batch())))

    def give_th(self) -> None:
        self.give_picture()

    def give_turnstile(self) -> None:
        self.give_page("I am no robot")

    def thumbnail(self, result: Result) -> str:
        return f"{self.root}/th?id=OIP.{result.mark}&w=160&h=120&pid=1.7"

    def tile(self, result: Result) -> str:
        viewer = {"view": "detailV2", "ccid": result.mark[:8], "id": result.mark,
                  "thid": f"OIP.{result.mark}", "mediaurl": result.address,
                  "exph": FULL[1], "expw": FULL[0], "q": self.query["q"]}  # fmt: skip
        address = f"{self.root}/images/search?{urlencode(viewer)}"
        classic = {
            "sid": "",
            "turl": self.thumbnail(result),
            "murl": result.address,
            "purl": result.page,
            "md5": result.mark,
            "t": f"\ue000{result.title}\ue001",
        }
        renamed = {"mediaUrl": result.address, "pageUrl": result.page, "title": result.title}
        known = compact({"classic": classic, "renamed": {"item": renamed}}.get(self.layout, {}))
        attribute = "m" if self.layout == "classic" else f"data-{self.name('m')}"
        link = f'href="{escape(address)}" onclick="return false"'
        if self.layout == "overlay":
            link = f"href=# onclick=\"return overlay('{escape(quote(address))}')\""
        source = escape(self.thumbnail(result))
        return (
            f"<div class={self.name('iuscp')}><div class=tile><a class={self.name('iusc')} {link}"
            f' {attribute}="{escape(known)}"><img class={self.name("mimg")} src="{source}"'
            f' alt="Image result for {escape(self.query["q"])}"></a></div></div>'
        )


class DuckDuckGo(Engine):
    """Layouts besides: `embedded` (the first results stand in the page's script), `click` (the
    answers are packed, and only the viewer shows the picture)."""

    def give_home(self) -> None:
        script = _DUCKDUCKGO.replace("VQD", self.token())
        if self.layout == "embedded":
            results = compact({"results": [self.record(result) for result in self.batch()]})
            script += f"DDG.Data.load('images', {results}); batches = 1; draw({results}.results);"
        else:
            script += "more();"
        self.give_page(self.grid([], script))

    def token(self) -> str:
        """The token that requests for results must have."""
        return f"4-{hashlib.sha1(self.query['q'].encode()).hexdigest()}"

    def give_i_js(self) -> None:
        if "blocked" in self.words or self.query.get("vqd") != self.token():
            self.handler.give("", status=403)
            return
        results: list[Any] = [self.record(result) for result in self.batch()]
        if self.layout == "click":
            results = [base64.b64encode(json.dumps(result).encode()).decode() for result in results]
        answer = {"query": self.query["q"], "results": results, "next": "i.js"}
        self.handler.give(compact(answer), "application/x-javascript")

    def give_iu(self) -> None:
        self.give_picture()

    def thumbnail(self, result: Result) -> str:
        original = f"https://tse1.mm.bing.net/th?id=OIP.{result.mark}&pid=Api"
        return f"{self.root}/iu/?{urlencode({'u': original, 'f': 1})}"

    def record(self, result: Result) -> dict[str, Any]:
        """What `i.js` says of a result."""
        return {
            "image": result.address, "url": result.page, "title": result.title,
            "thumbnail": self.thumbnail(result), "width": FULL[0], "height": FULL[1],
            "source": "Bing", "image_token": result.mark,
        }  # fmt: skip


ENGINES = {"google": Google, "bing": Bing, "duckduckgo": DuckDuckGo}


def compact(value: Any) -> str:
    """JSON without spaces, as these sites write it."""
    return json.dumps(value, separators=(",", ":"))


@cache
def _picture(seed: str, size: tuple[int, int]) -> bytes:
    colours = random.Random(seed)
    file = io.BytesIO()
    Image.new("RGB", size, tuple(colours.randrange(256) for _ in "RGB")).save(file, "JPEG")
    return file.getvalue()


_PAGE = """
<style>
  .tile {{ display: inline-block; width: 160px; height: 220px; overflow: hidden; margin: 8px }}
  .tile img {{ width: 160px; height: 120px }}
  .view {{ position: fixed; right: 0; top: 0; width: 520px; background: silver }}
</style>
<nav><a href=/>All</a> <span role=button>More</span> <input name=q></nav>
<main id={grid} style="width: 560px">{tiles}</main>
<div id={end} hidden>{says_end}</div>
<div id={more} role=button tabindex=0 hidden>{says_more}</div>
<div id={viewer} class=view hidden></div>
<footer><a href=/privacy>Privacy</a> <div role=button>Send feedback</div></footer>
<script>{script}</script>
"""

_SCRIPT = """
const settings = SETTINGS;
const [grid, end, button, viewer] =
    ['GRID', 'END', 'MORE', 'VIEWER'].map(id => document.getElementById(id));
const facts = mark => JSON.parse(atob(settings.secrets[mark]));
let batches = 1, busy = false;
async function more() {
    if (busy || batches >= settings.batches) return;
    busy = true;
    button.hidden = true;
    try { await load(batches * settings.batch); } catch { return; }
    batches += 1;
    button.hidden = batches !== settings.batches - 1;
    end.hidden = batches < settings.batches;
    busy = false;
}
const query = more => new URLSearchParams({q: settings.query, ...more});
addEventListener('scroll', () => {
    const left = document.documentElement.scrollHeight - innerHeight - scrollY;
    if (left < 400 && button.hidden) more();
});
button.onclick = more;
addEventListener('keydown', event => { if (event.key === 'Escape') viewer.hidden = true; });
"""

_GOOGLE = """
const known = record => record;
async function load(start) {
    const answer = await fetch(`${settings.root}/more?${query({start})}`);
    if (!answer.ok) throw answer;
    const [tiles] = JSON.parse((await answer.text()).slice(4));
    grid.insertAdjacentHTML('beforeend', tiles);
}
function point(tile, mark) {
    const [imgurl, imgrefurl] = facts(mark);
    const parameters = new URLSearchParams({imgurl, imgrefurl, docid: mark, w: 640, h: 480});
    tile.querySelector('a').href = `${settings.root}/imgres?${parameters}`;
    tile.querySelector('a').onclick = () => false;
}
function view(mark) {
    const [address, page, title, license] = facts(mark);
    viewer.hidden = false;
    viewer.innerHTML = `<img width=480 height=360 src="${settings.root}/images?q=tbn:${mark}">`;
    const large = new Image();
    large.width = 480, large.height = 360, large.alt = title;
    large.onload = () => {
        viewer.innerHTML = '<a><b></b></a> Images may be subject to copyright. '
            + '<a href="https://support.google.com/legal">Learn More</a>'
            + `<p>Related</p><img width=90 height=90 src="${settings.root}/images?q=tbn:related">`;
        viewer.querySelector('a').href = page;
        viewer.querySelector('b').replaceWith(large);
        if (license) viewer.insertAdjacentHTML('beforeend',
            `<p>Creator: A. Painter</p><a href="${license}">License details</a>`
            + '<a href="https://shop.example/">Get this image on: Shop</a>');
    };
    setTimeout(() => { large.src = address; }, 50);
}
"""

_BING = """
async function load(first) {
    const answer = await fetch(`${settings.root}/images/async?${query({start: first})}`);
    grid.insertAdjacentHTML('beforeend', await answer.text());
}
function answer(choice) {
    const body = new URLSearchParams({choice, continue: location.href});
    fetch(`${settings.root}/save`, {method: 'POST', body, redirect: 'manual'});
    document.querySelector('[role=dialog]').remove();
}
function overlay(address) {
    viewer.hidden = false;
    const source = decodeURIComponent(address);
    viewer.innerHTML = `<iframe width=480 height=360 src="${source}"></iframe>`;
    return false;
}
"""

_DUCKDUCKGO = """
const vqd = 'VQD';
const DDG = {Data: {load() {}}};
batches = 0;
const unpack = result => typeof result === 'string' ? JSON.parse(atob(result)) : result;
async function load(start) {
    const answer = await fetch(`${settings.root}/i.js?${query({o: 'json', vqd, start})}`);
    if (!answer.ok) { grid.textContent = 'If this persists, please let us know.'; throw answer; }
    draw((await answer.json()).results.map(unpack));
}
function draw(results) {
    if (!results.length) grid.textContent = `No results found for ${settings.query}`;
    for (const result of results) {
        const figure = document.createElement('figure');
        figure.className = 'tile';
        figure.innerHTML = '<div><img></div><figcaption></figcaption>';
        Object.assign(figure.querySelector('img'), {src: result.thumbnail, alt: result.title});
        figure.querySelector('figcaption').textContent = result.title;
        figure.onclick = () => detail(result);
        grid.append(figure);
    }
}
function detail(result) {
    history.pushState({}, '', `?${query({iax: 'images', ia: 'images', iai: result.image})}`);
    viewer.hidden = false;
    viewer.innerHTML = '<img width=480 height=360><a>Visit page</a>';
    viewer.querySelector('a').href = result.url;
    const proxied = new URLSearchParams({u: result.image, f: 1});
    viewer.querySelector('img').src = `${settings.root}/iu/?${proxied}`;
}
addEventListener('popstate', () => { viewer.hidden = true; });
"""
