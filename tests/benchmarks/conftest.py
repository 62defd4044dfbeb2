"""What there is to train on, as in the tests of `training`."""

from tests.training.conftest import drawn_dataset, tiny_backbone  # noqa: F401
