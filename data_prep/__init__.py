"""From a heap of pictures to a dataset folder one can trust and publish; nothing is deleted."""
