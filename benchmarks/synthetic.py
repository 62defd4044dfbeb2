"""Do machine-made variants help? Training with and without them, judged on real pictures alone.

    python -m training synthesize --data ../shared/deities --out runs/variants --any-license \
        --model stable-diffusion-v1-5/stable-diffusion-v1-5
    python -m benchmarks.synthetic --data ../shared/deities --synthetic runs/variants \
        --backbone ../shared/weights/mobilenet_edgetpu_100.mlperf_in1k --seeds 0 --seeds 1 --seeds 2

Both sides have the same real pictures, split, backbone, settings and seeds; the one with variants
draws from more pictures an epoch, and so takes more steps. An interrupted benchmark goes on where
it was. The verdict is the paired difference with its interval over sources, on all validation
pictures and on those of the classes that have variants.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import run_command
from ideitify.dataset import NONE_CATEGORY
from ideitify.recognizer import softmax
from training.metrics import bootstrap, log_losses, top_k_hits
from training.settings import load_settings
from training.train import Fitted, fit

RANKS = (1, 3, 5)


@dataclass(frozen=True)
class Side:
    """What one way of training says of the validation pictures, a mean over seeds.

    Attributes:
        hits: float (v, ranks): share of seeds with the truth among the 1, 3 and 5 likeliest.
        losses: float (v,): negative log-likelihood of the truth.
    """

    hits: np.ndarray
    losses: np.ndarray


def over_seeds(fits: list[Fitted]) -> Side:
    """Judge the same validation pictures by the networks of all seeds."""
    hits, losses = [], []
    for fitted in fits:
        targets, shares = fitted.data.targets[fitted.valid], softmax(fitted.logits)
        hits.append(np.stack([top_k_hits(shares, targets, k) for k in RANKS], axis=1))
        losses.append(log_losses(shares, targets))
    return Side(np.mean(hits, axis=0), np.mean(losses, axis=0))


def compare(without: Side, with_them: Side, chosen: np.ndarray, groups: np.ndarray) -> Table:
    """Both sides and their paired difference on some of the validation pictures.

    Args:
        chosen: int, indices of the pictures.
        groups: (v,) sources, which are resampled whole.
    """
    table = Table("figure", "without", "with", "difference", "95 % over sources")
    columns = {
        f"top-{k}": (without.hits[chosen, i], with_them.hits[chosen, i])
        for i, k in enumerate(RANKS)
    }
    columns["negative log-likelihood"] = (without.losses[chosen], with_them.losses[chosen])
    for name, (before, after) in columns.items():
        gain = bootstrap(lambda i, d=after - before: float(d[i].mean()), groups[chosen])
        table.add_row(
            name, f"{before.mean():.3f}", f"{after.mean():.3f}", f"{gain.value:+.3f}",
            f"{gain.low:+.3f} to {gain.high:+.3f}",
        )  # fmt: skip
    return table


def main(
    data: Annotated[Path, typer.Option(help="dataset folder")],
    synthetic: Annotated[Path, typer.Option(help="folder of `training synthesize`")],
    backbone: Annotated[str, typer.Option(help="as `training fit` takes it")],
    settings: Annotated[Path | None, typer.Option(help="TOML file, for both sides")] = None,
    seeds: Annotated[list[int], typer.Option(help="give several times")] = [0],  # noqa: B006
    out: Annotated[Path, typer.Option(help="trainings")] = Path("runs/synthetic"),
) -> None:
    """Train both ways with every seed, and print them side by side."""
    fits: dict[str, list[Fitted]] = {"without": [], "with": []}
    for seed in seeds:
        chosen = load_settings(settings, {"seed": seed})
        for name, folder in (("without", None), ("with", synthetic)):
            run = out / f"{name}_{seed}"
            fits[name].append(fit(data, backbone, run, chosen, resume=True, synthetic=folder))
    trained = fits["with"][0].data
    rare = sorted({p.category for p in trained.pictures if p.is_synthetic})
    valid = [trained.pictures[i] for i in fits["with"][0].valid]
    groups = np.array([picture.group for picture in valid])
    categories = np.array([picture.category for picture in valid])
    sets = {
        "all": np.arange(len(valid)),
        "deities": np.flatnonzero(categories != NONE_CATEGORY),
        f"{len(rare)} classes with variants": np.flatnonzero(np.isin(categories, rare)),
    }
    console = Console(width=110)
    made = len(trained.pictures) - len(trained.real)
    console.print(f"{made} variants of {', '.join(rare)}; seeds {seeds}")
    sides = over_seeds(fits["without"]), over_seeds(fits["with"])
    for name, members in sets.items():
        table = compare(*sides, members, groups)
        table.title = f"{name}: {len(members)} real validation pictures"
        console.print(table)


if __name__ == "__main__":
    run_command(main)
