"""The schema: what was promised and nothing else, every part explained, and what runs around each operation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_ast_schema,
    build_client_schema,
    introspection_from_schema,
    is_introspection_type,
    is_required_argument,
    is_specified_scalar_type,
    lexicographic_sort_schema,
    parse,
    print_schema,
)
from strawberry.extensions import SchemaExtension

from domain.answer import BadgeColor
from domain.failure import FailureKind
from domain.lookup import LookupStatus, LookupTrigger
from graph.schema import build_schema, sdl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema

CONTRACT = Path(__file__).with_name("contract.graphql")
COMMITTED = Path(__file__).parents[2] / "schema.graphql"


def members(definition: str) -> str:
    """Types, fields, arguments, defaults, enum values and members of unions, in one order and without descriptions.

    Of what was promised, arguments that came later and that nobody has to give are left out.
    """
    schema = build_ast_schema(parse(definition))
    leave_out_later_arguments(schema, build_ast_schema(parse(CONTRACT.read_text())))
    bare = introspection_from_schema(schema, descriptions=False)
    return print_schema(lexicographic_sort_schema(build_client_schema(bare)))


def leave_out_later_arguments(schema: GraphQLSchema, promised: GraphQLSchema) -> None:
    for name, kind in promised.type_map.items():
        ours = schema.type_map.get(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and isinstance(ours, type(kind)):
            for member, field in kind.fields.items():
                if given := ours.fields.get(member):
                    given.args = {arg: it for arg, it in given.args.items() if arg in field.args or is_required_argument(it)}


def by_type(definition: str) -> dict[str, set[str]]:
    """The lines of each definition by its first."""
    return {block.splitlines()[0]: set(block.splitlines()) for block in members(definition).split("\n\n")}


def test_the_schema_has_everything_that_was_promised() -> None:
    ours = by_type(sdl(build_schema()))

    missing = {head: lines - ours.get(head, set()) for head, lines in by_type(CONTRACT.read_text()).items()}
    assert {head: lines for head, lines in missing.items() if lines} == {}


def test_the_enums_and_unions_that_were_promised_are_closed() -> None:
    ours, promised = by_type(sdl(build_schema())), by_type(CONTRACT.read_text())

    closed = [head for head in promised if head.startswith(("enum ", "union "))]
    assert closed
    assert [head for head in closed if ours[head] != promised[head]] == []


def test_the_committed_schema_is_the_one_that_runs() -> None:
    assert COMMITTED.read_text() == sdl(build_schema())


def test_production_runs_the_same_schema() -> None:
    assert sdl(build_schema(production=True)) == sdl(build_schema())


def test_the_closed_sets_of_the_schema_are_those_of_the_domain() -> None:
    types = build_schema()._schema.type_map  # noqa: SLF001 - the schema as graphql-core sees it

    for name, closed_set in {
        "LookupStatus": LookupStatus,
        "LookupTrigger": LookupTrigger,
        "BadgeColor": BadgeColor,
        "LookupErrorCode": FailureKind,
    }.items():
        enum = types[name]
        assert isinstance(enum, GraphQLEnumType)
        assert set(enum.values) == {member.name for member in closed_set}


def test_every_part_of_the_schema_is_explained() -> None:
    assert [place for place, description in _descriptions() if not (description or "").strip()] == []


def _descriptions() -> Iterator[tuple[str, str | None]]:
    for name, kind in build_schema()._schema.type_map.items():  # noqa: SLF001 - the schema as graphql-core sees it
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        match kind:
            case GraphQLEnumType():
                yield from ((f"{name}.{value}", member.description) for value, member in kind.values.items())
            case GraphQLInputObjectType():
                yield from ((f"{name}.{member}", field.description) for member, field in kind.fields.items())
            case GraphQLObjectType() | GraphQLInterfaceType():
                for member, output in kind.fields.items():
                    yield f"{name}.{member}", output.description
                    yield from ((f"{name}.{member}({arg}:)", given.description) for arg, given in output.args.items())
            case _:
                pass


# What runs around each operation.


def test_nothing_wraps_the_resolvers() -> None:
    kinds = [type(extension) for extension in build_schema().get_extensions()]

    assert kinds
    assert [kind for kind in kinds if kind.resolve is not SchemaExtension.resolve] == []


def test_versions_that_nobody_has_read_are_told_of_and_nothing_is_compiled(tmp_path: Path) -> None:
    package = tmp_path / "graphql_core-9.9.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: graphql-core\nVersion: 9.9\n")
    script = """
from graph.schema import build_schema
schema, query = build_schema(), "{ viewer { name } }"
schema.read(query, None)
print("plans:", schema.plan(query, None), schema.plan(query, "Other"))
build_schema(compiled=False)
"""

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "plans: None None" in ran.stdout
    assert ran.stdout.count("operations are not compiled under versions that nobody has read") == 1
    assert "graphql-core 9.9 (known: 3.3.2)" in ran.stdout
