"""Variants are made once, credited, marked as machine-made, and only of what may be changed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from typer.testing import CliRunner

from ideitify.dataset import read_dataset, read_rows, write_rows
from ideitify.knowledge import find_entry
from training.__main__ import app
from training.synthesize import PROMPT_WORDS, SOURCE_TYPE, SynthesisError, prompt, synthesize

SIDE = 32  # pixels of the tiny model's pictures


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny Stable Diffusion with random weights, as diffusers saves it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("diffusion")
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2, block_out_channels=(4, 8), layers_per_block=1, norm_num_groups=2,
        attention_head_dim=2, cross_attention_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(4, 8), norm_num_groups=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=300, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=2, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )  # fmt: skip
    scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    StableDiffusionImg2ImgPipeline(
        vae=vae, unet=unet, text_encoder=text, tokenizer=tokenizer(),
        scheduler=scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "tiny")  # fmt: skip
    return str(folder / "tiny")


def tokenizer() -> CLIPTokenizer:
    """CLIP's, knowing letters and nothing longer."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;'()-"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocabulary, merges=[], model_max_length=77)


CREDIT = "“Ganesha” by A. Maker, museum, CC BY 4.0"


def picture(folder: Path, number: int, **columns: str) -> dict[str, str]:
    """A row of a dataset folder, and its picture."""
    category = columns.get("category", "ganesha")
    name = f"images/{category}/{number}.png"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    known = {
        "file_name": name, "category": category, "source": "museum", "title": "Ganesha",
        "creator": "A. Maker", "license": "CC-BY-4.0", "attribution": CREDIT, "status": "kept",
        "license_url": "https://creativecommons.org/licenses/by/4.0/", "group": f"museum {number}",
    }  # fmt: skip
    return known | columns


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_rows(folder, [picture(folder, 0), picture(folder, 1)])
    return folder


def test_a_variant_says_what_it_is_in_its_row_and_in_its_file(
    data: Path, tmp_path: Path, model: str
) -> None:
    out = tmp_path / "out"
    synthesize(data, out, model, classes=["ganesha"], per_picture=1)
    originals, variants = read_dataset(data), read_dataset(out, synthetic=True)
    assert len(variants) == 2
    for original, variant in zip(originals, variants, strict=True):
        row = variant.columns
        assert (variant.category, variant.group) == (original.category, original.group)
        assert (row["source"], row["label_source"], row["split"]) == (
            "synthetic", "synthetic", "train",
        )  # fmt: skip
        assert row["license"] == "CC-BY-4.0"
        assert row["attribution"] == f"Machine-made variant, by {model}, of: {CREDIT}"
        assert row["original"] == original.sha256
        with Image.open(variant.path) as image:
            assert image.size == (SIDE, int(row["height"]))
            description, software = image.getexif()[0x010E], image.getexif()[0x0131]
            assert SOURCE_TYPE.encode() in image.info["xmp"]
        assert original.sha256 in description
        assert "Machine-made" in description
        assert software == model


def test_what_is_there_is_not_made_again(data: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    assert synthesize(data, out, model, classes=["ganesha"], per_picture=1).made == 2
    before = read_rows(out)
    again = synthesize(data, out, model, classes=["ganesha"], per_picture=2)
    assert (again.made, again.found) == (2, 2)
    assert read_rows(out)[:2] == before
    assert len({row["sha256"] for row in read_rows(out)}) == 4


def test_a_seed_gives_the_same_variants_whatever_else_is_made(
    data: Path, tmp_path: Path, model: str
) -> None:
    folders = {name: tmp_path / name for name in ("one", "two", "other seed")}
    synthesize(data, folders["one"], model, classes=["ganesha"], per_picture=1)
    write_rows(data, read_rows(data)[::-1])
    synthesize(data, folders["two"], model, classes=["ganesha"], per_picture=1)
    synthesize(data, folders["other seed"], model, classes=["ganesha"], per_picture=1, seed=1)
    one, two, other = (
        {row["original"]: row["sha256"] for row in read_rows(f)} for f in folders.values()
    )
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_only_pictures_that_may_be_changed_and_may_train_have_variants(
    tmp_path: Path, model: str
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_rows(data, [
        picture(data, 0, license="CC0-1.0", license_url=""),
        picture(data, 1, license="CC-BY-ND-4.0", license_url=""),
        picture(data, 2, license="unknown", license_url=""),
        picture(data, 3, split="valid"),
        picture(data, 4, source="synthetic"),
    ])  # fmt: skip
    synthesize(data, out, model, classes=["ganesha"], per_picture=1)
    assert [row["group"] for row in read_rows(out)] == ["museum 0"]
    synthesize(data, out, model, classes=["ganesha"], per_picture=1, any_license=True)
    assert [row["group"] for row in read_rows(out)] == ["museum 0", "museum 1", "museum 2"]
    assert [row["license"] for row in read_rows(out)] == ["CC0-1.0", "CC-BY-ND-4.0", "unknown"]


def test_rare_classes_have_variants_where_none_is_named(tmp_path: Path, model: str) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    sizes = {"ganesha": 9, "shiva": 20, "none": 1, "agni": 8}  # eight are too few to be trained on
    rows = [
        picture(data, number, category=category)
        for category, size in sizes.items()
        for number in range(size)
    ]
    write_rows(data, rows)
    synthesize(data, out, model, per_picture=1)
    assert {row["category"] for row in read_rows(out)} == {"ganesha"}


def test_the_prompt_names_the_deity_and_what_to_look_for() -> None:
    words = prompt(find_entry("ganesha"))
    assert words.startswith("a photo of an image of Ganesha, Hinduism: elephant head")
    assert len(words.split()) <= PROMPT_WORDS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"--class": "nobody"}, "has no picture of nobody"),
        ({"--class": "none"}, "'none' is no deity"),
        ({"--out": "{data}"}, "--out is the dataset itself"),
        ({"--data": "{data}/images"}, "is not a dataset folder"),
        ({"--model": "{data}"}, "no image-to-image model"),
        ({"--strength": "0"}, "Invalid value for '--strength'"),
    ],
)
def test_what_cannot_be_done_is_said(
    data: Path, tmp_path: Path, model: str, options: dict[str, str], words: str
) -> None:
    given = {
        "--data": "{data}", "--out": str(tmp_path / "out"), "--model": model, "--class": "ganesha",
    }  # fmt: skip
    arguments = [part.format(data=data) for option in (given | options).items() for part in option]
    result = CliRunner().invoke(app, ["synthesize", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_pictures_of_unknown_licence_are_refused_unless_asked_for(
    data: Path, tmp_path: Path, model: str
) -> None:
    rows = [row | {"license": "unknown", "license_url": ""} for row in read_rows(data)]
    write_rows(data, rows)
    with pytest.raises(SynthesisError, match=r"of 2 pictures none has a licence .* --any-license"):
        synthesize(data, tmp_path / "out", model, classes=["ganesha"])


def test_the_help_warns_of_what_such_pictures_may_do() -> None:
    result = CliRunner().invoke(app, ["synthesize", "--help"], env={"COLUMNS": "500"})
    assert "invent an attribute" in result.output
    assert "holy" in result.output
