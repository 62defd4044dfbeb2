"""Pages that are one file and fetch nothing; for the stages, whose requirements have Jinja2."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

PAGE = Path(__file__).resolve().parent / "templates"


def environment(templates: Path) -> Environment:
    """Templates that may extend `page.html`; every value but `Markup` is escaped.

    Args:
        templates: a stage's folder; its `page.css` is the `style` of its pages.
    """
    environment = Environment(
        loader=FileSystemLoader([templates, PAGE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup((templates / "page.css").read_text("utf-8"))
    return environment
