"""What analysis hands from one function to the next cannot be changed on the way."""

import dataclasses
import pkgutil
from importlib import import_module

import pytest

import analysis

MODULES = [found.name for found in pkgutil.walk_packages(analysis.__path__, "analysis.")]


@pytest.mark.parametrize("name", MODULES)
def test_records_are_frozen(name: str) -> None:
    for record in vars(import_module(name)).values():
        if isinstance(record, type) and dataclasses.is_dataclass(record) and record.__module__ == name:
            assert record.__dataclass_params__.frozen, record  # pyrefly: ignore[missing-attribute]
