"""Any museum or library with IIIF: the pictures of a manifest, or of a whole collection of them.

Request: `--source iiif=<URL of the manifest or collection>`, Presentation API 2 or 3; one picture
per canvas; each picture's `info.json` (Image API 2 or 3) says how to ask for the size needed.
All of its pictures are taken for pictures of the class asked for: give a manifest of one.
Paging: collections name manifests, other collections and, in version 2, their `first` and `next`
pages; each is read once.
Licence: `rights` (3) or `license` (2) of the canvas, else of the manifest, else of the picture;
`requiredStatement` or `attribution` in words.
Limits: those of each host. https://iiif.io/api/presentation/3.0/
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any

from scraper.answers import at, link, plain_text, whole_number
from scraper.gather import PICTURE_SIDE, each_answer, first_different
from scraper.image_service import is_image_service, scaled
from scraper.settings import ScraperSettings
from scraper.source import Concept, Found, SourceError, Web

_MAKERS = re.compile(r"artist|creator|maker|author|photographer|painter|sculptor", re.IGNORECASE)


class Iiif:
    """Pictures of a IIIF manifest or collection."""

    name = "iiif"
    argument = "URL"
    needs = "the address of a IIIF manifest or collection: --source iiif=URL"
    note = "The licence that each manifest states; unknown where it states none."
    by_default = False

    def __init__(self, web: Web, settings: ScraperSettings, url: str) -> None:
        self.name = f"iiif={url}"
        self.web = web
        self.url = url

    def search(self, concept: Concept, limit: int) -> Iterator[Found]:
        """See `scraper.source.Source`."""
        return first_different(self._found(), limit)

    def _found(self) -> Iterator[Found]:
        for manifest in self._manifests():
            canvases = _canvases(manifest)
            for canvas in canvases:
                resource = _painted(canvas)
                if resource is not None:
                    yield self._picture(manifest, canvas, resource, alone=len(canvases) == 1)

    def _manifests(self) -> Iterator[Any]:
        waiting: deque[str] = deque()
        seen = {self.url}

        def following() -> Iterator[str]:
            while waiting:
                url = waiting.popleft()
                if url not in seen:
                    seen.add(url)
                    yield url

        first = self.web.json(self.url)
        if not (_is_manifest(first) or _children(first)):
            raise SourceError(f"{self.url} is neither a IIIF manifest nor a collection of some")
        for resource in chain([first], each_answer(self.web, following())):
            if _is_manifest(resource):
                yield resource
            waiting.extendleft(reversed(_children(resource)))

    def _picture(self, manifest: Any, canvas: Any, resource: Any, *, alone: bool) -> Found:
        service = next(filter(is_image_service, _some(at(resource, "service"))), None)
        info = self._info(service)
        picture = scaled(info, PICTURE_SIDE)
        title, part = _words(at(manifest, "label")), _words(at(canvas, "label"))
        return Found(
            source=Iiif.name,
            id=_id(canvas) or _id(resource),
            url=picture.url if picture else _id(resource),
            page=_page(manifest),
            title=title if alone or not part else f"{title}, {part}".strip(", "),
            creator=_creator(manifest),
            rights=_statement(manifest),
            rights_url=next(filter(None, map(_license, (canvas, manifest, info))), ""),
            query=self.url,
            width=picture.width if picture else whole_number(at(resource, "width")),
            height=picture.height if picture else whole_number(at(resource, "height")),
        )

    def _info(self, service: Any) -> Any:
        """What a picture's service says of itself; None if it does not, or there is none."""
        if service is None:
            return None
        try:
            return self.web.json(f"{_id(service).rstrip('/')}/info.json")
        except SourceError:
            return None  # the manifest has an address of the picture too


def _is_manifest(resource: Any) -> bool:
    return _type(resource) == "Manifest"


def _children(collection: Any) -> list[str]:
    """Addresses of the manifests, collections and pages that a collection names, in order."""
    if _type(collection) not in {"Collection", "Layer", "CollectionPage"}:
        return []
    lists = (_some(at(collection, key)) for key in ("items", "members", "collections", "manifests"))
    named = [child for children in lists for child in children]
    pages = [at(collection, "first"), at(collection, "next")]
    return [url for url in map(_id, [*named, *pages]) if url]


def _canvases(manifest: Any) -> list[Any]:
    sequences = _some(at(manifest, "sequences"))
    if sequences:
        return [canvas for sequence in sequences for canvas in _some(at(sequence, "canvases"))]
    return [item for item in _some(at(manifest, "items")) if _type(item) == "Canvas"]


def _painted(canvas: Any) -> Any:
    """The first picture on a canvas; None if there is none."""
    pages = _some(at(canvas, "items"))
    annotations = [each for page in pages for each in _some(at(page, "items"))]
    bodies = [
        at(each, "body") for each in annotations if "painting" in _some(at(each, "motivation"))
    ]
    bodies += [at(each, "resource") for each in _some(at(canvas, "images"))]
    chosen = (_chosen(body) for bodies_of_one in bodies for body in _some(bodies_of_one))
    pictures = (body for body in chosen if _type(body) == "Image" and _id(body))
    return next(pictures, None)


def _chosen(body: Any) -> Any:
    """A picture itself: the first of a choice, the whole of what a part is shown of."""
    if _type(body) == "Choice":
        return next(iter(_some(at(body, "items")) or _some(at(body, "default"))), None)
    if _type(body) == "SpecificResource":
        return at(body, "source") or at(body, "full")
    return body


def _type(resource: Any) -> str:
    """`sc:Manifest` of version 2 and `Manifest` of version 3 -> "Manifest"."""
    return str(at(resource, "type") or at(resource, "@type") or "").rpartition(":")[2]


def _id(resource: Any) -> str:
    """The address of a resource, or of one that is named by its address alone."""
    return link(at(resource, "id") or at(resource, "@id") or resource)


def _some(value: Any) -> list[Any]:
    """A list of what stands alone where there is only one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _words(value: Any) -> str:
    """Text in English, or without a language, or in the first one there is."""
    if isinstance(value, dict) and "@value" not in value:  # version 3: {"en": [...], "none": [...]}
        return plain_text(value.get("en") or value.get("none") or next(iter(value.values()), ""))
    texts = _some(value)  # version 2: texts, or {"@value": ..., "@language": ...}
    english = [text for text in texts if at(text, "@language") in ("en", None)] or texts[:1]
    return plain_text([at(text, "@value") or text for text in english])


def _creator(manifest: Any) -> str:
    facts = _some(at(manifest, "metadata"))
    makers = [at(fact, "value") for fact in facts if _MAKERS.search(_words(at(fact, "label")))]
    return plain_text(list(map(_words, makers)))


def _statement(manifest: Any) -> str:
    required = at(manifest, "requiredStatement", "value")
    return _words(at(manifest, "attribution") if required is None else required)


def _license(resource: Any) -> str:
    stated = [*_some(at(resource, "rights")), *_some(at(resource, "license"))]
    return next(filter(None, map(link, stated)), "")


def _page(manifest: Any) -> str:
    pages = [*_some(at(manifest, "homepage")), *_some(at(manifest, "related"))]
    return next(filter(None, map(_id, pages)), "") or _id(manifest)


SOURCE = Iiif
