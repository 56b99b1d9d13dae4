"""The table of rows names nothing that is not there."""

import ast
from pathlib import Path

import pytest

from tests.security import attacks  # noqa: F401
from tests.security.rows import MOUNTS, NETWORKS, Row
from tests.security.suite import REGISTER

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("row", (*NETWORKS, *MOUNTS), ids=lambda row: row.names)
def test_each_row_has_its_case(row: Row) -> None:
    assert row.cases
    for case in row.cases:
        file, _, name = case.rpartition("::")
        if not file:
            (found,) = (one for one in REGISTER if one.name == name)
            assert set(found.names.split()) & set(row.names.split())
            continue
        tree = ast.parse((CHECKOUT / file).read_text())
        assert name.startswith("test_") and name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
