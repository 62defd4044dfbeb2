"""Image-to-image variants of pictures of rare classes, made by a diffusion model.

What a model draws of a deity is no picture of it: it may invent an attribute, lose a hand, or
offend. So every variant says of itself that it is machine-made, in `metadata.csv` and in the file;
it may train (`training fit --synthetic`) and nothing else: no figure is measured on it, and
`data_prep publish` leaves it out.

SDEdit (Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential
Equations", ICLR 2022): noise is added to the original up to `strength`, and taken away again under
a prompt. The pipelines are those of `diffusers`.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from xml.sax.saxutils import escape

import torch
from diffusers import AutoPipelineForImage2Image, DiffusionPipeline
from PIL import Image
from rich.console import Console
from rich.progress import track

from ideitify.dataset import (
    METADATA_NAME,
    NONE_CATEGORY,
    SYNTHETIC_SOURCE,
    Picture,
    read_dataset,
    read_rows,
    write_rows,
)
from ideitify.knowledge import Entry, find_entry
from ideitify.licenses import allows_derivatives, attribution, normalize
from ideitify.perceptual_hash import perceptual_hash
from ideitify.photo import PhotoError, open_photo
from training.data import choose_pictures

RARE = 20  # classes with fewer pictures get variants, unless classes are named
PROMPT_WORDS = 45  # CLIP reads 77 tokens; names of deities take several a word
IDENTITY = ("original", "generator", "strength", "seed")  # the columns that tell variants apart
# https://cv.iptc.org/newscodes/digitalsourcetype/: what people and crawlers look for in the file
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
console = Console(stderr=True)


class SynthesisError(ValueError):
    """No variant can be made; the message says why and what to do."""


@dataclass(frozen=True)
class Variant:
    """A picture to make.

    Attributes:
        original: the picture that it is a variant of.
        generator: name or folder of the diffusion model.
        strength: 0..1, how much noise is added to the original; 1 keeps nothing of it.
        seed: of the noise, its own for every original.
    """

    original: Picture
    generator: str
    strength: float
    seed: int

    @property
    def identity(self) -> tuple[str, ...]:
        """The values of `IDENTITY`, as `metadata.csv` has them."""
        return self.original.sha256, self.generator, f"{self.strength:g}", str(self.seed)


@dataclass(frozen=True)
class Synthesis:
    """How many variants a run made, found there, and lost to the model's own safety filter."""

    made: int
    found: int
    withheld: int


def synthesize(
    data: Path,
    out: Path,
    model: str,
    *,
    classes: Sequence[str] = (),
    per_picture: int = 2,
    strength: float = 0.4,
    seed: int = 0,
    any_license: bool = False,
) -> Synthesis:
    """Make variants of the pictures of rare classes, into a dataset folder of their own.

    A variant that is there is not made again, so that an interrupted run goes on with the same
    command.

    Args:
        model: a folder of `diffusers`, or an image-to-image model of the Hub.
        classes: knowledge slugs; those of `training.data.choose_pictures` with fewer than `RARE`
            pictures where none is named.
        strength: 0.1..1, see `Variant`.
        any_license: also change pictures whose licence does not say that one may.

    Raises:
        SynthesisError: no picture may be changed, no such model or class, or not enough memory.
        DatasetError, KnowledgeError: the folder or an entry cannot be used.
    """
    if out.resolve() == data.resolve():
        raise SynthesisError("--out is the dataset itself: give machine-made pictures their own")
    originals = find_originals(data, classes, any_license)
    rows = read_rows(out) if (out / METADATA_NAME).is_file() else []
    known = {tuple(row.get(name, "") for name in IDENTITY) for row in rows}
    wanted = [
        Variant(original, model, strength, seed_of(original, seed, number))
        for original in originals
        for number in range(per_picture)
    ]
    missing = [variant for variant in wanted if variant.identity not in known]
    withheld = 0
    if missing:
        prompts = {picture.category: prompt(find_entry(picture.category)) for picture in originals}
        pipeline = load_pipeline(model)
        started = perf_counter()
        for count, variant in enumerate(track(missing, "synthesizing", console=console)):
            if count == 1 and pipeline.device.type == "cpu":
                _say_how_long(perf_counter() - started, len(missing))
            words = prompts[variant.original.category]
            image = draw(pipeline, variant, words)
            if image is None:
                withheld += 1
                continue
            rows.append(_save(image, variant, words, out))
            write_rows(out, rows)
    made = len(missing) - withheld
    return Synthesis(made, len(wanted) - len(missing), withheld)


def find_originals(data: Path, classes: Sequence[str], any_license: bool) -> list[Picture]:
    """The pictures to make variants of: real ones that may train and may be changed.

    Raises:
        SynthesisError: an unknown class, `none`, or no such picture.
    """
    if NONE_CATEGORY in classes:
        raise SynthesisError(f"{NONE_CATEGORY!r} is no deity: there is nothing to look for in it")
    if classes:
        pictures = read_dataset(data)
        if unknown := sorted(set(classes) - {picture.category for picture in pictures}):
            raise SynthesisError(f"{data} has no picture of {', '.join(unknown)}")
        chosen = set(classes)
    else:
        pictures = choose_pictures(data)
        sizes = Counter(picture.category for picture in pictures)
        chosen = {c for c, size in sizes.items() if size < RARE and c != NONE_CATEGORY}
        if not chosen:
            raise SynthesisError(f"no class has fewer than {RARE} pictures; name some by --class")
    training = [
        picture
        for picture in pictures
        if picture.category in chosen and picture.columns.get("split", "") in {"", "train"}
    ]
    if not training:
        raise SynthesisError(f"no picture of {', '.join(sorted(chosen))} is there to train on")
    permitted = [picture for picture in training if any_license or _may_be_changed(picture)]
    if not permitted:
        raise SynthesisError(
            f"of {len(training)} pictures none has a licence that is known to permit changes; "
            "--any-license makes variants all the same, for yourself alone"
        )
    if refused := len(training) - len(permitted):
        console.print(f"{refused} of {len(training)} pictures: no licence that permits changes")
    return permitted


def _may_be_changed(picture: Picture) -> bool:
    row = picture.columns
    return allows_derivatives(normalize(row.get("license", ""), row.get("license_url", "")))


def seed_of(original: Picture, seed: int, number: int) -> int:
    """Seed of an original's variant, whatever else is made and in which order."""
    text = f"{original.sha256} {seed} {number}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def prompt(entry: Entry) -> str:
    """Name, tradition and what to look for, as many words as the text model reads."""
    name = f"{entry.name}, {entry.tradition}" if entry.tradition else entry.name
    phrases = [phrase for _, aspect in entry.look_for for phrase in aspect]
    text = f"a photo of an image of {name}: {'; '.join(phrases)}"
    return " ".join(text.split()[:PROMPT_WORDS]).rstrip(":;, ")


def load_pipeline(model: str) -> DiffusionPipeline:
    """The image-to-image pipeline of a model, on the GPU where there is one.

    Only safetensors are read: nothing from outside is unpickled.

    Raises:
        SynthesisError: no such model, or not enough memory.
    """
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        console.print("no GPU: a variant takes a minute or so on a CPU with a model of usual size")
    with _memory_trouble(model):
        try:
            pipeline = AutoPipelineForImage2Image.from_pretrained(
                model,
                dtype=torch.float16 if on_gpu else torch.float32,
                use_safetensors=True,
            )
        except (OSError, ValueError) as error:  # whatever the Hub or the folder lacks
            reason = str(error).strip().splitlines()[0]
            raise SynthesisError(
                f"no image-to-image model {model!r}: give a folder that diffusers saved, or a "
                f"model of the Hub with safetensors ({reason})"
            ) from error
        pipeline = pipeline.to("cuda" if on_gpu else "cpu")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def _memory_trouble(model: str) -> Iterator[None]:
    """Say what to do where memory lacks; the allocator of the CPU raises a plain RuntimeError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise SynthesisError(
            f"not enough memory for {model}: choose a smaller model, or a machine with more"
        ) from error


def _say_how_long(seconds: float, count: int) -> None:
    minutes = seconds * count / 60
    console.print(
        f"without a GPU: {seconds:.1f} s a variant, about {minutes:.0f} minutes for {count}; "
        "interrupt at will, the same command goes on"
    )


def draw(pipeline: DiffusionPipeline, variant: Variant, words: str) -> Image.Image | None:
    """One variant; None where the model's own safety filter withholds it.

    Raises:
        SynthesisError: the original cannot be read, or not enough memory.
    """
    try:
        original = open_photo(variant.original.path)
    except PhotoError as error:
        raise SynthesisError(f"{variant.original.path}: {error}; run data_prep first") from error
    fitted = original.resize(working_size(original.size, pipeline))
    with _memory_trouble(variant.generator):
        result = pipeline(
            prompt=words,
            image=fitted,
            strength=variant.strength,
            generator=torch.Generator("cpu").manual_seed(variant.seed),
        )
    flagged = getattr(result, "nsfw_content_detected", None)
    return None if flagged and flagged[0] else result.images[0]


def working_size(size: tuple[int, int], pipeline: DiffusionPipeline) -> tuple[int, int]:
    """Width and height in the original's proportions, the longer as the model was trained.

    Both are multiples of what one cell of the denoiser's deepest map stands for.
    """
    cells = getattr(pipeline, "default_sample_size", None) or pipeline.unet.config.sample_size
    side = cells * pipeline.vae_scale_factor
    step = 8 * pipeline.vae_scale_factor  # three halvings within the denoiser
    scale = side / max(size)
    width, height = (max(step, round(length * scale / step) * step) for length in size)
    return width, height


def _save(image: Image.Image, variant: Variant, words: str, out: Path) -> dict[str, str]:
    """Write the file, with what it is inside, and give its row."""
    original, row = variant.original, variant.original.columns
    content = watermarked(image, variant)
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"images/{original.category}/{sha256[:16]}.jpg"
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    identity = dict(zip(IDENTITY, variant.identity, strict=True))
    return identity | {
        "file_name": name,
        "category": original.category,
        "skos_concept": row.get("skos_concept", ""),
        "uri": row.get("uri", ""),
        "source": SYNTHETIC_SOURCE,
        "title": f"Machine-made variant of {row.get('title') or original.path.name}",
        "creator": row.get("creator", ""),
        "license": row.get("license", "") or "unknown",
        "license_url": row.get("license_url", ""),
        "attribution": f"Machine-made variant, by {variant.generator}, of: {credit(row)}",
        "query": words,
        "retrieved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": sha256,
        "perceptual_hash": perceptual_hash(image),
        "width": str(image.width),
        "height": str(image.height),
        "status": "kept",
        "group": original.group,
        "split": "train",
        "label_source": SYNTHETIC_SOURCE,
    }


def credit(row: Mapping[str, str]) -> str:
    """An original's credit: as its source gave it, or made of what is known."""
    if given := row.get("attribution"):
        return given
    known = [row.get(name, "") for name in ("title", "creator", "source")]
    page = row.get("uri") or row.get("url", "")
    return attribution(*known, page, normalize(row.get("license", ""), row.get("license_url", "")))


def watermarked(image: Image.Image, variant: Variant) -> bytes:
    """A JPEG that says in its EXIF and XMP that, from what and by which model it was made."""
    words = (
        f"Machine-made variant of {variant.original.path.name} (sha256 {variant.original.sha256}), "
        f"strength {variant.strength:g}, seed {variant.seed}. Not a photograph."
    )
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION], exif[_SOFTWARE] = words, variant.generator
    xmp = _XMP.format(source_type=SOURCE_TYPE, words=escape(words), tool=escape(variant.generator))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif, xmp=xmp.encode())
    return buffer.getvalue()


_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{words}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
