"""Learning from a finished run as well: from its answer to the very crop that is being learned.

What a teacher finds similar says more than a label does (Hinton et al., "Distilling the Knowledge
in a Neural Network", 2015), most of all where teacher and pupil see the same crop, mixed in the
same way (Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR
2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import nn

from training.backbone import Backbone
from training.folding import fold_norms
from training.network import Network, renormalisation
from training.run_folder import changed_facts

SAME_SPLIT = ("fingerprint", "sides")  # the labels and their order, and which pictures validate


class TeacherError(ValueError):
    """This run cannot teach that one; the message says why."""


@dataclass(frozen=True)
class Teacher:
    """A trained network whose answers are learned.

    Attributes:
        facts: `settings.json` of its run.
        checkpoint: SHA-256 of its weights' file.
    """

    network: Network
    backbone: Backbone
    facts: dict[str, Any]
    checkpoint: str

    @property
    def source(self) -> dict[str, str]:
        """What names it in the facts of a run that learns from it."""
        return {"backbone": self.backbone.name, "checkpoint": self.checkpoint}

    @property
    def credit(self) -> dict[str, str]:
        """What the card of a network that learned from it says of it."""
        return {"name": self.backbone.name, "license": self.backbone.license}

    def check(self, facts: dict[str, Any]) -> None:
        """Refuse to teach a run with these facts if its validation pictures could be known.

        Raises:
            TeacherError: other pictures, another split or other labels.
        """
        known, wanted = ({name: run[name] for name in SAME_SPLIT} for run in (self.facts, facts))
        if differing := changed_facts(known, wanted):
            raise TeacherError(
                f"the teacher was trained with other {' and '.join(differing)}: it may have "
                "learned the pictures that validate here; train it on the same split"
            )


class LearnFromTeacher(Callback):
    """Put the teacher's answer into the targets: `share` of it, the rest is what they were."""

    order = 10  # after mixing, and within autocast

    def __init__(self, teacher: Teacher, backbone: Backbone, share: float) -> None:
        self.teacher, self.share = teacher.network, share
        self.scale, self.shift = renormalisation(backbone, teacher.backbone)

    def before_fit(self) -> None:
        fold_norms(self.teacher)
        self.teacher.eval().requires_grad_(False)
        self.teacher.to(device=self.dls.device, memory_format=torch.channels_last)
        self.scale, self.shift = (each.to(self.dls.device) for each in (self.scale, self.shift))

    def before_batch(self) -> None:
        if not self.training:
            return
        photos, targets = torch.as_tensor(self.x), torch.as_tensor(self.y)
        with torch.no_grad():
            answers = self.teacher(photos * self.scale + self.shift).float().softmax(1)
        if targets.ndim == 1:
            targets = nn.functional.one_hot(targets, answers.shape[1])
        self.learn.yb = (self.share * answers + (1 - self.share) * targets,)
