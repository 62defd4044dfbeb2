"""The pages of this stage: their templates and their look."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from ideitify.page import environment

TEMPLATES = Path(__file__).resolve().parent / "templates"


def render(template: str, **values: Any) -> str:
    """Fill a template; every value but those marked safe in it is text."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return environment(TEMPLATES)
