"""Why nothing was fetched: one exception, its reasons as data."""

from __future__ import annotations

from typing import Literal

Retry = Literal["now", "later", "never"]

# reason -> (when to try again, sentence)
_REFUSALS: dict[str, tuple[Retry, str]] = {
    "bad_url": ("never", "{host} is not an http or https address: correct the URL."),
    "private_address": (
        "never",
        "{host} is not on the public internet: pass --allow-private if you mean it.",
    ),
    "robots": ("never", "{host} does not want it collected: {detail}."),
    "opted_out": ("never", "{host} opts out of training: {detail}."),
    "too_large": ("never", "{host} sends more than {detail}."),
    "not_a_picture": ("never", "{host} sends no picture, but {detail}."),
    "too_many_redirects": ("never", "{host} leads on more than {detail} times."),
    "http_status": ("never", "{host} answers with status {detail}."),
    "rate_limited": ("now", "{host} asks to be left alone {detail}."),
    "truncated": ("now", "{host} broke off in the middle: {detail}."),
    "timeout": ("now", "{host} takes longer than {detail}."),
    "no_network": ("now", "{host} cannot be reached ({detail}): check the network."),
    "bad_response": ("now", "{host} answers what cannot be understood: {detail}."),
}


class Refused(Exception):
    """Nothing was fetched; the message is one sentence that names the host and what is wrong.

    Attributes:
        reason: short stable code, a key of `_REFUSALS` such as "robots" or "timeout".
        host: that refused, or was refused.
        status: the HTTP status, where that is the reason.
        retry: "now" while the same run may try again, "later" for another run, or "never".
    """

    def __init__(
        self,
        reason: str,
        host: str,
        detail: str = "",
        *,
        status: int | None = None,
        retry: Retry | None = None,
    ) -> None:
        default, sentence = _REFUSALS[reason]
        super().__init__(sentence.format(host=host, detail=detail))
        self.reason = reason
        self.host = host
        self.detail = detail
        self.status = status
        self.retry: Retry = retry or default

    @property
    def retry_later(self) -> bool:
        """Whether another run may have more luck."""
        return self.retry != "never"

    def copy(self) -> Refused:
        """The same refusal to raise once more; an exception keeps the places it was raised at."""
        return Refused(self.reason, self.host, self.detail, status=self.status, retry=self.retry)

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error cross process borders, where exceptions are pickled."""
        return type(self), (self.reason, self.host, self.detail), self.__dict__
