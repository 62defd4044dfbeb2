"""Quality: ours against CleanVision on the full pictures; and what each layout check finds.

    python -m benchmarks.data_prep_quality --data ../shared/deities

CleanVision's seven checks by both sides, `--processes` each, start included: on the pictures as
they are; with flaws planted into every second one (darkened, lightened, blurred, flattened, cropped
to a strip, made grey, resized), since a curated folder has hardly any; and a sample of those at 12
megapixels with a camera's grain. Flags are compared one by one, differences are named. Both sides
take turns, `--rounds` times: a round's ratio is of times taken one right after the other.

Then cards, collages, borders, watermarks and, where Chromium is, screenshots of pages are made from
the pictures: the share that its check flags, beside how many of the pictures as they are it flags,
which a person has to look at.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import run_command


def main(
    data: Annotated[Path, typer.Option(help="dataset folder")],
    sample: Annotated[int, typer.Option(help="pictures at 12 megapixels; 0 for none")] = 200,
    pictures: Annotated[int, typer.Option(help="use so many; 0 for all")] = 0,
    processes: Annotated[int, typer.Option(help="of either side")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="times that either side runs")] = 3,
    made: Annotated[int, typer.Option(help="pictures of each layout; 0 for none")] = 150,
    differences: Annotated[int, typer.Option(help="name at most so many")] = 20,
) -> None:
    """Run both sides on the same pictures and print what each says and takes."""
    # worker processes import this module again, and are to import as little as the command's
    from benchmarks.made_pictures import plant
    from benchmarks.quality_comparison import compare, compare_layouts
    from ideitify.dataset import read_dataset

    paths = [picture.path for picture in read_dataset(data)]
    random.Random(0).shuffle(paths)
    paths = paths[: pictures or None]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compare("as they are", paths, differences, processes, rounds)
        compare("with flaws", plant(paths, folder / "flaws"), differences, processes, rounds)
        if sample:
            large = plant(paths[:sample], folder / "large", megapixels=12)
            compare("with flaws, 12 megapixels", large, differences, processes, rounds)
        if made:
            compare_layouts(data, paths, folder / "layouts", made)


if __name__ == "__main__":
    run_command(main)
