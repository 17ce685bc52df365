"""Writes an operation as Python: one function for each selection set, as one would write it by hand.

A panel with eight members becomes this, where a name with a number is a value or a function of the same plan::

    def select_2(o, run=None, path=None):  # CrmPanel
        if type(o) is not classes_select_2:
            raise unexpected(o)
        v0 = o.id
        if not (type(v0) is str):
            v0 = complete_3(v0)
        ...
        return {"id": v0, ...}

Closures that do the same take three times as long. Names come from the schema and from GraphQL, whose names are
identifiers; whatever else stands in the text is written with ``repr``.
"""

from __future__ import annotations

from functools import partial
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    print_ast,
)
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.fields.resolver import StrawberryResolver

from compiled.arguments import Arguments
from compiled.fallback import Uncovered
from compiled.held import holder
from compiled.kept import KEPT, Kept, keep, shape_of
from compiled.leaves import completing, listed, quick, unexpected
from compiled.lookahead import PlannedNodes
from compiled.run import Later, Run, Spot
from compiled.scope import plain_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLLeafType, GraphQLObjectType, GraphQLOutputType
    from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
    from graphql.execution.values import VariableValues

    from compiled.operation import Operation

MAX_NAMES: Final = 1_000
"""Of values and functions in one plan, its variants together: a short document can ask for a very long program."""
TYPENAME: Final = "__typename"


class Written(NamedTuple):
    """Lines that complete a value, or a function that does, and what they need."""

    lines: list[str]
    path: bool
    """Whether some resolver in it is told its path."""
    waits: bool
    """Whether some resolver in it is awaited."""
    shape: str | None
    """The selection as text; None where its rendering depends on more than the object."""


class Call(NamedTuple):
    """How a resolver is called: the lines before, its name, and the text between its brackets."""

    before: list[str]
    function: str
    inside: str
    varies: bool
    wants_info: bool


class Writer:
    """Writes the functions of one plan, and keeps what they refer to."""

    def __init__(self, operation: Operation, values: VariableValues, *, names: int) -> None:
        """While it writes, raises Uncovered where more than so many ``names`` are needed."""
        self._operation = operation
        self._values = values
        self._most = names
        self.size = 0
        """How many names were given."""
        self._functions: list[str] = []
        self._names: dict[str, object] = {
            "KEPT": KEPT,
            "Later": Later,
            "Path": Path,
            "awaits": optimized_is_awaitable,
            "keep": keep,
            "listed": listed,
            "partial": partial,
            "unexpected": unexpected,
        }

    @property
    def text(self) -> str:
        """Everything written so far."""
        return "\n\n".join(self._functions) + "\n"

    def functions(self) -> dict[str, Any]:
        """What was written, as functions by name."""
        exec(compile(self.text, "<compiled operation>", "exec"), self._names)  # noqa: S102 - no text of a client's is in it
        return self._names

    def function_for(self, kind: GraphQLOutputType, details: FieldDetailsList) -> tuple[str, Written]:
        """The name of a function that completes a value of this type, given the run and the value's path."""
        inner = kind.of_type if is_non_null_type(kind) else kind
        if is_non_null_type(kind) and is_object_type(inner):
            return self._selection(inner, self._operation.fields_below(inner, details, self._values))
        written = self._value(kind, details, "v", "path")
        name = self._named("value")
        self._define(f"def {name}(v, run, path=None):  # {kind}", [*written.lines, "return v"])
        return name, written

    def _selection(self, kind: GraphQLObjectType, fields: GroupedFieldSet) -> tuple[str, Written]:
        """A function that renders an object."""
        name = self._named("select")
        classes = _classes(kind)
        written = [
            self._field(kind, response_name, details, index) for index, (response_name, details) in enumerate(fields.items())
        ]
        shape = _shape(kind, written)
        keeps = shape is not None and all(issubclass(one, Kept) for one in classes)
        held = [one.held for one in written if one.held is not None]
        body = _body(list(fields), written)
        self._names[f"classes_{name}"] = classes[0] if len(classes) == 1 else frozenset(classes)
        test = "is not" if len(classes) == 1 else "not in"
        body = [f"if type(o) {test} classes_{name}:", "    raise unexpected(o)", *body]
        self._define(f"def {'fresh_' if keeps else ''}{name}(o, run=None, path=None):  # {kind}", body)
        if keeps and shape is not None:
            self._keep(name, shape, held)
        needs = Written([], any(one.path for one in written), any(one.waits for one in written), None if held else shape)
        return name, needs

    def _keep(self, name: str, shape: str, held: list[str]) -> None:
        self._names[f"shape_{name}"] = shape_of(self._operation.strawberry, shape)
        self._define(
            f"def {name}(o, run, path=None):",
            [
                "try:",
                f"    return o.__dict__[KEPT][shape_{name}]",
                "except KeyError:",
                *(f"    if {self._attribute(one)} is None: return fresh_{name}(o, run, path)" for one in held),
                f"    return keep(o, shape_{name}, fresh_{name})",
                "except AttributeError:",
                "    raise unexpected(o) from None",
            ],
        )

    def _field(self, parent: GraphQLObjectType, response_name: str, details: FieldDetailsList, index: int) -> _Field:
        if details[0].node.name.value == TYPENAME:
            return _Field([], repr(parent.name), [], path=False, waits=False, shape=f"{response_name}:{TYPENAME}")
        spot = self.spot(parent, response_name, details)
        place = _Place(spot, details, f"v{index}", f"Path(path, {response_name!r}, {parent.name!r})")
        resolver = spot.field.base_resolver
        if resolver is None:
            return self._read(place)
        call = self._call(spot, resolver)
        if spot.field.is_async:
            return self._awaited(place, call)
        if call.wants_info:
            return self._awaited_perhaps(place, call, holder(resolver.wrapped_func))
        return self._called(place, call)

    def _read(self, place: _Place) -> _Field:
        """An attribute."""
        v, name = place.v, place.spot.field.python_name
        completed = self._value(place.spot.return_type, place.details, v, place.path)
        lines = [f"{v} = {self._attribute(name)}", *completed.lines]
        return _Field(lines, v, [], completed.path, completed.waits, place.shape("", completed))

    def _called(self, place: _Place, call: Call) -> _Field:
        """A synchronous resolver that knows nothing but its object and its arguments."""
        completed = self._value(place.spot.return_type, place.details, place.v, place.path)
        lines = [*call.before, f"{place.v} = {call.function}({call.inside})", *completed.lines]
        shape = None
        if not call.varies:
            arguments = ",".join(sorted(map(print_ast, place.details[0].node.arguments or ())))
            shape = place.shape(f"({arguments})", completed)
        return _Field(lines, place.v, [], completed.path, completed.waits, shape)

    def _awaited(self, place: _Place, call: Call) -> _Field:
        """An asynchronous resolver: its place stays open."""
        resolve = ", ".join(filter(None, [call.function, call.inside]))
        complete, _ = self.function_for(place.spot.return_type, place.details)
        later = [*call.before, self._later(place, f"partial({resolve})", complete, ", made")]
        return _Field([], "None", later, path=True, waits=True, shape=None)

    def _awaited_perhaps(self, place: _Place, call: Call, held: str | None) -> _Field:
        """A synchronous resolver that is told of the context, and so may have its value from there, now or later.

        Where the value may be ``held`` by the object, the resolver is asked only if it is not.
        """
        v, later = place.v, f"later_{place.v}"
        complete, needs = self.function_for(place.spot.return_type, place.details)
        asking = [*call.before, f"{v} = {call.function}({call.inside})"]
        lines = [
            *([f"{v} = {self._attribute(held)}", f"if {v} is None:", *_indented(asking)] if held else asking),
            f"{later} = {self._later(place, v, complete)} if awaits({v}) else None",
            f"{v} = None if {later} is not None else {complete}({v}, run, {place.path})",
        ]
        placing = [f"if {later} is not None:", f"    {later}.place = made"]
        shape = place.shape("", needs) if held else None
        return _Field(lines, v, placing, path=True, waits=needs.waits, shape=shape, held=held)

    def _later(self, place: _Place, awaited: str, complete: str, made: str = "") -> str:
        name = repr(place.spot.response_name)
        return f"run.later(Later({name}, {awaited}, partial({complete}, run=run, path={place.path}){made}))"

    def spot(self, parent: GraphQLObjectType, response_name: str, details: FieldDetailsList) -> Spot:
        """Where a field stands; raises Uncovered for one whose resolver is not all there is to it."""
        schema, node = self._operation.strawberry, details[0].node
        definition = self._operation.schema.get_field(parent, node.name.value)
        if definition is None:
            raise Uncovered(f"no field {node.name.value}")
        field = plain_field(schema, definition)
        resolver = field.base_resolver
        if resolver is not None and (type(resolver) is not StrawberryResolver or not callable(resolver.wrapped_func)):
            raise Uncovered(f"{field.python_name} has an odd resolver")
        return Spot(
            response_name=response_name,
            nodes=PlannedNodes(detail.node for detail in details),
            return_type=definition.type,
            parent=parent,
            field=field,
            arguments=Arguments(schema, definition, node, field),
        )

    def _call(self, spot: Spot, resolver: StrawberryResolver[Any]) -> Call:
        arguments = spot.arguments
        wants_info = resolver.info_parameter is not None or arguments.odd
        passed = ["o"] if resolver.self_parameter else []
        passed += [f"{parameter.name}=o" for parameter in (resolver.parent_parameter, resolver.root_parameter) if parameter]
        before = []
        if wants_info:
            before.append(f"info = run.info({self._held('spot', spot)}, path)")
        if resolver.info_parameter:
            passed.append(f"{resolver.info_parameter.name}=info")
        if arguments.odd:
            passed.append(f"**{self._held('arguments', arguments)}.read(run.values, info)")
        elif arguments.varies:
            passed.append(f"**run.arguments({self._held('arguments', arguments)})")
        else:
            passed += [f"{name}={self._held('constant', value)}" for name, value in arguments.constant.items()]
        function = self._held("resolve", resolver.wrapped_func)
        return Call(before, function, ", ".join(passed), arguments.varies, wants_info)

    def _value(self, kind: GraphQLOutputType, details: FieldDetailsList, v: str, path: str) -> Written:
        """Lines that turn the value in the variable ``v`` into what the answer shows of it."""
        nullable = not is_non_null_type(kind)
        inner = kind if nullable else kind.of_type  # type: ignore[union-attr]
        if is_leaf_type(inner):
            return Written(self._leaf(inner, v, nullable=nullable), path=False, waits=False, shape="")
        if is_list_type(inner):
            written = self._list(inner.of_type, details, v, path)
        elif is_object_type(inner):
            name, needs = self._selection(inner, self._operation.fields_below(inner, details, self._values))
            written = needs._replace(lines=[f"{v} = {name}({v}, run{f', {path}' if needs.path else ''})"])
        else:
            raise Uncovered(f"{inner} is abstract")
        return written._replace(lines=[f"if {v} is not None:", *_indented(written.lines)]) if nullable else written

    def _list(self, item: GraphQLOutputType, details: FieldDetailsList, v: str, path: str) -> Written:
        name, needs = self.function_for(item, details)
        lines = [f"if type({v}) is not list:", f"    {v} = listed({v})"]
        if needs.path:
            lines += [f"p = {path}", f"{v} = [{name}(x, run, Path(p, i, None)) for i, x in enumerate({v})]"]
        else:
            lines.append(f"{v} = [{name}(x, run) for x in {v}]")
        return needs._replace(lines=lines, shape=None if needs.shape is None else f"[{needs.shape}]")

    def _leaf(self, kind: GraphQLLeafType, v: str, *, nullable: bool) -> list[str]:
        slow = f"{v} = {self._held('complete', completing(kind))}({v})"
        way = quick(kind)
        if way is None:
            return [f"if {v} is not None:", f"    {slow}"] if nullable else [slow]
        self._names |= way.names
        known = way.known.format(v=v)
        if way.becomes is None:
            return [f"if not ({known}{f' or {v} is None' if nullable else ''}):", f"    {slow}"]
        other = f"elif {v} is not None:" if nullable else "else:"
        return [f"if {known}:", f"    {v} = {way.becomes.format(v=v)}", other, f"    {slow}"]

    def _attribute(self, name: str) -> str:
        return f"o.{name}" if name.isidentifier() and not iskeyword(name) else f"getattr(o, {name!r})"

    def _held(self, word: str, value: object) -> str:
        name = self._named(word)
        self._names[name] = value
        return name

    def _named(self, word: str) -> str:
        self.size += 1
        if self.size > self._most:
            raise Uncovered("more than is worth writing")
        return f"{word}_{self.size}"

    def _define(self, head: str, body: list[str]) -> None:
        self._functions.append("\n".join([head, *_indented(body)]))


class _Field(NamedTuple):
    """A field in the function of its selection: lines, what its member shows, and lines once the members stand."""

    lines: list[str]
    value: str
    later: list[str]
    path: bool
    waits: bool
    shape: str | None
    held: str | None = None
    """The attribute without which its rendering depends on more than the object."""


class _Place(NamedTuple):
    """A field below the root, while its lines are written."""

    spot: Spot
    details: FieldDetailsList
    v: str
    """The variable that holds its value."""
    path: str
    """What makes its path."""

    def shape(self, arguments: str, completed: Written) -> str | None:
        """The field as text, with everything below it."""
        if completed.shape is None:
            return None
        return f"{self.spot.response_name}:{self.details[0].node.name.value}{arguments}{completed.shape}"


class Root:
    """A field of the root: resolved by itself, because it may fail by itself."""

    def __init__(self, spot: Spot, complete: Callable[..., object], *, waits: bool) -> None:
        self.name = spot.response_name
        self.nodes = list(spot.nodes)
        self.non_null = is_non_null_type(spot.return_type)
        self.is_async = spot.field.is_async
        self.waits = waits
        self._spot = spot
        self._path = Path(None, spot.response_name, spot.parent.name)
        self._complete = complete

    def resolve(self, run: Run) -> Any:  # noqa: ANN401 - whatever the resolver returns
        """Call the resolver as Strawberry would."""
        spot, source = self._spot, run.root_value
        resolver = spot.field.base_resolver
        if resolver is None:
            return getattr(source, spot.field.python_name)
        info = run.info(spot, None)
        named = spot.arguments.read(run.values, info)
        if resolver.parent_parameter:
            named[resolver.parent_parameter.name] = source
        if resolver.root_parameter:
            named[resolver.root_parameter.name] = source
        if resolver.info_parameter:
            named[resolver.info_parameter.name] = info
        function: Any = resolver.wrapped_func
        return function(source, **named) if resolver.self_parameter else function(**named)

    async def resolved(self, run: Run) -> Any:  # noqa: ANN401
        """Call the resolver and await what it returns."""
        value = self.resolve(run)
        return await value if optimized_is_awaitable(value) else value

    def complete(self, value: object, run: Run) -> object:
        """What the answer shows of the value."""
        return self._complete(value, run, self._path)


def _classes(kind: GraphQLObjectType) -> list[type]:
    """The classes whose instances are known to be of this type."""
    definition = kind.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if kind.is_type_of is not None or not isinstance(definition, StrawberryObjectDefinition):
        raise Uncovered(f"{kind} is not told by its class")
    classes = [definition.origin, *([definition.concrete_of.origin] if definition.concrete_of else [])]
    if any(hasattr(one, "__await__") or issubclass(one, Exception) for one in classes):
        raise Uncovered(f"{kind} is more than a value")
    return classes


def _body(response_names: list[str], written: list[_Field]) -> list[str]:
    lines = [line for one in written for line in one.lines]
    members = ", ".join(f"{response!r}: {one.value}" for response, one in zip(response_names, written, strict=True))
    later = [line for one in written for line in one.later]
    if not later:
        return [*lines, f"return {{{members}}}"]
    return [*lines, f"made = {{{members}}}", *later, "return made"]


def _shape(kind: GraphQLObjectType, written: list[_Field]) -> str | None:
    shapes = [one.shape for one in written]
    known = [shape for shape in shapes if shape is not None]
    return f"{kind.name}{{{' '.join(known)}}}" if len(known) == len(shapes) else None


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
