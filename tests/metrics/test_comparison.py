"""The table: columns aligned by name, the best of a row, and what differs between columns."""

from __future__ import annotations

from evaluation_example import THEIRS, example_result, measured, ours, without_code

from bicyclegan.metrics.comparison import Row, comparison, dim_table


def rows(first: list, second: list | None = None, **fields: object) -> dict[str, Row]:
    """Rows by name, of a model with some measurements and, if given, another one."""
    others = [] if second is None else [without_code(measurements=second, **fields)]
    result = example_result(checkpoint=ours(measurements=first), compared=others)
    return {row.name: row for _, found in comparison(result) for row in found}


def test_columns_are_aligned_by_name() -> None:
    found = rows(
        [measured("fid768", "fid", 41.0, better="lower"), measured("kl", "latent", 9.0)],
        [measured("edge_f1", "faithfulness", 0.7), measured("fid768", "fid", 58.0, better="lower")],
    )
    values = {name: [cell and cell.value for cell in row.cells] for name, row in found.items()}
    assert values == {"fid768": ["41", "58"], "kl": ["9", None], "edge_f1": [None, "0.700"]}


def test_another_network_is_another_row() -> None:
    found = rows([measured("fid768", "fid", 41.0, better="lower")], [measured("fid", "fid", 20.0, better="lower")])
    assert list(found) == ["fid768", "fid"]
    assert not any(cell.best for row in found.values() for cell in row.cells if cell)


def best(better: str, *values: float, **fields: object) -> list[bool]:
    first, second = (measured("any", "any", value, better=better) for value in values)
    return [cell.best for cell in rows([first], [second], **fields)["any"].cells]


def test_the_best_of_a_row_is_marked() -> None:
    assert best("lower", 1.0, 2.0) == [True, False]
    assert best("higher", 1.0, 2.0) == [False, True]


def test_nothing_is_best_where_there_is_no_telling() -> None:
    assert best("", 1.0, 2.0) == [False, False]
    assert best("lower", 1.0, 1.0) == [False, False]
    assert best("lower", 1.0, float("nan")) == [False, False]
    assert best("lower", 1.0, 2.0, image_size=256) == [False, False]
    assert not rows([measured("fid", "fid", 1.0, better="lower")])["fid"].cells[0].best


def test_a_cell_tells_how_it_differs_from_the_first() -> None:
    mine = measured("any", "any", 1.0, references={"real_pairs": 0.4, "same_code": 0.3})
    other = measured("any", "any", 2.0, THEIRS, count=20, protocol="Otherwise.")
    other = other.__class__(**{**vars(other), "references": {"real_pairs": 0.4, "same_code": 0.1}})
    row = rows([mine], [other])["any"]
    assert row.cells[0].notes == []
    assert row.cells[1].notes == ["measured in another way", "n = 20", "one code, different sketches 0.100"]
    assert row.protocols == [("edges2shoes", "any on 500 validation pictures."), ("pix2pix", "Otherwise.")]


def test_one_protocol_is_told_once() -> None:
    row = rows([measured("any", "any", 1.0)], [measured("any", "any", 2.0)])["any"]
    assert row.protocols == [("", "any on 500 validation pictures.")]
    assert (row.count, row.arrow) == ("500", "")


def test_rows_stand_under_headings_in_the_order_of_measurement() -> None:
    headings = [heading for heading, _ in comparison(example_result())]
    assert headings == ["Diversity", "Realism", "Reconstruction", "Latent code", "Faithfulness"]
    [(heading, _)] = comparison(
        example_result(checkpoint=ours(measurements=[measured("a", "new_group", 1.0)]), compared=[])
    )
    assert heading == "New group"


def test_dims_stand_side_by_side() -> None:
    table = dim_table(ours(measurements=[measured("kl", "latent", 3.0, per_dim=[2.0, 1.0]), measured("a", "b", 1.0)]))
    assert table.labels == ["KL to the prior"]
    assert table.rows == [["1", "2"], ["2", "1"]]
    assert dim_table(without_code()) is None
