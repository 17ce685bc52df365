"""Writes documents for a schema by chance: aliases, merging, fragments, conditions, variables of every kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from random import Random

    from graphql import GraphQLField, GraphQLInputType, GraphQLNamedType, GraphQLSchema

_TEXTS = ["", "a", "RED", "1", "ž"]
_NUMBERS = [0, 1, 2, 3, 5, 13]
_WRONG = [None, True, 1, 1.5, "text", [1], {"no": 1}, 2**40, [[None]]]


@dataclass
class Written:
    """A document with what is sent beside it."""

    text: str
    operation_name: str | None
    variables: dict[str, Any] | None
    shapes: set[str]
    """Of what it has some: words for the share of documents that is compiled."""


@dataclass
class Author:
    """Writes one document."""

    schema: GraphQLSchema
    chance: Random
    texts: Mapping[str, list[str]] = field(default_factory=dict)
    """What to write for an argument of this name."""
    left_out: AbstractSet[str] = frozenset()
    """The fields not to write."""
    calm: bool = False
    """Whether nothing wrong is sent on purpose."""
    root: str = "Query"
    _variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _fragments: dict[str, str] = field(default_factory=dict)
    _shapes: set[str] = field(default_factory=set)
    _names: Counter[str] = field(default_factory=Counter)
    _missing: object = field(default_factory=object)

    def write(self) -> Written:
        root = self.schema.type_map[self.root]
        assert isinstance(root, GraphQLObjectType)
        selection = self._selection(root, 4)
        word = "subscription" if self.root == "Subscription" else "query"
        head = f"{word} Main{self._head()}"
        others, name = "", self.chance.choice(["Main", None])
        if self.chance.random() < 0.1:
            others = "\nquery Other { __typename }"
            name = "Main" if self.calm else self.chance.choice(["Main", "Main", "Main", "Other", None, "Nobody", ""])
        text = f"{head} {selection}{others}\n" + "\n".join(self._fragments.values())
        sent = {key: value for key, (_, value) in self._variables.items() if value is not self._missing}
        if self.chance.random() < 0.05:
            sent["unknown"] = 1
        return Written(text, name, sent or ({} if self.chance.random() < 0.5 else None), self._shapes)

    def _head(self) -> str:
        return f"({', '.join(declared for declared, _ in self._variables.values())})" if self._variables else ""

    def _roll(self, likelihood: float, shape: str) -> bool:
        rolled = self.chance.random() < likelihood
        if rolled:
            self._shapes.add(shape)
        return rolled

    def _selection(self, parent: GraphQLNamedType, depth: int) -> str:
        assert isinstance(parent, GraphQLObjectType)
        names = [name for name in parent.fields if self._may(parent, name, depth)]
        most = {"Query": 2, "Subscription": 1}.get(parent.name, 5)
        chosen = [self.chance.choice(names) for _ in range(self.chance.randint(1, most))] if names else []
        parts = [self._field(parent, name, depth) for name in chosen]
        if not parts or (parent.name != "Subscription" and self._roll(0.1, "typename")):
            parts.append(self.chance.choice(["__typename", "kind: __typename"]))
        if self._roll(0.15, "merged"):
            parts.append(self.chance.choice(parts))
        if self._roll(0.2, "fragment") and parent.name != "Subscription":
            cut = self.chance.randint(0, len(parts))
            parts = [*parts[:cut], self._fragment(parent, " ".join(parts[cut:]) or "__typename")]
        return "{ " + " ".join(parts) + " }"

    def _may(self, parent: GraphQLObjectType, name: str, depth: int) -> bool:
        return name not in self.left_out and (depth > 1 or is_leaf_type(get_named_type(parent.fields[name].type)))

    def _field(self, parent: GraphQLObjectType, name: str, depth: int) -> str:
        definition: GraphQLField = parent.fields[name]
        kind = get_named_type(definition.type)
        alias = f"{self.chance.choice(['a', 'b', name])}: " if self._roll(0.15, "alias") else ""
        arguments = self._arguments(definition)
        if is_abstract_type(kind):
            below = " { __typename }"
        else:
            below = "" if is_leaf_type(kind) else f" {self._selection(kind, depth - 1)}"
        self._shapes |= {f"a {kind}"} | ({"lists"} if is_list_type(get_nullable_type(definition.type)) else set())
        condition = "" if parent.name == "Subscription" else self._condition()  # nobody can watch nothing
        return f"{alias}{name}{arguments}{condition}{below}"

    def _fragment(self, parent: GraphQLObjectType, parts: str) -> str:
        on = self.chance.choice([f"on {parent.name}"] * 5 + [f"on {self.root}"])
        if self.chance.random() < 0.5:
            return f"... {self.chance.choice([on, ''])}{self._condition()} {{ {parts} }}"
        name = f"F{len(self._fragments)}"
        self._fragments[name] = f"fragment {name} {on} {{ {parts} }}"
        return f"...{name}{self._condition()} " + (f"...{name}" if self.chance.random() < 0.2 else "")

    def _condition(self) -> str:
        if not self._roll(0.1, "condition"):
            return ""
        word = self.chance.choice(["skip", "include"])
        if self._roll(0.5, "condition by variable"):
            value = self.chance.choice([True, False] if self.calm else [True, False, True, False, None, "x"])
            return f" @{word}(if: {self._variable('Boolean!', value)})"
        other = " @skip(if: false)" if word == "include" and self.chance.random() < 0.2 else ""
        return f" @{word}(if: {self.chance.choice(['true', 'false'])}){other}"

    def _arguments(self, definition: GraphQLField) -> str:
        given = []
        for name, argument in definition.args.items():
            if self.chance.random() < (0.0 if is_required_argument(argument) and self.calm else 0.4):
                continue
            if self._roll(0.3, "variable"):
                given.append(f"{name}: {self._variable_for(name, argument.type)}")
            else:
                given.append(f"{name}: {self._literal(name, argument.type, 3)}")
        return f"({', '.join(given)})" if given else ""

    def _variable_for(self, name: str, kind: GraphQLInputType) -> str:
        default = f" = {self._literal(name, kind, 2, const=True)}" if self._roll(0.2, "variable default") else ""
        rolled = self.chance.random()
        if rolled < 0.2 and (default or not is_non_null_type(kind) or not self.calm):
            value = self._missing
        else:
            value = self.chance.choice(_WRONG) if rolled > 0.9 and not self.calm else self._sent(name, kind, 3)
        return self._variable(str(kind), value, default)

    def _variable(self, kind: str, value: object, default: str = "") -> str:
        name = f"v{len(self._variables)}"
        self._variables[name] = (f"${name}: {kind}{default}", value)
        return f"${name}"

    def _sent(self, name: str, kind: GraphQLInputType, depth: int) -> Any:  # noqa: ANN401 - as JSON has it
        """A value for a variable."""
        if is_non_null_type(kind):
            value = self._sent(name, kind.of_type, depth)
            return value if value is not None or not self.calm else self._sent(name, kind, depth)
        if self.chance.random() < 0.1:
            return None
        if is_list_type(kind):
            items = [self._sent(name, kind.of_type, depth - 1) for _ in range(self.chance.randrange(3))]
            return self.chance.choice([items, items, self._sent(name, kind.of_type, depth - 1)])
        if isinstance(kind, GraphQLEnumType):
            return self.chance.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            members = [key for key, member in kind.fields.items() if is_non_null_type(member.type) or self.chance.random() < 0.4]
            return {key: self._sent(key, kind.fields[key].type, depth - 1) for key in members if depth > 0 or key != "inner"}
        return self._scalar(name, kind)

    def _literal(self, name: str, kind: GraphQLInputType, depth: int, *, const: bool = False) -> str:
        if is_non_null_type(kind):
            text = self._literal(name, kind.of_type, depth, const=const)
            return text if text != "null" or not self.calm else self._literal(name, kind, depth, const=const)
        if self.chance.random() < 0.05:
            return "null"
        if not const and depth < 3 and self._roll(0.2, "variable inside a literal"):
            return self._variable_for(name, kind)
        if is_list_type(kind):
            items = [self._literal(name, kind.of_type, depth - 1, const=const) for _ in range(self.chance.randrange(3))]
            return f"[{', '.join(items)}]"
        if isinstance(kind, GraphQLEnumType):
            member: str = self.chance.choice(list(kind.values))
            return member
        if isinstance(kind, GraphQLInputObjectType):
            members = [
                key
                for key, member in kind.fields.items()
                if is_non_null_type(member.type) or (depth > 0 and self.chance.random() < 0.4)
            ]
            inner = [f"{key}: {self._literal(key, kind.fields[key].type, depth - 1, const=const)}" for key in members]
            return f"{{{', '.join(inner)}}}"
        value = self._scalar(name, kind)
        return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)

    def _scalar(self, name: str, kind: GraphQLInputType) -> str | float:
        if name in self.texts:
            return self.chance.choice(self.texts[name])
        match str(kind):
            case "Int":
                return self.chance.choice(_NUMBERS)
            case "Boolean":
                return self.chance.choice([True, False, False])
            case "Float":
                return 1.5
            case "ID":
                return self.chance.choice(["7", "x"])
            case "Date":
                return self.chance.choice(["2026-02-03", "2026-02-03", "never"])
            case _:
                return self.chance.choice(_TEXTS)
