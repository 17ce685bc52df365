"""Lists in pages: ``first`` and ``after``, with cursors that stay right when rows are added."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import strawberry

from graph.errors import BadRequest

MAX_PAGE = 100
_LARGEST_NUMBER = 2**31 - 1  # PostgreSQL compares no larger one with a ticket's

Node = TypeVar("Node")

First = Annotated[int, strawberry.argument(description=f"How many at most, 0 to {MAX_PAGE}.")]
After = Annotated[str | None, strawberry.argument(description="Continue behind this cursor, an endCursor of before.")]


@strawberry.type(description="Where a page ends and whether another follows.")
class PageInfo:
    """The same for every connection."""

    has_next_page: bool = strawberry.field(description="Whether there is more behind endCursor.")
    end_cursor: str | None = strawberry.field(description="Give this as `after` to get the next page; null for an empty page.")


@strawberry.type(description="One entry of a page with the cursor that stands behind it.")
class Edge(Generic[Node]):
    """A node and its place."""

    node: Node = strawberry.field(description="The entry itself.")
    cursor: str = strawberry.field(description="Give this as `after` to continue behind this entry; opaque.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    """A page, as plain nodes for those who only show it and as edges for those who need cursors."""

    keys: strawberry.Private[Sequence[object]]
    nodes: list[Node] = strawberry.field(description="The entries of this page.")

    @strawberry.field(description="The entries of this page with their cursors.")
    def edges(self) -> list[Edge[Node]]:
        """Made only where they are selected: most ask for the nodes alone."""
        return [Edge(node=node, cursor=_cursor(key)) for node, key in zip(self.nodes, self.keys, strict=False)]

    page_info: PageInfo = strawberry.field(description="Where this page ends and whether another follows.")

    @classmethod
    def of(cls, nodes: Sequence[Node], keys: Sequence[object], first: int) -> Connection[Node]:
        """The page of ``first`` nodes out of up to one more; ``keys`` are what the list is sorted by."""
        return cls.page(list(nodes[:first]), keys[:first], more=len(nodes) > first)

    @classmethod
    def page(cls, nodes: list[Node], keys: Sequence[object], *, more: bool) -> Connection[Node]:
        """All of one page, and whether there are ``more``."""
        end_cursor = _cursor(keys[-1]) if keys else None
        return cls(keys=keys, nodes=nodes, page_info=PageInfo(has_next_page=more, end_cursor=end_cursor))


def check_first(first: int, *, argument: str = "first") -> int:
    """Refuse a page size out of bounds."""
    if not 0 <= first <= MAX_PAGE:
        message = f"`{argument}` must be between 0 and {MAX_PAGE}."
        raise BadRequest(message)
    return first


def number_after(cursor: str | None) -> int | None:
    """The number that a cursor stands for."""
    if cursor is None:
        return None
    key = _key(cursor)
    if not re.fullmatch(r"[0-9]{1,10}", key) or int(key) > _LARGEST_NUMBER:
        raise _bad_cursor()
    return int(key)


def id_after(cursor: str | None) -> UUID | None:
    """The id that a cursor stands for."""
    try:
        return None if cursor is None else UUID(_key(cursor))
    except ValueError:
        raise _bad_cursor() from None


def _cursor(key: object) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _key(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        raise _bad_cursor() from None


def _bad_cursor() -> BadRequest:
    return BadRequest("`after` is not a cursor of this list.")
