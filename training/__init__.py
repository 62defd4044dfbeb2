"""From a dataset folder to a model bundle; `python -m training --help`."""
