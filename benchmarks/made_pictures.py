"""Pictures with planted flaws, and what people put around and over photos."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from ideitify.photo import open_photo

GRAIN = 2.0  # grey values: standard deviation of a phone's noise in daylight
Maker = Callable[[Sequence[Path], random.Random], Image.Image | None]


def plant(paths: Sequence[Path], folder: Path, megapixels: float | None = None) -> list[Path]:
    """Copies of the pictures, every second one with a flaw of random strength."""
    folder.mkdir()
    rng, planted = np.random.default_rng(0), []
    for number, path in enumerate(paths):
        flaw = FLAWS[number // 2 % len(FLAWS)] if number % 2 else None
        image = open_photo(path)
        image = flaw(image, rng) if flaw else image
        if megapixels and flaw is not resized:
            image = enlarged(image, megapixels, rng)
        planted.append(folder / f"{number:05}-{flaw.__name__ if flaw else 'plain'}.jpg")
        image.save(planted[-1], quality=90)
    return planted


def enlarged(image: Image.Image, megapixels: float, rng: np.random.Generator) -> Image.Image:
    """As a camera of so many megapixels would have taken it, grain included."""
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = round(image.width * scale), round(image.height * scale)
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32)
    grain = rng.normal(0, GRAIN, pixels.shape[:2]).astype(np.float32)
    pixels += grain if pixels.ndim == 2 else grain[:, :, None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def darkened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The lightest percent at 0.1 to 0.6 of white."""
    pixels = np.asarray(image, np.float32)
    lightest = max(1.0, float(np.percentile(pixels, 99)))
    return Image.fromarray((pixels * min(1, rng.uniform(0.1, 0.6) * 255 / lightest)).astype("u1"))


def lightened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The darkest five percent at 0.85 to 0.99 of white."""
    pixels = np.asarray(image, np.float32)
    darkest, floor = float(np.percentile(pixels, 5)), rng.uniform(0.85, 0.99) * 255
    pixels = floor + (pixels - darkest) * (255 - floor) / max(1, 255 - darkest)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Out of focus by 1 to 8 % of the long side."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * rng.uniform(0.01, 0.08)))


def flattened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two to eleven colours."""
    return image.quantize(int(rng.integers(2, 12)), dither=Image.Dither.NONE).convert("RGB")


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A strip, 0.2 to 0.5 as high as wide."""
    return image.crop((0, 0, image.width, max(8, round(image.width * rng.uniform(0.2, 0.5)))))


def greyed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One channel."""
    return image.convert("L")


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """0.1 to 6 times as large."""
    scale = rng.uniform(0.1, 6)
    return image.resize((max(16, round(image.width * scale)), max(16, round(image.height * scale))))


FLAWS = (darkened, lightened, blurred, flattened, cropped, greyed, resized)


def make(paths: Sequence[Path], folder: Path, maker: Maker, count: int) -> list[Path]:
    """So many pictures of a layout."""
    folder.mkdir()
    rng, made = random.Random(1), []
    for number in range(count):
        image = maker(paths, rng)
        if image is None:
            break
        made.append(folder / f"{number:03}.jpg")
        image.save(made[-1], quality=rng.choice([70, 80, 90]))
    return made


def mark_of_a_source(rng: random.Random) -> Callable[[Image.Image], Image.Image]:
    """A text, tiled, across or in a band, with its colour, angle and strength."""
    text = rng.choice(["www.statues.example", "© Murti Shop", "PREVIEW", "Sample", "stock photo"])
    kind, alpha = rng.choice(["tiled", "across", "band"]), rng.randrange(70, 190)
    colour = (*rng.choice([(255, 255, 255), (128, 128, 128), (0, 0, 0)]), alpha)
    angle = rng.choice([0, 20, 30, 45])

    def draw_mark(image: Image.Image) -> Image.Image:
        width, height = image.size
        layer = Image.new("RGBA", (2 * width, 2 * height), (0, 0, 0, 0))
        draw, size = ImageDraw.Draw(layer), 1.6 * width / len(text)
        font = ImageFont.load_default(size)
        if kind == "tiled":
            font = ImageFont.load_default(max(12, width / 14))
            step = 1.5 * draw.textlength(text, font)
            for row in range(8):
                for column in range(int(2 * width / step) + 1):
                    place = column * step + row % 2 * step / 2, row * height / 4
                    draw.text(place, text, fill=colour, font=font)
        else:
            if kind == "band":
                draw.rectangle(
                    (width / 2, height - size, width * 1.5, height + size),
                    fill=(128, 128, 128, alpha),
                )
            draw.text((width, height), text, fill=colour, font=font, anchor="mm")
        layer = layer.rotate(angle).crop(
            (width // 2, height // 2, width // 2 + width, height // 2 + height)
        )
        return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")

    return draw_mark


def card(paths: Sequence[Path], rng: random.Random) -> Image.Image:
    """Lines of text on a colour, a gradient, or a photo that is out of focus."""
    size = rng.choice([(400, 400), (500, 350), (360, 640), (600, 320), (480, 480)])
    kind = rng.choice(["colour", "gradient", "photo"])
    if kind == "colour":
        image = Image.new("RGB", size, f"#{rng.randrange(2**24):06x}")
    elif kind == "gradient":
        image = ImageOps.colorize(Image.linear_gradient("L").resize(size), "navy", "orange")
    else:
        photo = ImageOps.fit(open_photo(rng.choice(paths)), size)
        image = photo.filter(ImageFilter.GaussianBlur(8))
    light = np.asarray(image.convert("L")).mean() > 128
    letter = rng.randrange(14, 44)
    font = ImageFont.load_default(letter)
    text = _lines(rng, rng.randrange(8, 60), int(size[0] * 0.85 / (letter * 0.5)))
    ink = (20, 20, 20) if light else (235, 235, 235)
    middle = size[0] / 2, size[1] / 2
    ImageDraw.Draw(image).multiline_text(
        middle, text, fill=ink, font=font, anchor="mm", align=rng.choice(["left", "center"])
    )
    return image


def collage(paths: Sequence[Path], rng: random.Random) -> Image.Image:
    """Two to nine pictures in rows and columns, with or without a gap."""
    rows, columns = rng.choice([(1, 2), (2, 1), (2, 2), (1, 3), (3, 3), (2, 3), (3, 1)])
    gap, width = rng.choice([0, 0, 2, 4, 8, 12]), rng.randrange(420, 700) // columns
    height = int(width * rng.uniform(0.8, 1.4))
    ground = rng.choice(["white", "white", "black", "#804020"])
    size = columns * (width + gap) - gap, rows * (height + gap) - gap
    image = Image.new("RGB", size, ground)
    for row in range(rows):
        for column in range(columns):
            photo = ImageOps.fit(open_photo(rng.choice(paths)), (width, height))
            image.paste(photo, (column * (width + gap), row * (height + gap)))
    return image


def bordered(paths: Sequence[Path], rng: random.Random) -> Image.Image:
    """A frame, or bands above and below, or on both sides: 10 to 30 % of a side each."""
    photo = open_photo(rng.choice(paths))
    colour = rng.choice(["white", "black", f"#{rng.randrange(2**24):06x}"])
    across, down = (int(side * rng.uniform(0.1, 0.3)) for side in photo.size)
    borders = rng.choice([(across, across), (0, down), (across, 0)])
    return ImageOps.expand(photo, borders, colour)


def screenshot(paths: Sequence[Path], rng: random.Random) -> Image.Image | None:
    """A page of a shop, a feed, a gallery, a chat or an article in Chromium; None without it."""
    if not (chromium := shutil.which("chromium")):
        return None
    width, height = rng.choice([(360, 740), (412, 900), (1280, 800), (1024, 768)])
    ground, ink, bar = rng.choice([("#fff", "#222", "#1877f2"), ("#181818", "#eee", "#333")])
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        page.write_text(
            f"<meta charset=utf-8><style>body{{margin:0 10px;background:{ground};color:{ink};"
            f"font:{rng.randrange(14, 18)}px sans-serif}} img{{object-fit:cover}} "
            f".bar{{background:{bar};padding:12px;margin:0 -10px}} "
            ".grid{display:grid;grid-template-columns:repeat(4,1fr);gap:10px}</style>"
            f"<div class=bar>☰ <b>{_words(rng, 2)}</b></div>{rng.choice(PAGES)(paths, rng)}"
        )
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
             f"--window-size={width},{height}", f"--screenshot={shot}", page.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        return open_photo(shot)


def _feed(paths: Sequence[Path], rng: random.Random) -> str:
    comments = "".join(f"<p><b>{_words(rng, 2)}</b> {_words(rng, 12)}</p>" for _ in range(4))
    return f"<p>{_words(rng, 15)}</p>{_img(paths, rng, 'width:100%')}<p>♥ 12 · 3</p>{comments}"


def _shop(paths: Sequence[Path], rng: random.Random) -> str:
    return (
        f"<div style='display:flex;gap:16px'>{_img(paths, rng, 'width:45%')}<div>"
        f"<h2>{_words(rng, 4)}</h2><h3>₹ 1,499</h3><p>{_words(rng, 35)}</p>"
        f"<button>Add to cart</button></div></div><h3>Related</h3>{_gallery(paths, rng, 4)}"
    )


def _gallery(paths: Sequence[Path], rng: random.Random, count: int = 12) -> str:
    style = "width:100%;height:120px"
    items = (f"<div>{_img(paths, rng, style)}<small>{_words(rng, 4)}</small></div>"
             for _ in range(count))  # fmt: skip
    return f"<div class=grid>{''.join(items)}</div>"


def _article(paths: Sequence[Path], rng: random.Random) -> str:
    picture = _img(paths, rng, "float:right;width:40%;margin:8px")
    return f"<h1>{_words(rng, 6)}</h1>{picture}" + f"<p>{_words(rng, 50)}.</p>" * 4


PAGES = (_feed, _shop, _gallery, _article)
MAKERS: dict[str, Maker] = {
    "text_card": card, "screenshot": screenshot, "collage": collage, "border": bordered,
}  # fmt: skip
PHRASE = """om namah the lord of wisdom remover of obstacles good morning happy blessings peace
temple visit our shop today new price devotion festival statue marble handmade share buy"""


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(PHRASE.split(), k=count)).capitalize()


def _lines(rng: random.Random, count: int, width: int) -> str:
    return textwrap.fill(_words(rng, count), max(6, width))


def _img(paths: Sequence[Path], rng: random.Random, style: str) -> str:
    return f"<img src='{rng.choice(paths).absolute().as_uri()}' style='{style}'>"
