"""The app's pages: `main.py` frames `snap.py`, `explore.py` and `about.py`."""
