"""The OpenAPI 3.1 document of the HTTP API; the entry's part comes from its own schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from ideitify.knowledge import SLUG_PATTERN, Entry, regions, traditions
from ideitify.recognizer import Verdict

_SLUG = {"type": "string", "pattern": SLUG_PATTERN, "examples": ["ganesha"]}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_TEXT = {"type": "string"}
_LINK = {"type": "string", "format": "uri-reference"}
_BINARY: dict[str, Any] = {}  # OpenAPI 3.1: a body of raw bytes has no schema

_ERRORS = {
    400: "The body is empty, or the form cannot be read.",
    404: "There is no such entry.",
    408: "The photo took too long to arrive.",
    413: "The photo is too large in bytes, pixels or frames.",
    415: "The body is not an image that can be read.",
    422: "The photo is damaged, missing in the form, or a parameter is wrong.",
    503: "The model cannot be used, or too many photos are waiting.",
}


@cache
def document() -> dict[str, Any]:
    """The whole document, as a value for `json.dumps`."""
    from ideitify import __version__

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ideitify",
            "version": __version__,
            "summary": "Recognises deities in photos, with a calibrated confidence.",
            "description": "Photos are answered and forgotten: nothing is stored or logged.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            "/api/identify": {"post": _identify()},
            "/api/heatmap": {"post": _heatmap()},
            "/api/deities": {"get": _list_deities()},
            "/api/deities/{slug}": {"get": _show_deity()},
            "/api/health": {"get": _health()},
        },
        "components": {"schemas": _schemas()},
    }


def _identify() -> dict[str, Any]:
    top = {"type": "integer", "minimum": 1, "maximum": 100, "default": 5}
    return {
        "operationId": "identify",
        "summary": "Say which deity a photo shows.",
        "parameters": [_query("top", "How many candidates to name.", top)],
        "requestBody": _photo_body(),
        "responses": _responses("The answer.", _json("Answer"), 400, 408, 413, 415, 422, 503),
    }


def _heatmap() -> dict[str, Any]:
    return {
        "operationId": "heatmap",
        "summary": "Draw where the model looked, over the photo in grey: bright where it did.",
        "parameters": [_query("deity", "For which; by default the first candidate.", _SLUG)],
        "requestBody": _photo_body(),
        "responses": _responses(
            "The picture.", {"image/png": _BINARY}, 400, 408, 413, 415, 422, 503
        ),
    }


def _list_deities() -> dict[str, Any]:
    tradition = {"type": "string", "enum": traditions()}
    region = {"type": "string", "enum": regions()}
    return {
        "operationId": "listDeities",
        "summary": "List the entries.",
        "parameters": [
            _query("q", "Part of any name in any script; accents do not matter.", _TEXT),
            _query("tradition", "Only of this tradition.", tradition),
            _query("region", "Only of this region.", region),
        ],
        "responses": _responses("The entries that match.", _json("Deities"), 422),
    }


def _show_deity() -> dict[str, Any]:
    return {
        "operationId": "showDeity",
        "summary": "Tell everything about one deity.",
        "parameters": [{"name": "slug", "in": "path", "required": True, "schema": _SLUG}],
        "responses": _responses("The entry.", _json("Entry"), 404),
    }


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Tell whether the model can be used.",
        "responses": _responses("It can.", _json("Health"), 503),
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _photo_body() -> dict[str, Any]:
    form = _object(photo={"type": "string", "contentMediaType": "application/octet-stream"})
    return {
        "required": True,
        "description": "The photo itself, of whatever Content-Type, or a form with it.",
        "content": {"multipart/form-data": {"schema": form}, "image/*": _BINARY},
    }


def _responses(description: str, content: dict[str, Any], *errors: int) -> dict[str, Any]:
    failures = {
        str(status): {"description": _ERRORS[status], "content": _json("Error")}
        for status in errors
    }
    return {"200": {"description": description, "content": content}, **failures}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _schemas() -> dict[str, Any]:
    entry = Entry.model_json_schema(
        ref_template="#/components/schemas/{model}", mode="serialization"
    )
    summary_fields = ("name", "names", "also_known_as", "kind", "tradition", "family", "regions")
    candidate = _object(
        optional=["few_pictures"],
        deity=_SLUG,
        probability=_PROBABILITY,
        few_pictures={"const": True, "description": "known from few pictures only"},
    )
    return {
        **entry.pop("$defs"),
        "Entry": entry,
        "Answer": _object(
            optional=["broader"],
            file={"type": ["string", "null"], "description": "the name its sender gave it"},
            verdict={"type": "string", "enum": [verdict.value for verdict in Verdict]},
            candidates={"type": "array", "items": candidate},
            none_probability=_PROBABILITY,
            broader=_broader(),
            milliseconds={"type": "number", "description": "to decode and recognise"},
            explain={
                "type": "object",
                "description": "deity -> where its entry is",
                "additionalProperties": _LINK,
            },
        ),
        "Deities": _object(
            deities={
                "type": "array",
                "items": _object(
                    slug=_SLUG,
                    url=_LINK,
                    **{name: entry["properties"][name] for name in summary_fields},
                ),
            }
        ),
        "Health": _object(
            status={"const": "ok"},
            bundle=_object(name=_TEXT, created=_TEXT, labels={"type": "integer", "minimum": 2}),
        ),
        "Error": _object(
            error={"type": "string", "description": "short stable code, for programs"},
            detail={"type": "string", "description": "a sentence, for people"},
        ),
    }


def _broader() -> dict[str, Any]:
    circle = _object(
        kind={"enum": ["form", "family", "tradition"]},
        name={
            "type": "string",
            "description": "the deity's slug for form, else as entries name it",
        },
        tradition=_TEXT,
        probability={**_PROBABILITY, "description": "of its labels together"},
    )
    return {**circle, "description": "what an unsure answer is of, where that is likely enough"}


def _object(optional: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
