"""`python -m training`: fine-tune a model and write its bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ideitify.bundle import Manifest
from ideitify.files import write_whole

Data = Annotated[Path, typer.Option(help="dataset folder with metadata.csv")]
Backbone = Annotated[
    str, typer.Option(help="weights file with its JSON, or a timm name; several joined by +")
]
Settings = Annotated[Path | None, typer.Option(help="TOML file of settings")]
Override = Annotated[int | None, typer.Option(help="overrides the settings file")]
MinImages = Annotated[int | None, typer.Option(help="smaller categories are left out")]
Bundle = Annotated[Path, typer.Argument(help="bundle folder")]
NewBundle = Annotated[Path, typer.Option(help="bundle folder to write")]
Split = Annotated[
    str | None,
    typer.Option(help="valid, test, train or all; default valid where that can be told"),
]
BackboneOfRun = Annotated[
    str | None, typer.Option(help="as given to fit, where that was a weights file")
]
RunOfBundle = Annotated[
    Path | None, typer.Option(help="run folder of fit; default runs/<name of the bundle>")
]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Tell the project's own errors, which say what is wrong and what to do, without a trace.

    So are the system's, which name a file and why it cannot be read or written.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error


@app.callback()
def main() -> None:
    """Train deity recognisers on a dataset folder."""


@app.command(
    epilog="Example: python -m training fit --data pictures --backbone vit_small_patch32_224 "
    "--out models/mine"
)
def fit(
    data: Data,
    backbone: Backbone,
    out: NewBundle,
    run: Annotated[
        Path | None, typer.Option(help="checkpoints; default runs/<name of out>")
    ] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option(help="go on from the last finished epoch")] = False,
    seed: Override = None,
    epochs: Override = None,
    runs: Annotated[
        int | None, typer.Option(help="seeds whose weights are averaged; default 1")
    ] = None,
    min_images: MinImages = None,
    prototypes: Annotated[
        bool | None, typer.Option(help="smaller categories join as prototypes; default yes")
    ] = None,
    wandb: Annotated[
        bool,
        typer.Option(help="log to Weights & Biases: online with a key, in the run folder without"),
    ] = True,
    project: Annotated[str, typer.Option(help="of Weights & Biases")] = "ideitify",
    synthetic: Annotated[
        Path | None, typer.Option(help="folder of synthesize, to train on as well")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="run folder of a finished fit, whose answers are learned")
    ] = None,
    teacher_backbone: Annotated[
        str | None, typer.Option(help="as given to that fit, where it was a weights file")
    ] = None,
) -> None:
    """Fine-tune, validate by source, calibrate and export a bundle."""
    from training.distributed import is_main
    from training.export import check_place, export_bundle
    from training.finished import load_teacher
    from training.record import add_to_record
    from training.settings import load_settings
    from training.train import console
    from training.train import fit as train

    with _in_one_sentence():
        flags = {
            "seed": seed, "epochs": epochs, "runs": runs, "min_images": min_images,
            "prototypes": prototypes,
        }  # fmt: skip
        chosen = load_settings(settings, flags)
        console.print_json(chosen.model_dump_json())
        run = run or Path("runs") / out.name
        if teacher_backbone and not teacher:
            raise ValueError("--teacher-backbone is the backbone of a --teacher: name its run, too")
        check_place(out)
        learned = load_teacher(teacher, teacher_backbone) if teacher else None
        with ExitStack() as stack:
            trackers = []
            if wandb and is_main():
                from training.tracking import WandbRun

                trackers.append(stack.enter_context(WandbRun(run, data, project)))
            fitted = train(
                data, backbone, run, chosen,
                resume=resume, synthetic=synthetic, teacher=learned, callbacks=trackers,
            )  # fmt: skip
            if not is_main():
                return
            manifest = export_bundle(fitted, out, name=f"ideitify-{out.name}")
            add_to_record(run, bundle=manifest.model_dump(mode="json")["metrics"])
            for tracker in trackers:
                tracker.finish(fitted, manifest, out)
    _print_bundle(manifest, out)


def _print_bundle(manifest: Manifest, out: Path) -> None:
    from training.train import console

    for pictures, figures in manifest.metrics.items():
        console.print(f"[bold]{pictures}[/bold] (n = {figures['accuracy'].pictures})")
        for name, estimate in figures.items():
            console.print(
                f"  {name} {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
            )
    console.print(f"bundle written to {out}")


@app.command(
    epilog="Example: python -m training export runs/mine --data pictures --out models/mine"
)
def export(
    run: Annotated[Path, typer.Argument(help="run folder of fit, finished or broken off")],
    data: Annotated[Path, typer.Option(help="dataset folder, as given to fit")],
    out: NewBundle,
    backbone: BackboneOfRun = None,
    synthetic: Annotated[Path | None, typer.Option(help="as given to fit, where it was")] = None,
) -> None:
    """Write the bundle of a run again, from its last checkpoint, without training."""
    from training.export import export_bundle
    from training.finished import load_fitted

    with _in_one_sentence():
        fitted = load_fitted(run, data, backbone, synthetic)
        manifest = export_bundle(fitted, out, name=f"ideitify-{out.name}")
    _print_bundle(manifest, out)


@app.command(
    epilog="Example: python -m training synthesize --data pictures --out synthetic "
    "--model stable-diffusion-v1-5/stable-diffusion-v1-5 --class agni --class matsya"
)
def synthesize(
    data: Data,
    out: Annotated[Path, typer.Option(help="dataset folder to write; the same command goes on")],
    model: Annotated[
        str, typer.Option(help="image-to-image model of diffusers: a folder, or its Hub name")
    ],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="slug, may be repeated; default: fewer than 20 pictures"),
    ] = None,
    per_picture: Annotated[int, typer.Option(min=1, help="variants of each picture")] = 2,
    strength: Annotated[
        float, typer.Option(min=0.1, max=1, help="how far a variant may go from its picture")
    ] = 0.4,
    seed: Annotated[int, typer.Option(help="another gives other variants")] = 0,
    any_license: Annotated[
        bool,
        typer.Option("--any-license", help="also pictures whose licence may not permit changes"),
    ] = False,
) -> None:
    """Make machine-made variants of pictures of rare classes, to train on (fit --synthetic).

    A model does not know what it draws: it may invent an attribute that no tradition knows, or
    show a deity in a way that hurts people to whom it is holy. Look at every picture, reject what
    is wrong (python -m data_prep review), and show none as an image of a deity: data_prep publish
    leaves them out. Whether they help is not known: python -m benchmarks.synthetic measures it.
    """
    from training.synthesize import synthesize as make

    with _in_one_sentence():
        done = make(
            data, out, model,
            classes=classes or (), per_picture=per_picture, strength=strength, seed=seed,
            any_license=any_license,
        )  # fmt: skip
    print(f"{done.made} variants made, {done.found} were there already, in {out}")
    if done.withheld:
        print(f"{done.withheld} withheld by the model's own safety filter")


@app.command(
    epilog="Example: python -m training crossvalidate --data pictures --backbone "
    "vit_small_patch32_224 --out runs/cv --folds 5 --patience 3"
)
def crossvalidate(
    data: Data,
    backbone: Backbone,
    out: Annotated[Path, typer.Option(help="folder of the folds; the same command goes on there")],
    folds: Annotated[int, typer.Option(min=2, max=20)] = 5,
    patience: Annotated[
        int | None, typer.Option(min=1, help="stop a fold after as many epochs without a better")
    ] = None,
    monitor: Annotated[
        str, typer.Option(help="figure of an inner validation part, for --patience")
    ] = "negative_log_likelihood",
    heatmaps: Annotated[int, typer.Option(min=0, help="drawn test pictures of each fold")] = 50,
    settings: Settings = None,
    seed: Override = None,
    epochs: Override = None,
    min_images: MinImages = None,
) -> None:
    """Train and test on every fold of the pictures: how good is it, and how sure is that?"""
    from training.crossvalidate import Plan
    from training.crossvalidate import crossvalidate as run_folds
    from training.fold_report import report
    from training.settings import load_settings

    with _in_one_sentence():
        flags = {"seed": seed, "epochs": epochs, "min_images": min_images}
        plan = Plan(folds, patience, monitor, heatmaps)
        run_folds(data, backbone, out, load_settings(settings, flags), plan)
        summary = report(out)
    print(f"mean ± standard deviation over {folds} folds, {summary['pictures']} pictures")
    for name, figure in summary["mean"].items():
        print(f"  {name} {figure['mean']:.3f} ± {figure['sd']:.3f}")
    print(f"curves, classes and intervals: {out / 'report.html'}")


@app.command(
    epilog="Example: python -m training tune --data pictures --backbone vit_small_patch32_224 "
    "--out runs/tune --trials 40 --minutes 600"
)
def tune(
    data: Data,
    backbone: Backbone,
    out: Annotated[Path, typer.Option(help="folder of the study; the same command goes on there")],
    trials: Annotated[int, typer.Option(min=1, help="in all, those of earlier calls included")],
    minutes: Annotated[float, typer.Option(min=0, help="of this call; ends with an epoch")],
    settings: Annotated[
        Path | None, typer.Option(help="TOML file of settings: the first trial, and what stays")
    ] = None,
    epochs: Override = None,
    min_images: MinImages = None,
) -> None:
    """Search for better settings; prints the best as a file for fit --settings."""
    from training.settings import load_settings
    from training.tune import BEST_NAME, REPORT_NAME, write_results
    from training.tune import tune as search

    with _in_one_sentence():
        chosen = load_settings(settings, {"epochs": epochs, "min_images": min_images})
        study = search(data, backbone, out, chosen, trials, minutes)
        print(write_results(study, out), end="")
    print(f"# in {out / BEST_NAME}, for fit --settings; plots in {out / REPORT_NAME}")


@app.command(
    epilog="Example: python -m training evaluate models/mine --data pictures --out evaluated"
)
def evaluate(
    bundle: Bundle,
    data: Data,
    split: Split = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for report.html, evaluation.json, predictions.csv")
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="also the other way about the mirror image")
    ] = False,
) -> None:
    """Judge a bundle on a dataset folder: every figure with its n and interval."""
    from rich.console import Console

    from ideitify.bundle import read_manifest
    from training.evaluate import evaluate as judge
    from training.evaluation_report import terminal_tables, write_evaluation
    from training.predictions import predict_pictures
    from training.sides import choose_side

    with _in_one_sentence():
        manifest = read_manifest(bundle)
        judged = choose_side(data, manifest, split)
        typer.echo(f"{len(judged.pictures)} pictures: {judged.words}", err=True)
        known = predict_pictures(bundle, judged.pictures)
        unknown = predict_pictures(bundle, judged.unknown) if judged.unknown else None
        flip = not manifest.input.flip
        other = predict_pictures(bundle, judged.pictures, flip) if tta else None
        evaluation = judge(
            known,
            unknown,
            bundle=manifest.name,
            data=data.resolve().name,
            pictures=judged.words,
            other=other,
        )
        if out is not None:
            write_evaluation(evaluation, known, out)
    for table in terminal_tables(evaluation):
        Console().print(table)
    if out is not None:
        print(f"report written to {out}")


@app.command(
    epilog="Example: python -m training compare models/default models/mine --data pictures"
)
def compare(
    first: Bundle,
    second: Bundle,
    data: Data,
    split: Split = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write")] = None,
) -> None:
    """Compare two bundles on the same pictures, which neither was trained on."""
    from ideitify.bundle import read_manifest
    from training.compare import compare as paired
    from training.compare import lines
    from training.predictions import predict_pictures
    from training.sides import choose_common_side

    with _in_one_sentence():
        judged = choose_common_side(data, [read_manifest(first), read_manifest(second)], split)
        predictions = [predict_pictures(bundle, judged.pictures) for bundle in (first, second)]
        comparison = paired(*predictions, judged.words)
        print(*lines(comparison), sep="\n")
        if out is not None:
            write_whole(out, comparison.model_dump_json(indent=1) + "\n")


@app.command(
    name="open-set",
    epilog="Example: python -m training open-set models/mine --data pictures",
)
def open_set(
    bundle: Bundle,
    data: Annotated[Path, typer.Option(help="the dataset folder that the bundle was made of")],
    out: Annotated[Path | None, typer.Option(help="Markdown file to write")] = None,
) -> None:
    """Compare scores that tell photos of none of the trained deities."""
    from training.open_set import study, table

    with _in_one_sentence():
        lines = table(study(bundle, data))
        print(*lines, sep="\n")
        if out is not None:
            write_whole(out, "\n".join(lines) + "\n")


@app.command(epilog="Example: python -m training convert model.pkl models/converted")
def convert(
    learner: Annotated[Path, typer.Argument(help="a fastai model.pkl that you trust")],
    out: Annotated[Path, typer.Argument(help="bundle folder to write")],
) -> None:
    """Convert a fastai learner to a bundle. Unpickling runs the file's code: trust it first."""
    from training.convert import convert_learner

    with _in_one_sentence():
        convert_learner(learner, out)


@app.command(
    epilog="Example: python -m training publish models/mine someone/ideitify --data pictures "
    "--tag v1.0"
)
def publish(
    bundle: Bundle,
    repository: Annotated[str, typer.Argument(help="owner/name on the Hugging Face Hub")],
    run: RunOfBundle = None,
    data: Annotated[
        Path | None,
        typer.Option(help="dataset folder; timm's and fastai's forms are compared on its pictures"),
    ] = None,
    backbone: BackboneOfRun = None,
    public: Annotated[
        bool, typer.Option("--public/--private", help="of a new repository; an old one stays")
    ] = False,
    tag: Annotated[str | None, typer.Option(help="name of this release, such as v1.0")] = None,
    dry_run: Annotated[bool, typer.Option(help="show what would go; ask the Hub nothing")] = False,
) -> None:
    """Publish a bundle with timm's and fastai's forms of it, in one commit."""
    from training.publish.hub import publish as send

    with _in_one_sentence():
        publication = send(
            bundle,
            repository,
            run=run or Path("runs") / bundle.resolve().name,
            data=data,
            backbone=backbone,
            public=public,
            tag=tag,
            dry_run=dry_run,
        )
    print(*publication.lines(), sep="\n")


@app.command(
    epilog="Example: python -m training explain models/mine --data pictures --out explained"
)
def explain(
    bundle: Bundle,
    data: Annotated[Path, typer.Option(help="dataset folder whose pictures are explained")],
    out: Annotated[Path, typer.Option(help="folder for the contact sheet and the figures")],
    run: RunOfBundle = None,
    backbone: BackboneOfRun = None,
    pictures: Annotated[int, typer.Option(min=1, help="how many, evenly chosen")] = 60,
) -> None:
    """Compare the bundle's own heat map with Grad-CAM, and both by deletion and insertion."""
    from training.explain import explain as compare
    from training.explain import table

    with _in_one_sentence():
        run = run or Path("runs") / bundle.resolve().name
        figures = compare(bundle, run, data, out, backbone, pictures)
    print(*table(figures), sep="\n")
    print(f"contact sheet and figures written to {out}")


if __name__ == "__main__":
    app(prog_name="python -m training")
