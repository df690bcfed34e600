"""shoal.commands.registry: a function for every row that runs in Python, and none without a row."""

from __future__ import annotations

import importlib

import pytest

from shoal.commands import command, registry, table


@pytest.fixture(scope="module")
def functions() -> set[str]:
    for name in registry.MODULES:
        importlib.import_module(f"shoal.commands.{name}")
    return set(registry._functions) | set(command.FUNCTIONS) | set(command.help_functions())


PYTHON_ROWS = {name for name, row in table.rows().items() if row.flag_bits & table.PYTHON}


def test_every_python_row_has_a_function(functions: set[str]) -> None:
    assert sorted(PYTHON_ROWS - functions) == []


def test_every_function_has_a_row_that_calls_it(functions: set[str]) -> None:
    assert sorted(functions - PYTHON_ROWS - {"debug"}) == []  # DEBUG's C handler asks Python for what is no key's business
