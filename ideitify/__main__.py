"""The command line: `python -m ideitify --help`.

What a command needs is imported inside it, so that each starts as fast as it can.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ideitify.bundle import BundleError, Estimate, Manifest, verify_bundle
from ideitify.files import replacing
from ideitify.knowledge import Entry, close_slugs, entry_named, find_entry
from ideitify.photo import PhotoError, open_photo
from ideitify.settings import Settings, settings

if TYPE_CHECKING:
    from ideitify.recognizer import Answer, Recognizer

SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif", ".hif",
    ".gif", ".tif", ".tiff", ".bmp",
}  # fmt: skip
STDIN = "-"
TEXT_WIDTH = 88

app = typer.Typer(
    help="Recognise deities in photos.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing rich takes longer than recognising a photo
    pretty_exceptions_enable=False,
)

BundleOption = Annotated[
    str | None,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        help="Model bundle: a folder, or hf://owner/repo@revision. By default the one that ships.",
        show_default=False,
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Convert a Hub repository that has only a fastai model.pkl. This runs its code.",
    ),
]


@app.command()
def identify(
    files: Annotated[
        list[str],
        typer.Argument(help="Photos, folders of photos, or - for standard input.", metavar="FILES"),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line and file.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Write the answers to this CSV file too.", dir_okay=False),
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            "--heatmap",
            help="Write to this folder where the model looked for its first candidate.",
            file_okay=False,
        ),
    ] = None,
    bundle: BundleOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many candidates to name.")] = 5,
    trust_pickle: TrustOption = False,
) -> None:
    """Say which deities photos show.

    Folders are walked. A file that cannot be read is reported and does not stop the others. The
    exit status is 0 when every file was answered, 1 when some were not, 2 for wrong usage.

    \b
    Examples:
      python -m ideitify identify photo.jpg
      python -m ideitify identify photos/ --json > answers.jsonl
      python -m ideitify identify photos/ --csv answers.csv --heatmap heat/
      python -m ideitify identify photo.jpg --bundle hf://owner/repo@revision
    """
    from ideitify.recognizer import Recognizer

    _let_any_name_be_printed()
    warnings.filterwarnings("ignore", module="PIL")  # what is wrong with a photo, its record says
    names = list(find_photos(files))
    failed = 0
    try:
        recognizer = Recognizer.load(bundle, trust_pickle=trust_pickle, limits=_settings())
        records = identify_photos(recognizer, names, top, heatmaps)
        with _csv_writer(table, top) as write_row, _progress(len(names)) as advance:
            for record, answer in records:
                _print_record(record, answer, as_json)
                write_row(record)
                failed += "error" in record
                advance()
    except BundleError as error:
        _refuse(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads our output has seen enough
            raise
        _refuse(f"cannot write {error.filename or 'the answers'}: {error.strerror}")
    raise typer.Exit(1 if failed else 0)


@app.command()
def deity(
    name: Annotated[str, typer.Argument(help="A name in any script, for example ganesha.")],
) -> None:
    """Tell about a deity.

    \b
    Examples:
      python -m ideitify deity ganesha
      python -m ideitify deity गणेश
    """
    _let_any_name_be_printed()
    entry = entry_named(name)
    if entry is None:
        close = close_slugs(name)
        advice = f"did you mean {' or '.join(close)}?" if close else "knowledge/ lists them all"
        _refuse(f"there is no entry {name!r}: {advice}")
    print(describe_entry(entry))


@app.command()
def info(bundle: BundleOption = None, trust_pickle: TrustOption = False) -> None:
    """Print the model's facts and figures."""
    from ideitify.hub import bundle_folder

    _let_any_name_be_printed()
    try:
        folder = bundle_folder(bundle or _settings().bundle, trust_pickle=trust_pickle)
        print(describe_bundle(folder, verify_bundle(folder)))
    except BundleError as error:
        _refuse(str(error))


@app.command("settings")
def show_settings() -> None:
    """Print every option and its value.

    \b
    Options are set in the environment, or in the section [ideitify] of
    .streamlit/secrets.toml in lower case and without the prefix:
      IDEITIFY_MAX_BYTES=5000000 python -m ideitify identify photo.jpg
    """
    print(describe_settings(_settings()))


def find_photos(names: Iterable[str]) -> Iterator[str]:
    """Files as they are named, folders as the image files in them, sorted.

    A folder without any is passed on itself, to be refused with the other files.
    """
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112 - a name must come out as it was given
            yield from sorted(_images_below(name)) or [name]
        else:
            yield name


def _images_below(folder: str) -> Iterator[str]:
    """Image files by their suffix, and folders that cannot be read, to be refused as such.

    Hidden ones are left out: they are thumbnails and leftovers of other programs.
    """
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield str(Path(parent, name))
    yield from (str(error.filename) for error in unreadable)


def identify_photos(
    recognizer: Recognizer, names: Sequence[str], top: int, heatmaps: Path | None = None
) -> Iterator[tuple[dict[str, Any], Answer | None]]:
    """Answer photos in order, one record each, as `--json` prints them, with its answer.

    Where there is none, its record has an error. An answer may have more candidates than `top`:
    those that a sentence needs.

    Raises:
        OSError: a heat map cannot be written.
    """
    from ideitify.words import MOST_RIVALS

    photos = [_photo(name, recognizer.settings) for name in names]
    answers = recognizer.recognize_many(photos, max(top, MOST_RIVALS))
    used: set[str] = set()
    for name, photo, answer in zip(names, photos, answers, strict=True):
        if isinstance(answer, PhotoError):
            yield {"file": name, "error": _why_not(name, answer)}, None
            continue
        record = {"file": name, **answer.as_json()}
        del record["candidates"][top:]
        if heatmaps:
            path = heatmaps / _heatmap_name(name, answer.candidates[0].deity, used)
            try:
                _write_heatmap(path, recognizer, photo, answer)
            except PhotoError as error:  # the file was changed or removed since it was recognised
                yield {"file": name, "error": str(error)}, None
                continue
            record["heatmap"] = str(path)
        yield record, answer


def _why_not(name: str, error: PhotoError) -> str:
    """The reason against a file, in a sentence that is true of a folder too."""
    if name == STDIN or not os.path.isdir(name):  # noqa: PTH112 - see `find_photos`
        return str(error)
    if not os.access(name, os.R_OK | os.X_OK):
        return "The folder cannot be opened: check that you may read it."
    return "There is no photo in this folder, by the endings of its files: name a photo itself."


def _photo(name: str, limits: Settings) -> str | bytes:
    if name != STDIN:
        return name
    return sys.stdin.buffer.read(limits.max_bytes + 1) if sys.stdin else b""


def _heatmap_name(name: str, deity: str, used: set[str]) -> str:
    """`folder/photo.jpg` -> `photo.ganesha.png`, numbered when another folder has a `photo` too."""
    stem = Path(name).stem if name != STDIN else "stdin"
    stem = os.fsencode(stem)[:150].decode(errors="ignore")  # a file's name has 255 bytes at most
    for number in count(1):
        unique = f"{stem}.{deity}.png" if number == 1 else f"{stem}-{number}.{deity}.png"
        if unique.casefold() not in used:
            used.add(unique.casefold())
            return unique
    raise AssertionError("there is always another number")


def _write_heatmap(path: Path, recognizer: Recognizer, photo: str | bytes, answer: Answer) -> None:
    from ideitify.heatmap import PHOTO_SIDE, heat_map, heat_overlay

    image = open_photo(photo, side=PHOTO_SIDE, limits=recognizer.settings)
    overlay = heat_overlay(image, heat_map(answer), recognizer.manifest.input.resize)
    path.parent.mkdir(parents=True, exist_ok=True)
    overlay.save(path)


def _print_record(record: dict[str, Any], answer: Answer | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps(record, ensure_ascii=False), flush=True)
    elif answer is None:
        print(f"{record['file']}: {record['error']}", file=sys.stderr)
    else:
        print(f"{record['file']}: {describe_answer(answer, len(record['candidates']))}")


def describe_answer(answer: Answer, top: int) -> str:
    """An answer in words: a sentence, then what it rests on with the probabilities."""
    from ideitify.words import from_few_pictures, headline, percent

    circle, candidates = answer.broader, answer.candidates[:top]
    shares = [
        *([(circle.probability, circle.in_words())] if circle else []),
        *((c.probability, f"{find_entry(c.deity).name} ({c.deity})") for c in candidates),
        (answer.none_probability, "no deity that I know"),
    ]
    lines = [f"{percent(probability):>10}  {name}" for probability, name in shares]
    said = filter(None, (f"{headline(answer)}.", from_few_pictures(answer)))
    return "\n".join([" ".join(said), *lines])


@contextmanager
def _csv_writer(path: Path | None, top: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes records to `path`, which appears only when all of them are there."""
    if path is None:
        yield lambda record: None
        return
    pairs = [(f"deity_{n}", f"probability_{n}") for n in range(1, top + 1)]
    ranked = (name for pair in pairs for name in pair)
    columns = ["file", "verdict", "none_probability", *ranked, "broader", "broader_probability"]
    with (
        replacing(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.DictWriter(
            file, [*columns, "milliseconds", "heatmap", "error"], extrasaction="ignore"
        )
        writer.writeheader()

        def write_row(record: dict[str, Any]) -> None:
            row = dict(record)
            candidates = record.get("candidates", [])
            for (name, probability), candidate in zip(pairs, candidates, strict=False):
                row |= {name: candidate["deity"], probability: candidate["probability"]}
            if circle := record.get("broader"):
                row |= {"broader": circle["name"], "broader_probability": circle["probability"]}
            writer.writerow(row)

        yield write_row


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """A progress bar on standard error, where that is a terminal and there are several photos."""
    if total < 2 or not (sys.stderr and sys.stderr.isatty()):  # its caller may have closed it
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # Without a terminal, rich would print on this one what belongs in a pipe.
    redirect = bool(sys.stdout and sys.stdout.isatty())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=redirect) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def describe_entry(entry: Entry) -> str:
    """An entry as text for a terminal."""
    about = [
        entry.kind,
        entry.tradition,
        entry.family,
        entry.form_of and f"form of {entry.form_of}",
    ]
    sources = [source.model_dump(exclude_none=True) for source in entry.sources]
    sections: list[tuple[str, list[str]]] = [
        ("In other languages", [f"{tag}: {name}" for tag, name in entry.names.items()]),
        ("Also known as", [", ".join(entry.also_known_as)] if entry.also_known_as else []),
        ("Relations", [f"{tie.relation} {tie.deity}" for tie in entry.relations]),
        ("Regions", [", ".join(entry.regions)] if entry.regions else []),
        ("Domain", [", ".join(entry.domain)] if entry.domain else []),
        ("Look for", [f"{aspect}: {'; '.join(items)}" for aspect, items in entry.look_for]),
        ("Often confused with", [f"{o.deity}: {o.how_to_tell}" for o in entry.confused_with]),
        ("Festivals", [f"{f.name} ({f.when}): {f.what}" for f in entry.festivals]),
        ("Sacred places", entry.sacred_places),
        ("Care", entry.care),
        ("Sources", [", ".join(map(str, source.values())) for source in sources]),
    ]
    lines = [entry.name, "=" * len(entry.name), " · ".join(filter(None, about)), ""]
    for paragraph in entry.body.split("\n\n"):
        lines += [*textwrap.wrap(paragraph, TEXT_WIDTH), ""]
    for title, items in sections:
        if items:
            lines += [title, *(_bullet(item) for item in items), ""]
    return "\n".join(lines).rstrip()


def _bullet(text: str) -> str:
    return textwrap.fill(text, TEXT_WIDTH, initial_indent="  - ", subsequent_indent="    ")


def describe_bundle(folder: Path, manifest: Manifest) -> str:
    """What `bundle.json` promises, as text for a terminal."""
    spec, thresholds = manifest.input, manifest.thresholds
    sizes = [f"{name} {(folder / name).stat().st_size / 1e6:.2f} MB" for name in manifest.files]
    few = manifest.prototypes
    trained = [label for label in manifest.labels if label not in few]
    facts = {
        "Name": manifest.name,
        "Created": manifest.created,
        "Folder": str(folder),
        "Files": f"{', '.join(sizes)}; all as bundle.json says",
        "Input": f"{spec.size} × {spec.size} pixels, {spec.resize}"
        + (", with its mirror image" if spec.flip else ""),
        "Deity": f"named from a probability of {thresholds.deity:.3g}",
        "No deity": f"said from a probability of {thresholds.none:.3g}",
        "Broader": "an unsure answer names no form, family or tradition"
        if thresholds.broader is None
        else "an unsure answer names a form, family or tradition from a probability of "
        f"{thresholds.broader:.3g}",
        "Thresholds": thresholds.operating_point,
        "Temperature": f"{manifest.temperature:.3g}",
        "Labels": f"{len(manifest.labels)}: {', '.join(trained)}",
        "Prototypes": f"{len(few)} of the labels, known from few pictures: {', '.join(few) or '-'}",
    }
    lines = [_fact(name, text) for name, text in facts.items()]
    for pictures, estimates in manifest.metrics.items():
        lines += ["", f"Measured on {pictures}"]
        lines += [f"  {name:24} {_measured(value)}" for name, value in estimates.items()]
    return "\n".join(lines)


def _fact(name: str, text: str) -> str:
    return textwrap.fill(
        text, TEXT_WIDTH, initial_indent=f"{name:12}", subsequent_indent=" " * 12,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _measured(estimate: Estimate) -> str:
    return (
        f"{estimate.value:.3f}  (95 % interval {estimate.low:.3f} to {estimate.high:.3f}, "
        f"{estimate.pictures} pictures)"
    )


def describe_settings(options: Settings) -> str:
    """Every option with its value, as text for a terminal."""
    lines = []
    for name, option in type(options).model_fields.items():
        value = getattr(options, name)
        origin = "" if value == option.default else f"  (by default {option.default})"
        lines += [f"IDEITIFY_{name.upper()} = {value}{origin}", f"    {option.description}"]
    return "\n".join(lines)


def _settings() -> Settings:
    try:
        return settings()
    except ValueError as error:  # pydantic's for a bad value, tomllib's for a bad file
        _refuse(f"the settings cannot be used: {error}")


def _let_any_name_be_printed() -> None:
    """File names that are not UTF-8 come out as JSON escapes instead of ending the program."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none that its caller has closed
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _refuse(message: str) -> NoReturn:
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="python -m ideitify")
