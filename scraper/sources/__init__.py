"""The sources: every module of this package is one, by its own name.

To add a source, add `scraper/sources/<name>.py` with a class that has `name`, `needs`, `note`,
`by_default` and `search` as in `scraper.source.Source`, is made from the web and the settings, and
is named by the module's `SOURCE`; and its test.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from scraper.settings import ScraperSettings
from scraper.source import Source, SourceError, Web


def source_names() -> list[str]:
    """The names of all sources, sorted."""
    return sorted(module.name for module in iter_modules(__path__))


def known_source(name: str) -> str:
    """The name of a source, as it was given.

    Raises:
        SourceError: there is no such source.
    """
    if name not in source_names():
        known = ", ".join(source_names())
        raise SourceError(f"there is no source {name!r}; there are {known}")
    return name


def source_class(name: str) -> Any:
    """The class of a source, with its `name`, `needs`, `note` and `by_default`.

    `argument` says what the name is followed by, for those sources that need to be told what to
    read: `iiif=URL`.

    Raises:
        SourceError: there is no such source.
    """
    return import_module(f"{__name__}.{known_source(name)}").SOURCE


def make_source(spec: str, web: Web, settings: ScraperSettings) -> Source:
    """Make a source.

    Args:
        spec: its name, and what to read for those that need to be told so, after a `=`: `commons`,
            `iiif=https://example.org/manifest.json`, `urls=pictures.csv`.

    Raises:
        SourceError: there is no such source, or it was told too much or too little.
    """
    name, _, told = spec.partition("=")
    source = source_class(name)
    argument = getattr(source, "argument", "")
    if bool(argument) != bool(told):
        usage = f"{name}={argument}" if argument else name
        raise SourceError(f"the source is given as --source {usage}, not {spec}")
    return source(web, settings, told) if told else source(web, settings)


def default_sources(web: Web, settings: ScraperSettings) -> list[Source]:
    """The sources that are switched on when none is named."""
    names = [name for name in source_names() if not hasattr(source_class(name), "argument")]
    sources = [make_source(name, web, settings) for name in names]
    return [source for source in sources if source.by_default]
