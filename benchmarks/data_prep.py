"""Near duplicates and label errors, planted among real pictures; and duplicates by the million.

    python -m benchmarks.data_prep --data ../shared/deities \
        --backbone ../shared/weights/mobilenet_edgetpu_100.mlperf_in1k
    python -m benchmarks.data_prep --simulate 1000000

Copies of known kinds are planted among the pictures of a dataset folder; ours, imagededup and
CleanVision look for them. A pair is right if it was planted, so that copies which the folder had
before count against whoever finds them; ours are named, to be looked at. imagededup has a line at
its default threshold and one at the best for this very set. Its CNN needs weights from the
internet; where they cannot be had, it gets the backbone given.

Label errors are labels swapped between pictures. The bundle that ships was trained on the right
labels of most of these pictures, which helps ours: a second line is of its validation side alone,
and with `--backbone` a third is of embeddings that never saw a label.

Times are of the clock and, in brackets, of the processors, all processes together: on a busy
machine only the latter can be compared.

The simulation runs the duplicates step, but for opening pictures, on made-up hashes and embeddings
of the bundle's size, in a process of its own each, and compares it with all pairs, measured on ten
thousand and extrapolated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks import run_command
from benchmarks.label_errors import label_errors
from benchmarks.near_duplicates import near_duplicates
from benchmarks.simulated_rows import simulate


def main(
    data: Annotated[Path | None, typer.Option(help="dataset folder to plant in")] = None,
    backbone: Annotated[str | None, typer.Option(help="as `training fit` takes it")] = None,
    pairs: Annotated[int, typer.Option(help="planted copies; 0 for none")] = 2000,
    pictures: Annotated[int, typer.Option(help="plant among so many; 0 for all")] = 0,
    seeds: Annotated[int, typer.Option(help="runs with other swapped labels; 0 for none")] = 3,
    simulate_rows: Annotated[
        int | None, typer.Option("--simulate", help="10000, 100000, … up to so many rows")
    ] = None,
) -> None:
    """Print what was asked for."""
    if data and pairs:
        near_duplicates(data, pairs, backbone, pictures)
    if data and seeds:
        label_errors(data, backbone, seeds)
    if simulate_rows:
        simulate(simulate_rows)


if __name__ == "__main__":
    run_command(main)
