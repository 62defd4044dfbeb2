from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


@pytest.mark.parametrize("slug", ["", None])
def test_without_a_deity_it_asks_for_a_photo(app: AppTest, slug: str | None) -> None:
    if slug is not None:
        app.query_params["deity"] = slug
    app.run()
    assert not app.exception
    assert app.title[0].value == "Who is this?"
