"""A schema with every shape that a field can have, and objects for it that are odd on demand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from random import Random
from typing import Annotated, Any, NewType
from uuid import UUID

import strawberry
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

from compiled.held import held_in
from compiled.kept import Kept
from compiled.lookahead import selects

Weight = NewType("Weight", float)
WEIGHT = strawberry.scalar(name="Weight", serialize=lambda value: f"{value:.1f} kg", parse_value=float)


@strawberry.enum
class Colour(Enum):
    RED = "r"
    GREEN = "g"
    BLUE = strawberry.enum_value("b", name="AZURE")


@strawberry.enum
class Level(IntEnum):
    LOW = 1
    HIGH = 2


@strawberry.input
class Filter:
    text: str = "any"
    limit: int | None = strawberry.UNSET
    colours: list[Colour] | None = None
    inner: Filter | None = None


@strawberry.input
class Choice:
    must: str
    ids: list[strawberry.ID] = strawberry.field(default_factory=list)
    weight: strawberry.Maybe[int] = None


@dataclass
class Context:
    """Who asks; stamps live longer than one operation."""

    stamps: dict[int, Stamp] = field(default_factory=dict)

    def stamp(self, number: int) -> Stamp:
        if number not in self.stamps:
            chance = Random(number)
            inner = [Mark(text=f"mark {n}", colour=chance.choice(list(Colour))) for n in range(number % 3)]
            held = [None, inner, ODDITIES[number % len(ODDITIES)]][number % 3]
            self.stamps[number] = Stamp(
                number=number, at=_moment(chance), marks=inner, first=inner[0] if inner else None, held=held
            )
        return self.stamps[number]


Info = strawberry.Info[Context, Any]


@strawberry.type
class Mark:
    text: str
    colour: Colour

    @strawberry.field
    def said(self, *, loud: bool = False) -> str:
        return self.text.upper() if loud else self.text


@strawberry.type
class Stamp(Kept):
    number: int
    at: datetime
    marks: list[Mark]
    first: Mark | None
    held: strawberry.Private[Any]

    @strawberry.field
    def shown(self, colour: Colour = Colour.RED, times: int = 1) -> str:
        return f"{self.number} in {colour.name}" * times

    @strawberry.field
    def told(self, info: Info) -> str:
        return info.field_name

    @strawberry.field
    @held_in("held")
    def found(self, info: Info) -> list[Mark | None] | None:
        marks: list[Mark | None] = [None, *info.context.stamp(self.number + 1).marks]

        async def later() -> list[Mark | None]:
            return marks

        if self.held is None:
            return marks if self.number % 2 else later()  # type: ignore[return-value]
        return self.held  # type: ignore[no-any-return]


@strawberry.type
class Leaves:
    text: str
    word: str | None
    number: int
    count: int | None
    ratio: float
    flag: bool
    maybe: bool | None
    id: strawberry.ID
    key: strawberry.ID | None
    colour: Colour
    shade: Colour | None
    level: Level
    moment: datetime
    later: datetime | None
    day: date
    price: Decimal
    uid: UUID
    weight: Weight
    light: Weight | None
    tags: list[str]
    notes: list[str | None] | None
    colours: list[Colour]
    grid: list[list[int]]
    gaps: list[list[int | None] | None]


@strawberry.type
class Node:
    seed: strawberry.Private[int]
    depth: strawberry.Private[int]
    odd: strawberry.Private[bool]
    leaves: Leaves
    spare: Leaves | None
    class_: str = strawberry.field(name="class")

    @strawberry.field
    def greet(self, name: str = "you", *, loud: bool = False, colour: Colour | None = None, level: Level = Level.LOW) -> str:
        return f"{'HI' if loud else 'hi'} {name} {colour!r} {level!r}"

    @strawberry.field
    def sum(self, numbers: list[int]) -> int:
        numbers.append(1)  # a list is the resolver's own
        return sum(numbers)

    @strawberry.field
    def filtered(self, wanted: Annotated[Filter | None, strawberry.argument(name="filter")] = strawberry.UNSET) -> str:
        return repr(wanted)

    @strawberry.field
    def chosen(self, choice: Choice | None = None, day: date | None = None) -> str | None:
        return None if choice is None and day is None else f"{choice!r} {day!r}"

    @strawberry.field
    def where(self, info: Info, limit: int | None = None) -> str:
        raw = info._raw_info  # noqa: SLF001 - all that a resolver might look at
        return repr((limit, info.path.as_list(), info.python_name, str(raw.parent_type), str(info.return_type))) + repr(
            (sorted(info.variable_values.items()), [one.name for one in info.selected_fields], len(raw.field_nodes))  # type: ignore[union-attr]
        )

    @strawberry.field
    def child(self) -> Node | None:
        return make_node(self.seed + 1, self.depth - 1, odd=self.odd) if self.depth > 0 else None

    @strawberry.field
    def children(self, count: int = 2) -> list[Node]:
        return [make_node(self.seed + 10 * n, self.depth - 1, odd=self.odd) for n in range(min(count, 3)) if self.depth > 0]

    @strawberry.field
    def rows(self, info: Info) -> list[list[Node | None]]:
        looks_ahead = selects(info, "leaves")
        row = [make_node(self.seed + n, self.depth - 1, odd=self.odd) for n in range(2)] if self.depth > 0 else []
        return [[*row, None], [], [None]] if looks_ahead else [[]]

    @strawberry.field
    def stamp(self, info: Info) -> Stamp:
        return info.context.stamp(self.seed % 7)

    @strawberry.field
    def stamps(self, info: Info) -> list[Stamp | None]:
        return [None, *map(info.context.stamp, range(self.seed % 4))]

    @strawberry.field
    async def awaited(self, info: Info, times: int = 2) -> int | None:
        return self.seed * times if info.path.key != "never" else None

    @strawberry.field
    async def loaded(self, info: Info) -> list[Node]:
        assert info.context is not None
        return [make_node(self.seed + 3, self.depth - 1, odd=self.odd)] if self.depth > 0 else []

    @strawberry.field
    def perhaps_awaited(self, info: Info, times: int = 1) -> Node | None:
        assert info.context is not None
        node = make_node(self.seed + times, self.depth - 1, odd=self.odd) if self.depth > 0 else None

        async def later() -> Node | None:
            return node

        return later() if self.seed % 2 else node  # type: ignore[return-value]  # strawberry takes either

    @strawberry.field
    async def breaks(self) -> str | None:
        raise ValueError(f"broken {self.seed}")

    @strawberry.field
    def raises(self) -> int | None:
        raise KeyError(self.seed)


class Never(BasePermission):
    message = "never"

    def has_permission(self, *_: object, **_given: object) -> bool:
        return False


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Dog(Named):
    pass


@strawberry.type
class Query:
    motto: str

    @strawberry.field
    async def node(self, seed: int, *, odd: bool = False) -> Node:
        return make_node(seed, 2, odd=odd)

    @strawberry.field
    def maybe_node(self, info: Info, seed: int | None = None, *, odd: bool = False) -> Node | None:
        return None if seed is None else make_node(seed + selects(info, "children"), 2, odd=odd)

    @strawberry.field
    async def nodes(self, info: Info, seeds: list[int | None] | None = None, *, odd: bool = False) -> list[Node | None] | None:
        assert info.field_name == "nodes"
        if seeds is None:
            return None
        return [None if seed is None else make_node(seed, 1, odd=odd) for seed in seeds[:3]]

    @strawberry.field
    async def oddity(self, member: str, number: int) -> Leaves:
        leaves = _leaves(Random(1))
        setattr(leaves, member, ODDITIES[number])
        return leaves

    @strawberry.field
    async def fails(self, reason: str = "no", colour: Colour = Colour.GREEN) -> Node | None:
        raise ValueError(f"{reason} {colour.name}")

    @strawberry.field
    async def must_fail(self) -> Node:
        raise LookupError("must")

    @strawberry.field
    def fails_at_once(self, level: Level | None = Level.HIGH) -> str | None:
        raise RuntimeError(repr(level))

    @strawberry.field
    def must_fail_at_once(self) -> str:
        raise RuntimeError("at once")

    @strawberry.field
    def echo(self, choice: Choice, wanted: Annotated[Filter | None, strawberry.argument(name="filter")] = None) -> str:
        return f"{choice!r} {wanted!r}"

    @strawberry.field
    def named(self) -> Named:
        return Dog(name="Rex")

    secret: str | None = strawberry.field(permission_classes=[Never])


ODDITIES: list[Any] = [
    None,
    3.7,
    True,
    2**40,
    "RED",
    "",
    ValueError("a value"),
    object(),
    ("a", "b"),
    [None],
    {"a": 1},
    Colour.RED,
    7,
]


def _moment(chance: Random) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**7), microseconds=chance.randrange(2))


def _leaves(chance: Random) -> Leaves:
    def perhaps(value: Any) -> Any:  # noqa: ANN401 - whatever the member takes
        return chance.choice([value, None])

    return Leaves(
        text=chance.choice(["", "text", "žluťoučký \N{SNOWMAN}"]),
        word=perhaps("word"),
        number=chance.choice([0, -1, 2**31 - 1]),
        count=perhaps(3),
        ratio=chance.choice([0.5, 2, 1e300]),
        flag=chance.choice([True, False]),
        maybe=perhaps(value=True),
        id=strawberry.ID("id"),
        key=perhaps("key"),
        colour=chance.choice(list(Colour)),
        shade=perhaps(Colour.BLUE),
        level=chance.choice(list(Level)),
        moment=_moment(chance),
        later=perhaps(_moment(chance)),
        day=date(2026, 2, 3),
        price=Decimal("1.50"),
        uid=UUID(int=chance.randrange(2**100)),
        weight=Weight(2.5),
        light=perhaps(Weight(0)),
        tags=["a", "b"][: chance.randrange(3)],
        notes=perhaps(["a", None]),
        colours=[Colour.RED, Colour.BLUE],
        grid=[[1, 2], []],
        gaps=[[1, None], None],
    )


def make_node(seed: int, depth: int, *, odd: bool) -> Node:
    """The node of this seed, the same each time; an ``odd`` one has a value somewhere that the schema may not allow."""
    chance = Random(seed)
    node = Node(seed=seed, depth=depth, odd=odd, leaves=_leaves(chance), spare=chance.choice([None, _leaves(chance)]), class_="c")
    if odd:
        place = chance.choice([node, node.leaves])
        name = chance.choice([name for name in vars(place) if name not in {"seed", "depth", "odd"}])
        setattr(place, name, chance.choice(ODDITIES))
    return node


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def stamped(self, info: Info, numbers: list[int] | None = None) -> AsyncGenerator[Stamp | None, None]:
        for number in numbers or [1, 2]:
            yield info.context.stamp(number)

    @strawberry.subscription
    async def seen(self, seed: int = 1, *, odd: bool = False) -> AsyncGenerator[Node, None]:
        yield make_node(seed, 2, odd=odd)


SCHEMA = strawberry.Schema(Query, subscription=Subscription, types=[Dog], config=StrawberryConfig(scalar_map={Weight: WEIGHT}))
