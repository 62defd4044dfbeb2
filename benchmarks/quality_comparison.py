"""CleanVision's flags and times beside ours, and what the layout checks find."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from cleanvision import Imagelab
from rich.console import Console
from rich.progress import track
from rich.table import Table as Sheet

from benchmarks.cost import Cost, timed
from benchmarks.made_pictures import MAKERS, make, mark_of_a_source
from benchmarks.seven_checks import seven_checks
from data_prep.marks import mark_scores
from data_prep.pixels import measure
from data_prep.quality import QualitySettings, cleanvision_issues, layout_issues
from data_prep.table import Table
from ideitify.dataset import read_dataset
from ideitify.engine import run
from ideitify.photo import open_photo

CHECKS = [
    "dark", "light", "blurry", "odd_aspect_ratio", "odd_size", "low_information", "grayscale",
]  # fmt: skip
PER_TASK = 32

console = Console(width=140)


def compare(
    name: str, paths: Sequence[Path], differences: int, processes: int, rounds: int
) -> None:
    """CleanVision's answer and time beside ours."""
    costs: list[tuple[Cost, Cost, Cost]] = []
    for _ in track(range(rounds), f"{rounds} rounds, {name}", console=Console(stderr=True)):
        theirs, their_cost = timed(lambda: cleanvision_flags(paths, processes))
        ours, our_cost = timed(lambda: our_flags(paths, processes))
        _, whole_cost = timed(lambda: _all_looks(paths, processes))
        costs.append((their_cost, our_cost, whole_cost))
    sheet = Sheet("check", "CleanVision", "ours", "both", title=f"{len(paths)} pictures {name}")
    for check in CHECKS:
        a, b = theirs[check], ours[check]
        sheet.add_row(check, *(str(int(flags.sum())) for flags in (a, b, a & b)))
    console.print(sheet)
    both = int((theirs & ours).to_numpy().sum())
    either = int(theirs.to_numpy().sum() + ours.to_numpy().sum())
    console.print(f"F1 {2 * both / either if either else 1:.3f} of {either - both} flags")
    for path, check in zip(*np.nonzero((theirs != ours).to_numpy()), strict=True):
        if (differences := differences - 1) >= 0:
            who = "CleanVision" if theirs.iloc[path, check] else "ours"
            console.print(f"  {CHECKS[check]} only by {who}: {theirs.index[path]}")
    their_costs, our_costs, whole_costs = zip(*costs, strict=True)
    console.print(f"CleanVision {_median(their_costs)}; {_against(their_costs, our_costs)}")
    console.print(f"all that validate and quality look at: {_against(their_costs, whole_costs)}\n")


def _against(theirs: Sequence[Cost], ours: Sequence[Cost]) -> str:
    """Our median time, and how many times it fits into theirs of the same round."""
    ratios = [their.clock / our.clock for their, our in zip(theirs, ours, strict=True)]
    scatter = f"{min(ratios):.1f} to {max(ratios):.1f} over {len(ratios)} rounds"
    return f"ours {_median(ours)}, {median(ratios):.1f} times faster ({scatter})"


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(median(cost.clock for cost in costs), median(cost.processors for cost in costs))


def cleanvision_flags(paths: Sequence[Path], processes: int) -> pd.DataFrame:
    """CleanVision's own flags, bool (pictures, checks)."""
    lab = Imagelab(filepaths=[str(path) for path in paths])
    lab.find_issues({check: {} for check in CHECKS}, n_jobs=processes, verbose=False)
    issues = lab.issues.loc[[str(path) for path in paths]]
    return issues[[f"is_{check}_issue" for check in CHECKS]].set_axis(CHECKS, axis=1)


def our_flags(paths: Sequence[Path], processes: int) -> pd.DataFrame:
    """The same by our reduced decode."""
    names = [str(path) for path in paths]
    tasks = [tuple(names[i : i + PER_TASK]) for i in range(0, len(names), PER_TASK)]
    seen = {
        name: values
        for task, values_of in run(tasks, seven_checks, workers=processes)
        for name, values in zip(task, values_of, strict=True)
    }
    issues = cleanvision_issues(pd.DataFrame([seen[n] for n in names], names), QualitySettings())
    return issues[[f"is_{check}_issue" for check in CHECKS]].set_axis(CHECKS, axis=1)


def _all_looks(paths: Sequence[Path], processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure(_table(Path(folder), paths), workers=processes)


def _table(folder: Path, paths: Sequence[Path]) -> Table:
    """A table in an empty folder, of pictures anywhere."""
    return Table(folder, pd.DataFrame(index=[str(path.absolute()) for path in paths]))


def compare_layouts(data: Path, paths: Sequence[Path], folder: Path, count: int) -> None:
    """What each layout check finds of what was made, and of the pictures as they are."""
    settings = QualitySettings()
    folder.mkdir()
    plain = layout_issues(measure(_table(folder, paths)), settings)
    sheet = Sheet("check", "found of made", "flagged as they are", title="layouts")
    for check, maker in MAKERS.items():
        made = make(paths, folder / check, maker, count)
        issues = layout_issues(measure(_table(folder, made)), settings)
        flag = f"is_{check}_issue"
        any_flag = issues.filter(like="is_").any(axis=1).mean()
        sheet.add_row(
            check, f"{issues[flag].mean():.1%} ({any_flag:.1%} by any)",
            f"{plain[flag].sum()} of {len(plain)}",
        )  # fmt: skip
    found, flagged = watermarks(data, folder, settings)
    sheet.add_row("watermark", f"{found:.1%}", flagged)
    console.print(sheet)


def watermarks(data: Path, folder: Path, settings: QualitySettings) -> tuple[float, str]:
    """Every second source of eight pictures or more prints one mark on 70 % of its pictures."""
    rng = random.Random(2)
    sources: dict[str, list[Path]] = {}
    for picture in read_dataset(data):
        sources.setdefault(picture.group, []).append(picture.path)
    (folder / "marks").mkdir()
    rows: list[dict[str, object]] = []
    for name, paths in sources.items():
        if len(paths) < settings.watermark_pictures:
            continue
        draw_mark = mark_of_a_source(rng) if rng.random() < 0.5 else None
        for path in paths[:100]:
            marked = draw_mark is not None and rng.random() < 0.7
            image = open_photo(path)
            file = folder / "marks" / f"{len(rows):05}.jpg"
            (draw_mark(image) if draw_mark and marked else image).save(file, quality=85)
            row = {"file": str(file), "group": name, "creator": "", "source": ""}
            rows.append(row | {"marked": marked, "touched": draw_mark is not None})
    frame = pd.DataFrame(rows).set_index("file")
    table = Table(folder, frame)
    measure(table)
    flags = 1 - mark_scores(table, settings.watermark_pictures) < settings.watermark
    bare = flags[~frame["touched"]]
    unmarked = flags[frame["touched"] & ~frame["marked"]]
    words = (
        f"{bare.sum()} of {len(bare)} as they are; {unmarked.sum()} of {len(unmarked)} unmarked "
        "ones of marking sources"
    )
    return float(flags[frame["marked"]].mean()), words
