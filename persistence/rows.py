"""Rows as a driver returned them, and rows made of those, their values converted as SQLAlchemy would."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from sqlalchemy import type_coerce
from sqlalchemy.types import NullType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import ColumnElement, Dialect, Label
    from sqlalchemy.types import TypeEngine


def as_returned(column: ColumnElement[Any], name: str) -> Label[Any]:
    """The column without any conversion: what it holds is compared, and only made into something where it is new."""
    return type_coerce(column, NullType()).label(name)


def row_maker(columns: Iterable[tuple[str, TypeEngine[Any]]], dialect: Dialect) -> Callable[[Sequence[Any]], Any]:
    """What makes rows of these columns, named and typed, of the driver's values."""
    names, types = zip(*columns, strict=True)
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - its columns are known only now
    make: Callable[[Sequence[Any]], Any] = row._make
    converts = [type_._cached_result_processor(dialect, None) for type_ in types]  # noqa: SLF001 - what SQLAlchemy converts by
    if not any(converts):
        return make
    return lambda values: make(
        [value if convert is None else convert(value) for convert, value in zip(converts, values, strict=True)]
    )
