"""Search for better settings, epoch by epoch: hopeless trials are stopped, the rest is remembered.

What is minimised is the negative log-likelihood of the validation pictures after temperature
scaling. It uses every probability of every picture, so it is less noisy than macro F1, which a few
pictures of small classes move by points; and the temperature takes out what label smoothing and
mixing do to the scale of the logits, which no answer depends on.

The best of many trials on the same pictures looks better than it is: measure it on others.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import optuna
from fastai.callback.core import Callback
from optuna.distributions import FloatDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from ideitify.dataset import fingerprint
from training.backbone import find_backbone
from training.data import choose_pictures
from training.network import check_sizes
from training.page import chart, render
from training.record import read_record
from training.run_folder import CHECKPOINT_NAME, SETTINGS_NAME, RunError, changed_facts
from training.settings import FitSettings
from training.split import sides_fingerprint, split_pictures
from training.train import CACHE_FOLDER, console, fit

OBJECTIVE = "negative_log_likelihood"
STUDY_NAME, BEST_NAME, REPORT_NAME = "study.db", "best.toml", "report.html"

# Bounds with their reasons; names are those of `FitSettings`.
SEARCH_SPACE: dict[str, tuple[FloatDistribution, str]] = {
    "learning_rate": (
        FloatDistribution(1e-4, 2e-3, log=True),
        "below, the epochs do not suffice; above, all layers forget what they knew",
    ),
    "body_share": (
        FloatDistribution(0.03, 1.0, log=True),
        "from an almost frozen stem to no difference between the layers",
    ),
    "weight_decay": (
        FloatDistribution(1e-3, 0.3, log=True),
        "from hardly any to the most that AdamW recipes for small data use",
    ),
    "label_smoothing": (
        FloatDistribution(0.0, 0.2),
        "above, the likeliest label tells too little from the others",
    ),
    "mix_probability": (FloatDistribution(0.0, 1.0), "of the batches: none to all"),
    "sampling_power": (FloatDistribution(0.0, 1.0), "classes drawn evenly, to drawn as they are"),
    "source_power": (FloatDistribution(0.3, 1.0), "sources nearly evenly, to drawn as they are"),
    "dropout": (FloatDistribution(0.0, 0.5), "before the only new layer"),
    "drop_path": (FloatDistribution(0.0, 0.3), "above, networks of few blocks lose too many"),
}


class TuneError(ValueError):
    """A search cannot be made, gone on with, or has no end yet; the message says what to do."""


class OutOfTime(Exception):
    """The time is over in the middle of a trial, which the next call goes on with."""


class Judge(Callback):
    """Report every epoch to Optuna; end the trial where it is hopeless or the time is over.

    Optuna's own `FastAIV2PruningCallback` says the same of pruning but knows no time, comes in a
    package of its own, and would end an epoch before its checkpoint.
    """

    order = 120  # after the checkpoint

    def __init__(self, trial: optuna.Trial, deadline: float) -> None:
        self.trial, self.deadline = trial, deadline

    def after_epoch(self) -> None:  # fastai needs words in what is raised here
        column = self.recorder.metric_names[1:].index(OBJECTIVE)
        self.trial.report(float(self.recorder.values[-1][column]), self.epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned("worse than the median of the earlier trials")
        if time.monotonic() > self.deadline and self.epoch + 1 < self.n_epoch:
            raise OutOfTime("the time is over; the same call goes on")


def tune(
    folder: Path,
    backbone: str,
    out: Path,
    settings: FitSettings,
    trials: int,
    minutes: float,
    *,
    cache: Path = CACHE_FOLDER,
) -> optuna.Study:
    """Try settings until `trials` have ended, in this call or in earlier ones, or time is over.

    Everything is in `out`: the study as an SQLite file, one run folder for each trial. The same
    call goes on, also with a trial that was cut off. The first trial is `settings` as they are.

    Args:
        settings: what is not searched for stays as it is here.
        minutes: of this call; it ends with the epoch in which they are over.

    Raises:
        TuneError: there are several backbones or runs, or `out` holds a search on other data,
            settings, backbone or bounds.
        DatasetError, BackboneError: see `training.train.fit`.
    """
    deadline = time.monotonic() + 60 * minutes
    chosen = find_backbone(backbone)
    if chosen.parts or settings.runs > 1:  # nothing could be pruned, nor end with the time
        raise TuneError("a search is of one backbone and one run: name one, with runs = 1")
    check_sizes(chosen, {settings.train_size, settings.valid_size})
    pictures = choose_pictures(folder, settings.min_images)
    split = split_pictures(pictures, settings.valid_share, settings.split_seed)
    study = open_study(out, {
        "fingerprint": fingerprint(pictures),
        "sides": sides_fingerprint(pictures, split.sides),
        "backbone": chosen.name,
        "settings": settings.model_dump(mode="json"),
        "bounds": {name: distribution_to_json(d) for name, (d, _) in SEARCH_SPACE.items()},
    })  # fmt: skip
    _take_up_cut_off(study)
    while len(ended(study)) < trials and time.monotonic() < deadline:
        trial = study.ask({name: bounds for name, (bounds, _) in SEARCH_SPACE.items()})
        run = out / "trials" / trial.user_attrs.get("run", str(trial.number))
        console.rule(f"trial {len(ended(study)) + 1} of {trials}")
        try:
            fit(
                folder, backbone, run, settings.model_copy(update=trial.params), cache=cache,
                resume=(run / SETTINGS_NAME).is_file(), callbacks=[Judge(trial, deadline)],
            )  # fmt: skip
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except RunError as error:  # as PRUNED it counts, and no later call stumbles over it again
            console.print(f"{error}; this trial counts as stopped")
            trial.set_user_attr("reason", str(error))
            study.tell(trial, state=TrialState.PRUNED)
        except OutOfTime:
            break
        else:
            study.tell(trial, read_record(run)["final"][OBJECTIVE])
        (run / CHECKPOINT_NAME).unlink(missing_ok=True)  # many trials would fill the disk
    return study


def open_study(out: Path, facts: dict[str, Any]) -> optuna.Study:
    """The study in `out`, a new one where there is none.

    Raises:
        TuneError: the facts of the study there are others.
    """
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{(out / STUDY_NAME).resolve()}",
        study_name="ideitify",
        load_if_exists=True,
    )
    # while the rate rises an epoch says little; five whole trials make the first median
    study.pruner = optuna.pruners.MedianPruner(
        n_startup_trials=5, n_warmup_steps=facts["settings"]["epochs"] // 4
    )
    known = study.user_attrs.get("facts")
    if known is None:
        study.set_user_attr("facts", facts)
        study.enqueue_trial({name: facts["settings"][name] for name in SEARCH_SPACE})
    elif changed := changed_facts(known, facts):
        raise TuneError(
            f"{out} holds a search with other {' and '.join(changed)}; go on with the same, or "
            "choose another --out"
        )
    # another seed in every call, or a resumed search would draw what it has drawn before
    seed = facts["settings"]["seed"] + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(multivariate=True, seed=seed)
    return study


def _take_up_cut_off(study: optuna.Study) -> None:
    """Queue the trials that a killed or timed-out call left behind, to go on in their folders."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if len(trial.params) == len(SEARCH_SPACE):
            run = trial.user_attrs.get("run", str(trial.number))
            study.enqueue_trial(trial.params, user_attrs={"run": run})


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that were trained to the end, pruned, or could not be trained."""
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def write_results(study: optuna.Study, out: Path) -> str:
    """Write `best.toml`, for `fit --settings`, and a page of Optuna's own plots.

    Returns:
        The text of `best.toml`.

    Raises:
        TuneError: no trial was trained to the end.
    """
    complete = study.get_trials(states=[TrialState.COMPLETE])
    if not complete:
        raise TuneError(
            "no trial was trained to its end; give it more --minutes, or where all failed, "
            "more --trials"
        )
    defaults = FitSettings().model_dump(mode="json")
    settings = {**study.user_attrs["facts"]["settings"], **study.best_params}
    lines = [
        f"# {OBJECTIVE} {study.best_value:.4f}: best of {len(ended(study))} trials, chosen on the",
        "# validation pictures, on which it therefore looks better than it is",
        *(f"{name} = {json.dumps(v)}" for name, v in settings.items() if v != defaults[name]),
    ]
    best = "\n".join(lines) + "\n"
    (out / BEST_NAME).write_text(best, encoding="utf-8")

    plots = {
        "What was found, trial by trial": optuna.visualization.plot_optimization_history(study),
        "Every trial, epoch by epoch": optuna.visualization.plot_intermediate_values(study),
        "Each setting on its own": optuna.visualization.plot_slice(study),
    }
    if len({trial.value for trial in complete}) > 1:
        plots["What matters most"] = optuna.visualization.plot_param_importances(study)
    page = render(
        "tuning.html",
        facts=study.user_attrs["facts"],
        plots={title: chart(plot.update_layout(title=None), 380) for title, plot in plots.items()},
        trials=sorted(ended(study), key=_best_first),
        pruned=TrialState.PRUNED,
        space={name: (d.low, d.high, reason) for name, (d, reason) in SEARCH_SPACE.items()},
        best=best,
    )
    (out / REPORT_NAME).write_text(page, encoding="utf-8")
    return best


def _best_first(trial: FrozenTrial) -> tuple[TrialState, float]:
    """By value those trained to the end, then the others; one that failed may have none."""
    return trial.state, math.inf if trial.value is None else trial.value
