"""The data card: what the data set is, measured from the pictures that go."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from data_prep.page import TEMPLATES
from data_prep.publish.credits import ATTRIBUTION_NAME, plain
from data_prep.publish.facts import Facts
from data_prep.publish.publication import file_size
from ideitify.dataset import COLUMNS, NONE_CATEGORY

# The Hub's names of licences that pictures have; others, and mixtures, are "other" there.
# https://huggingface.co/docs/hub/repositories-licenses
HUB_LICENSES = {
    "CC0-1.0", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0",
    "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
}  # fmt: skip
# Splits as `datasets` calls them -> the file that lists their rows. Names with "train", "valid" or
# "test" as a word of their own would make `load_dataset("imagefolder", …)` guess splits from them.
SPLIT_FILES = {"train": "trainset.csv", "validation": "validset.csv", "test": "testset.csv"}
SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}  # ours -> theirs

_ANNOTATORS = {"scraper": "found", "human": "crowdsourced"}  # the Hub's words


def description(facts: Facts, title: str, usage: str) -> str:
    """The card's body, Markdown.

    Args:
        usage: how to load the data set where it is published, Markdown.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    none = [category.pictures for category in facts.categories if category.slug == NONE_CATEGORY]
    return environment.get_template("data_card.md").render(
        facts=facts,
        title=plain(title),
        usage=usage,
        without_deity=sum(none),
        size=file_size(facts.size),
    )


def front_matter(facts: Facts, title: str, name: str, sizes_known: bool) -> str:
    """The card's YAML, with which the Hub lists the data set and `datasets` loads it.

    Args:
        name: owner/name on the Hub.
        sizes_known: whether every row has a width and a height.
    """
    from huggingface_hub import DatasetCardData

    card = DatasetCardData(
        pretty_name=title,
        task_categories=["image-classification"],
        size_categories=size_category(facts.pictures),
        annotations_creators=sorted(
            {_ANNOTATORS.get(label, "machine-generated") for label in facts.labels}
        ),
        source_datasets=["original"],
        tags=["deities", "iconography", "cultural-heritage", "art", "religion"],
        configs=[_config(facts, sizes_known)],
        **_license(facts, name),  # type: ignore[arg-type]
    )
    return f"---\n{card.to_yaml()}\n---\n"


def size_category(pictures: int) -> str:
    """The Hub's word for a number of examples.

    >>> size_category(3465)
    '1K<n<10K'
    """
    limits = {1e3: "1K", 1e4: "10K", 1e5: "100K", 1e6: "1M", 1e7: "10M"}
    lower = ""
    for limit, word in limits.items():
        if pictures < limit:
            return f"{lower}<n<{word}" if lower else f"n<{word}"
        lower = word
    return "10M<n<100M"


def _license(facts: Facts, name: str) -> dict[str, str]:
    if len(facts.licenses) == 1 and (only := next(iter(facts.licenses))) in HUB_LICENSES:
        return {"license": only.lower()}
    page = f"https://huggingface.co/datasets/{name}/blob/main/{ATTRIBUTION_NAME}"
    return {"license": "other", "license_name": "per-picture", "license_link": page}


def _config(facts: Facts, sizes_known: bool) -> dict[str, object]:
    """How `datasets` is to read the folder; without the types it would guess them from rows."""
    numbers = {"width", "height"} if sizes_known else set()
    slugs = sorted(category.slug for category in facts.categories)
    label = {"class_label": {"names": {str(i): slug for i, slug in enumerate(slugs)}}}
    features: list[dict[str, object]] = [{"name": "image", "dtype": "image"}]
    for column in COLUMNS[1:]:
        dtype = label if column == "category" else "int64" if column in numbers else "string"
        features.append({"name": column, "dtype": dtype})
    splits = [SPLIT_NAMES[split] for split in facts.splits]
    files = {split: SPLIT_FILES[split] for split in splits} or {"train": "metadata.csv"}
    return {
        "config_name": "default",
        "drop_labels": True,
        "metadata_filenames": list(files.values()),
        "data_files": [
            {"split": split, "path": [file, "images/**"]} for split, file in files.items()
        ],
        "features": features,
    }
