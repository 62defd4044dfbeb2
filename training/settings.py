"""Every choice of a training run, with its reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Seed = Annotated[int, Field(ge=0, lt=2**31)]  # what all the libraries take
Side = Annotated[int, Field(ge=32, le=2048)]  # halved five times; the bundle's limit


class SettingsError(ValueError):
    """A settings file or flag cannot be used; the message names it."""


class FitSettings(BaseModel):
    """Settings of `training fit`; `docs/experiments.md` has the runs behind the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: Seed = Field(0, description="of the order, the augmentation and the dropout")
    split_seed: Seed = Field(0, description="of the split, apart, so that seeds share a split")
    runs: int = Field(
        1,
        ge=1,
        description="of each backbone, with this seed and the next ones; the mean of their weights "
        "answers better than any of them and as fast (Wortsman et al., ICML 2022)",
    )
    min_images: int = Field(9, ge=2, description="smaller categories are left out")
    valid_share: float = Field(0.2, gt=0, lt=0.5, description="of every class, held out by source")

    epochs: int = Field(24, ge=1, description="after the head has been fitted on its own")
    train_size: Side = Field(
        256, description="side in pixels of the crops trained on; smaller ones cost accuracy at 256"
    )
    valid_size: Side = Field(
        256,
        description="side at which photos are recognised; 288 took a quarter longer for nothing",
    )
    resize: Literal["squish", "pad"] = Field(
        "squish", description="squish keeps attributes at the edges in view"
    )

    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(5e-4, gt=0, description="of the head at the cycle's top")
    body_share: float = Field(
        0.3, gt=0, le=1, description="of the learning rate, for the deepest layers"
    )
    thaw_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="of the epochs, the last ones, in which the deepest layers are trained too: "
        "edges and colours need little change, and leaving them saves a third of the time",
    )
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    mix_probability: float = Field(
        0.8, ge=0, le=1, description="share of batches with MixUp or CutMix"
    )
    mix_alpha: float = Field(0.4, gt=0, description="of MixUp's Beta distribution")
    sampling_power: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a class is drawn in proportion to size**power: 1 as it is, 0 balanced",
    )
    source_power: float = Field(
        0.7, ge=0, le=1, description="the same for the sources within a class, so that none rules"
    )
    teacher_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="of the teacher's answer in what is learned, the rest is the label; for fit "
        "with a teacher",
    )
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="moving average of the weights, which ships"
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    drop_path: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="stochastic depth: residual branches left out, deepest "
        "least; of no effect where the backbone has none, as VGG and DenseNet",
    )
    flip: bool = Field(
        False, description="average with the mirror image: doubles the time, gained nothing here"
    )
    prototypes: bool = Field(
        True,
        description="categories below min_images join as the mean of their embeddings, where that "
        "costs the trained labels next to nothing",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto",
        description="of the layers while training: bf16 where the device has instructions for it; "
        "a processor without them takes twice as long for it",
    )

    def each_run(self) -> list[FitSettings]:
        """Settings of every one of `runs`, on its own."""
        seeds = range(self.seed, self.seed + self.runs)
        return [self.model_copy(update={"seed": seed, "runs": 1}) for seed in seeds]


def load_settings(path: Path | None, flags: dict[str, object]) -> FitSettings:
    """Settings from a TOML file, overridden by flags that were given (not None).

    Raises:
        SettingsError: no such file, not TOML, an unknown name, or a value out of range.
    """
    values: dict[str, object] = {}
    try:
        if path is not None:
            values |= tomllib.loads(path.read_text(encoding="utf-8"))
        values |= {name: value for name, value in flags.items() if value is not None}
        return FitSettings.model_validate(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML settings: {error}") from error
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, f['loc']))}: {f['msg'].lower()}" for f in error.errors())
        raise SettingsError(f"settings: {'; '.join(faults)}") from error
