"""What changed between two versions, in words."""

from data_prep.publish.notes import version_notes


def row(content: str, category: str = "ganesha", **more: str) -> dict[str, str]:
    return {"file_name": f"images/{category}/{content}.jpg", "sha256": content,
            "category": category, **more}  # fmt: skip


def test_the_first_version_says_what_is_in_it() -> None:
    rows = [row("a"), row("b", "shiva")]
    assert version_notes(None, rows) == "First version: 2 pictures in 2 categories."


def test_nothing_is_said_where_nothing_changed() -> None:
    assert version_notes([row("a"), row("b")], [row("b"), row("a")]) == ""


def test_added_and_removed_pictures_are_counted_by_category() -> None:
    before = [row("a"), row("b", "shiva")]
    after = [row("a"), row("c"), row("d"), row("e", "durga")]
    assert version_notes(before, after) == (
        "3 pictures added (ganesha 2, durga 1); 1 picture removed (shiva 1). "
        "Now 4 pictures in 2 categories."
    )


def test_a_relabelled_picture_is_neither_added_nor_removed() -> None:
    assert version_notes([row("a")], [row("a", "shiva")]) == (
        "1 picture relabelled. Now 1 picture in 1 category."
    )


def test_a_corrected_credit_is_a_change() -> None:
    notes = version_notes([row("a", creator="?")], [row("a", creator="A. Maker")])
    assert notes == "details of 1 picture corrected. Now 1 picture in 1 category."


def test_an_empty_column_more_is_no_change() -> None:
    assert version_notes([row("a")], [row("a", group="")]) == ""


def test_a_long_list_of_categories_is_cut() -> None:
    after = [row(str(n), f"category-{n:02}") for n in range(20)]
    notes = version_notes([], after)
    assert "category-07 1 and 12 more categories)" in notes
    assert len(notes) < 300


def test_a_version_made_by_something_else_counts_as_empty() -> None:
    assert version_notes([], [row("a")]).startswith("1 picture added (ganesha 1).")
