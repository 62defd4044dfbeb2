"""`python -m training`: fine-tune a model and write its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def main() -> None:
    """Train deity recognisers on a dataset folder."""


@app.command(
    epilog="Example: python -m training fit --data pictures --backbone vit_small_patch32_224 "
    "--out models/mine"
)
def fit(
    data: Annotated[Path, typer.Option(help="dataset folder with metadata.csv")],
    backbone: Annotated[str, typer.Option(help="weights file with its JSON, or a timm name")],
    out: Annotated[Path, typer.Option(help="bundle folder to write")],
    run: Annotated[
        Path | None, typer.Option(help="checkpoints; default runs/<name of out>")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings")] = None,
    resume: Annotated[bool, typer.Option(help="go on from the last finished epoch")] = False,
    seed: Annotated[int | None, typer.Option(help="overrides the settings file")] = None,
    epochs: Annotated[int | None, typer.Option(help="overrides the settings file")] = None,
    min_images: Annotated[int | None, typer.Option(help="smaller categories are left out")] = None,
) -> None:
    """Fine-tune, validate by source, calibrate and export a bundle."""
    from training.export import export_bundle
    from training.settings import load_settings
    from training.train import console
    from training.train import fit as train

    try:
        flags = {"seed": seed, "epochs": epochs, "min_images": min_images}
        chosen = load_settings(settings, flags)
        console.print_json(chosen.model_dump_json())
        fitted = train(data, backbone, run or Path("runs") / out.name, chosen, resume=resume)
        manifest = export_bundle(fitted, out, name=f"ideitify-{out.name}")
    except ValueError as error:  # the project's own errors: what is wrong and what to do
        raise typer.BadParameter(str(error)) from error
    for pictures, figures in manifest.metrics.items():
        console.print(f"[bold]{pictures}[/bold] (n = {figures['accuracy'].pictures})")
        for name, estimate in figures.items():
            console.print(
                f"  {name} {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
            )
    console.print(f"bundle written to {out}")


@app.command(epilog="Example: python -m training convert model.pkl models/converted")
def convert(
    learner: Annotated[Path, typer.Argument(help="a fastai model.pkl that you trust")],
    out: Annotated[Path, typer.Argument(help="bundle folder to write")],
) -> None:
    """Convert a fastai learner to a bundle. Unpickling runs the file's code: trust it first."""
    from training.convert import convert_learner

    try:
        convert_learner(learner, out)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    app(prog_name="python -m training")
