"""The schema with what runs around every operation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import strawberry
import structlog
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationType,
    Undefined,
    get_operation_ast,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from compiled.scope import strangers_here, versions_are_known
from graph.context import new_request_id
from graph.deadline import Deadline
from graph.documents import Documents, Plan, ReadDocument
from graph.errors import BadRequest, Error, InvalidConnectorHandler, TidyErrors
from graph.limits import Limits
from graph.mutations import Mutation
from graph.queries import Query
from graph.scales import weigh_variables
from graph.subscriptions import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode, GraphQLArgument, GraphQLInputField, GraphQLSchema
    from graphql.execution.executor import Executor
    from strawberry.types import ExecutionContext as Operation


_log = structlog.get_logger(__name__)


class FreshContext(SchemaExtension):
    """Gives every operation a context of its own: on a socket they would share one, and its loaders would grow old."""

    def on_operation(self) -> Iterator[None]:
        """Before anything else of the operation."""
        context = self.execution_context.context
        over_socket = context.connection_params is not None
        self.execution_context.context = context.afresh(request_id=new_request_id() if over_socket else None)
        yield


class NamedOperation(SchemaExtension):
    """Refuses to choose among the operations of a document when the request names none (GraphQL, 6.1, GetOperation)."""

    def on_validate(self) -> Iterator[None]:
        """After the document has been found valid."""
        operation = self.execution_context
        nameless = operation._provided_operation_name is None  # noqa: SLF001 - the public name falls back to the first one
        if nameless and operation.graphql_document and not operation.pre_execution_errors:
            chosen = get_operation_ast(operation.graphql_document)
            message = "The document has several operations: name one in operationName."
            operation.pre_execution_errors = [] if chosen else [BadRequest(message)]
        yield


class _Execution(StrawberryGraphQLCoreExecutionContext):
    """Gives every event of a subscription loaders of its own."""

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:  # noqa: ANN401 - whatever the stream yields
        executor = super().build_per_event_executor(payload)
        executor.context_value = executor.context_value.afresh()
        return executor


class Schema(strawberry.Schema):
    """The schema of the API, with the documents it has read."""

    def __init__(self, documents: Documents, *args: Any, compiled: bool = True, **options: Any) -> None:  # noqa: ANN401 - strawberry's
        """``compiled`` lets operations be planned; without it the stock executor runs them all."""
        super().__init__(*args, **options)
        self._documents = documents
        self._compiled = compiled
        if compiled and not versions_are_known():
            _log.warning("operations are not compiled under versions that nobody has read", versions=strangers_here())
        for input_value in _input_values(self._schema):
            if input_value.default_value is None:  # Python's word for "may be left out"; GraphQL tells it from `= null`
                input_value.default_value = Undefined

    def read(self, query: str, variables: dict[str, Any] | None) -> DocumentNode | None:
        """The document of an operation; None where something is wrong with it or its variables."""
        try:
            reading = self._documents.read(query, self._schema)
            weigh_variables(variables, self._documents.limits)
        except GraphQLError:
            return None
        return None if reading.errors else reading.document

    def knows(self, query: str) -> bool:
        """Whether the document has been read lately."""
        return query in self._documents

    def changes(self, query: str, operation_name: str | None) -> bool:
        """Whether an operation is a mutation."""
        document = self.read(query, None) if "mutation" in query else None
        operation = None if document is None else get_operation_ast(document, operation_name)
        return operation is not None and operation.operation is OperationType.MUTATION

    def plan(self, query: str, operation_name: str | None) -> Plan | None:
        """How to run an operation faster than the stock executor would; None where it must."""
        return self._documents.plan(query, operation_name, self) if self._compiled else None

    def process_errors(self, errors: list[GraphQLError], execution_context: Operation | None = None) -> None:
        """Log nothing here: TidyErrors logs what nobody expected, with its request id and without the client's document."""


def _input_values(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield from kind.fields.values()
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field in kind.fields.values():
                yield from field.args.values()


def build_schema(limits: Limits | None = None, *, production: bool = False, compiled: bool = True) -> Schema:
    """The whole schema; ``production`` takes suggestions out of error messages."""
    limits = limits or Limits()
    documents = Documents(limits, suggestions=not production)
    return Schema(
        documents,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Error],
        compiled=compiled,
        execution_context_class=_Execution,
        exception_handlers=[InvalidConnectorHandler()],
        extensions=[
            FreshContext,
            partial(TidyErrors, production=production),
            partial(ReadDocument, documents),
            NamedOperation,
            partial(Deadline, limits.duration),
        ],
    )


def sdl(schema: strawberry.Schema) -> str:
    """The schema in its definition language, as schema.graphql holds it."""
    return schema.as_str() + "\n"
