"""Writing to the Hugging Face Hub: what its client raises, in our words, for every publisher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SIGN_IN = (
    "Make a token that may write at https://huggingface.co/settings/tokens, and run "
    "`hf auth login` or set HF_TOKEN"
)


def check_repository(name: str, publish_error: type[ValueError]) -> None:
    """Refuse what is no repository's name, before anything is made or sent.

    Args:
        publish_error: what to raise, with a sentence that says what to give.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
        well_formed = "/" in name
    except HFValidationError:
        well_formed = False
    if not well_formed:
        raise publish_error(f"{name!r} is not a repository's name: give owner/name")


@contextmanager
def hub_speaks(name: str, publish_error: type[ValueError]) -> Iterator[None]:
    """Turn what the client raises into one sentence.

    Args:
        name: owner/name of the repository.
        publish_error: what to raise instead; raised inside, it passes as it is.
    """
    try:
        yield
    except publish_error:
        raise
    except Exception as error:  # its releases raise errors of three HTTP libraries, some wrapped
        raise publish_error(_refusal(error, name)) from error


def _refusal(error: Exception, name: str) -> str:
    status = _status(error)
    if status == 401:
        return f"the Hub does not accept the token; it may have expired. {SIGN_IN}"
    if status in {403, 404}:
        return f"the Hub does not allow your token to write to {name}: check the owner's name"
    first_line = str(error).strip().partition("\n")[0]
    answered = f"answered with status {status}" if status else "cannot be reached"
    return (
        f"the Hub {answered} ({type(error).__name__}: {first_line}): run this again later; what "
        "was uploaded already is kept"
    )


def _status(error: BaseException | None) -> int | None:
    """The status of the first answer in a chain of causes, None if there was no answer."""
    while error is not None:
        if (response := getattr(error, "response", None)) is not None:
            return int(response.status_code)
        error = error.__cause__
    return None
