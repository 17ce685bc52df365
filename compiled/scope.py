"""What compiled execution knows, and so may do: these versions, a plain schema, plain fields."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from compiled.fallback import Uncovered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import strawberry
    from graphql import GraphQLField

KNOWN: Final = {"graphql-core": "3.3.2", "strawberry-graphql": "0.341.2"}
"""The versions whose every step was read; docs/compiled-execution.md says how to raise them."""

_OUR_FREEDOM = {
    "build_per_event_executor",
    *("__doc__", "__firstlineno__", "__module__", "__orig_bases__", "__parameters__", "__static_attributes__"),
    "__slotnames__",  # Python notes it where an instance is copied, as one is for each event
}
"""What an executor may define without executing anything otherwise: how an event gets its context is the caller's business."""
_judged: WeakKeyDictionary[strawberry.Schema, bool] = WeakKeyDictionary()


def versions(names: Iterable[str]) -> dict[str, str]:
    """The installed versions, as far as they can be told: a package may have come without saying its own."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def strangers(installed: Mapping[str, str]) -> list[str]:
    """Which of the installed versions nobody has read, as a person would say it."""
    return [
        f"{name} {installed.get(name, 'of an unknown version')} (known: {known})"
        for name, known in KNOWN.items()
        if installed.get(name) != known
    ]


@cache
def strangers_here() -> list[str]:
    """Those of this installation."""
    return strangers(versions(KNOWN))


def versions_are_known() -> bool:
    """Whether the installed versions are the known ones."""
    return not strangers_here()


def is_plain(schema: strawberry.Schema) -> bool:
    """Whether nothing but its fields decides how this schema is executed."""
    if schema not in _judged:
        _judged[schema] = _judge(schema)
    return _judged[schema]


def _judge(schema: strawberry.Schema) -> bool:
    executors = schema.execution_context_class.__mro__
    if StrawberryGraphQLCoreExecutionContext not in executors:
        return False
    own = executors[: executors.index(StrawberryGraphQLCoreExecutionContext)]
    return (
        schema.config.default_resolver is getattr
        and not any(extension._implements_resolve() for extension in schema.get_extensions())  # noqa: SLF001 - as strawberry asks
        and all(vars(executor).keys() <= _OUR_FREEDOM for executor in own)
    )


def plain_field(schema: strawberry.Schema, definition: GraphQLField) -> StrawberryField:
    """The field of Strawberry behind the schema's; raises Uncovered where more than its resolver stands behind it."""
    field: Any = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if type(field) is not StrawberryField:
        raise Uncovered("a field that Strawberry did not make")
    if field.extensions or field.permission_classes:
        raise Uncovered(f"{field.python_name} has extensions or rights")
    if schema.schema_converter._get_field_exception_handlers(field):  # noqa: SLF001 - as strawberry asks
        raise Uncovered(f"{field.python_name} turns exceptions into results")
    made_by = "from_field" if field.is_subscription else "from_resolver"
    if not getattr(definition.resolve, "__qualname__", "").startswith(f"GraphQLCoreConverter.{made_by}."):
        raise Uncovered(f"{field.python_name} has a resolver of its own")
    return field
