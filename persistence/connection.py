"""What a store asks of its transaction, whichever driver is below: the small part of SQLAlchemy's connection that is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Executable


class Rows(Protocol):
    """What a statement brought; its rows have an attribute for each column."""

    def __iter__(self) -> Iterator[Any]: ...

    def all(self) -> Sequence[Any]:
        """Every row."""

    def first(self) -> Any:  # noqa: ANN401 - a row is what its statement asked for
        """The first row, None where there is none."""

    def one(self) -> Any:  # noqa: ANN401
        """The only row; raises NoResultFound or MultipleResultsFound."""

    def scalar(self) -> Any:  # noqa: ANN401
        """The first column of the first row, None where there is none."""

    def scalar_one(self) -> Any:  # noqa: ANN401
        """The first column of the only row."""

    def scalars(self) -> Iterable[Any]:
        """The first column of every row."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""


class Connection(Protocol):
    """One transaction."""

    @property
    def dialect(self) -> Dialect:
        """How this kind of database speaks."""

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None, /) -> Rows:
        """Run one statement of SQLAlchemy Core; raises DBAPIError."""
