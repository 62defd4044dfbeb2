"""What is no repository's name is refused before anything is made."""

from __future__ import annotations

import pytest

from ideitify.hub_upload import check_repository


@pytest.mark.parametrize("name", ["", "tiny", "a/b/c", "some one/tiny", "someone/..", "/", "a/"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a repository's name: give owner/name"):
        check_repository(name, ValueError)


def test_owner_and_name_are_taken() -> None:
    check_repository("someone/tiny-model_2.0", ValueError)
