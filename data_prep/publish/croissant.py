"""The data set in Croissant, the vocabulary that dataset search and loaders read.

http://mlcommons.org/croissant/1.0
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

from data_prep.findings import category_name
from data_prep.publish.facts import Facts
from data_prep.publish.selection import PublishError, Selection
from ideitify.dataset import COLUMNS, METADATA_NAME

CROISSANT_NAME = "croissant.json"
REPOSITORY = "repository"  # id of the distribution's root; `mlcroissant` can map it to a folder

_PICTURES = "picture-files"
_NO_HASH = "https://github.com/mlcommons/croissant/issues/80"  # must be said; a repository has none


def croissant_file(
    selection: Selection, facts: Facts, *, title: str, page: str, metadata_sha256: str, day: date
) -> str:
    """The text of `croissant.json`.

    Args:
        page: address of the data set on the Hub.
        metadata_sha256: of the `metadata.csv` that goes with it.
        day: of publication; it is the version, too.

    Raises:
        PublishError: `mlcroissant` finds it invalid.
    """
    import mlcroissant as mlc

    try:
        metadata = mlc.Metadata(
            name=re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-"),
            description=f"{facts.pictures} pictures of {len(facts.categories)} categories of "
            "deities and sacred figures, each with source, licence and credit.",
            url=page,
            version=f"{day.year}.{day.month}.{day.day}",
            date_published=day.isoformat(),
            license=sorted({p.license.url for p in selection.pictures if p.license.url}),
            cite_as=f"{title}, {day.year}, {page}",
            keywords=["deities", "iconography", "cultural heritage", "image classification"],
            data_collection="Found by names and concept identifiers at: "
            + ", ".join(f"{source} ({count})" for source, count in facts.sources.items()),
            data_annotation_protocol=[
                "Where labels came from: "
                + ", ".join(f"{label} ({count})" for label, count in facts.labels.items())
            ],
            data_biases=facts.biases,
            personal_sensitive_information=["Religious belief is the subject of the pictures."],
            distribution=_distribution(page, metadata_sha256),
            record_sets=[_categories(facts), _pictures()],
        )
    except mlc.ValidationError as error:
        raise PublishError(f"the Croissant description is not valid: {error}") from error
    return json.dumps(metadata.to_json(), indent=1, ensure_ascii=False, default=str) + "\n"


def _distribution(page: str, metadata_sha256: str) -> list[Any]:
    import mlcroissant as mlc

    return [
        mlc.FileObject(
            id=REPOSITORY,
            name=REPOSITORY,
            content_url=page,
            encoding_formats=["git+https"],
            sha256=_NO_HASH,
        ),
        mlc.FileObject(
            id=METADATA_NAME,
            name=METADATA_NAME,
            content_url=METADATA_NAME,
            contained_in=[REPOSITORY],
            encoding_formats=["text/csv"],
            sha256=metadata_sha256,
        ),
        mlc.FileSet(
            id=_PICTURES,
            name=_PICTURES,
            contained_in=[REPOSITORY],
            encoding_formats=["image/jpeg", "image/png"],
            includes=["images/*/*"],
        ),
    ]


def _categories(facts: Facts) -> Any:
    import mlcroissant as mlc

    slugs = sorted(category.slug for category in facts.categories)
    return mlc.RecordSet(
        id="categories",
        name="categories",
        data_types=["sc:Enumeration"],
        key="categories/slug",
        fields=[
            mlc.Field(id=f"categories/{name}", name=name, data_types=[mlc.DataType.TEXT])
            for name in ("slug", "name")
        ],
        data=[{"categories/slug": slug, "categories/name": category_name(slug)} for slug in slugs],
    )


def _pictures() -> Any:
    """A record per picture: its row, joined to its file by name."""
    import mlcroissant as mlc

    def of_files(wanted: Any, **more: Any) -> Any:
        extract = mlc.Extract(file_property=wanted)
        return mlc.Source(file_set=_PICTURES, extract=extract, **more)

    def of_rows(column: str) -> Any:
        return mlc.Source(file_object=METADATA_NAME, extract=mlc.Extract(column=column))

    def field(name: str, kind: Any, source: Any, **more: Any) -> Any:
        return mlc.Field(id=f"pictures/{name}", name=name, data_types=[kind], source=source, **more)

    # `mlcroissant` joins by the first reference alone, and for it a path is no text as it is
    as_text = mlc.Transform(regex="^(.+)$")
    path = of_files(mlc.FileProperty.fullpath, transforms=[as_text])
    return mlc.RecordSet(
        id="pictures",
        name="pictures",
        key="pictures/file_name",
        fields=[
            field("file_name", mlc.DataType.TEXT, path, references=of_rows("file_name")),
            field("image", mlc.DataType.IMAGE_OBJECT, of_files(mlc.FileProperty.content)),
            field(
                "category",
                mlc.DataType.TEXT,
                of_rows("category"),
                references=mlc.Source(field="categories/slug"),
            ),
            *(
                field(column, mlc.DataType.TEXT, of_rows(column))
                for column in COLUMNS
                if column not in {"file_name", "category"}
            ),
        ],
    )
