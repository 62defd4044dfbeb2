"""The one recogniser of a process that serves: loaded once, and kept up with its branch.

A bundle on the Hub that is named by a branch or a tag may change there. A thread looks now and
then; a newer bundle is fetched and checked while the old one goes on answering, and takes its place
only if everything about it fits.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import cache

from ideitify.bundle import BundleError
from ideitify.hub import bundle_folder, may_change
from ideitify.recognizer import Recognizer
from ideitify.settings import Settings, settings

logger = logging.getLogger(__name__)


class Keeper:
    """A recogniser for many threads that follows its source.

    Attributes:
        refusal: why the newest bundle is not used, None where it is.
    """

    def __init__(self, limits: Settings) -> None:
        self.refusal: str | None = None
        self._limits = limits
        self._recognizer: Recognizer | None = None
        self._loading = threading.Lock()

    def recognizer(self) -> Recognizer:
        """The recogniser of the newest bundle that can be used; loaded at the first call.

        Raises:
            BundleError: there is none; it is tried again at the next call.
        """
        with self._loading:
            if self._recognizer is None:
                self._recognizer = Recognizer.load(limits=self._limits)
                if self._limits.refresh_minutes and may_change(self._limits.bundle):
                    threading.Thread(target=self._follow, name="refresh", daemon=True).start()
            return self._recognizer

    def refresh(self) -> None:
        """Look for a newer bundle once, and answer with it from now on if it can be used."""
        used = self.recognizer()
        try:
            folder = bundle_folder(self._limits.bundle)
            if folder != used.folder:
                self._recognizer = Recognizer(folder, self._limits)
                logger.warning("now answering with %s", folder)
            self.refusal = None
        except BundleError as error:
            if str(error) != self.refusal:
                logger.warning("a newer bundle is refused, the old one goes on: %s", error)
            self.refusal = str(error)

    def _follow(self) -> None:
        while True:
            time.sleep(60 * self._limits.refresh_minutes)
            try:
                self.refresh()
            except Exception:  # whatever is wrong there, the old bundle goes on and so does this
                logger.exception("looking for a newer bundle failed")


_first_call = threading.Lock()  # `cache` alone lets each of several first callers make its own


@cache
def _only_keeper() -> Keeper:
    return Keeper(settings())


def _keeper() -> Keeper:
    with _first_call:
        return _only_keeper()


def default_recognizer() -> Recognizer:
    """The process's recogniser, of the bundle in the settings; see `Keeper.recognizer`.

    Raises:
        BundleError: nothing usable there; the message says why.
    """
    return _keeper().recognizer()


def refused_update() -> str | None:
    """Why the newest bundle of the settings' source is not used; None where it is."""
    return _keeper().refusal
