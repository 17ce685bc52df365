"""Rows made of what a driver returned, their values converted as SQLAlchemy would."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine


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
