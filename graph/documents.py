"""Reads documents: each is parsed, weighed and validated once, however often it comes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLError,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from compiled.plan import EventPlan, QueryPlan, plan_of
from graph.errors import CodedError, ErrorCode
from graph.scales import weigh, weigh_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import strawberry
    from graphql import ASTValidationRule, DocumentNode, GraphQLSchema, ValidationContext

    from graph.limits import Limits

MAX_KEPT_CHARACTERS: Final = 500_000
"""Of all documents that are kept together: parsed, a character takes some 100 bytes."""
_MAX_KEPT: Final = 1_000
MAX_PLANS: Final = 128
"""Of all documents: the largest take about a megabyte each."""
_MAX_ERRORS: Final = 10
"""Told of one document: each may repeat an argument of it in full."""

Plan = QueryPlan | EventPlan


def is_kept(text: str) -> bool:
    """Whether such a document is kept when it has been read: one that would displace many is not worth it."""
    return len(text) <= MAX_KEPT_CHARACTERS // 10


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that parses, and what is wrong with it beyond that."""

    document: DocumentNode
    errors: Sequence[GraphQLError]


class Documents:
    """The documents that were read lately, by their text."""

    def __init__(self, limits: Limits, *, suggestions: bool) -> None:
        self.limits = limits
        self._suggestions = suggestions
        self._rules = _rules(limits.comparisons)
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._characters = 0
        self._plans: OrderedDict[tuple[str, str | None], Plan | None] = OrderedDict()
        """Of kept documents, by the names of the operations that somebody wanted to run; None where the stock executor must."""

    @property
    def planned(self) -> int:
        """How many plans are kept."""
        return len(self._plans)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, text: str) -> bool:
        return text in self._kept

    def read(self, text: str, schema: GraphQLSchema) -> Reading:
        """Parse, weigh, validate; raises GraphQLError for a text that does not parse."""
        known = self._kept.get(text)
        if known is not None:
            self._kept.move_to_end(text)
            return known
        document = parse(text, max_tokens=self.limits.tokens)
        reading = Reading(document, self._errors(document, schema))
        self._keep(text, reading)
        return reading

    def plan(self, text: str, operation_name: str | None, schema: strawberry.Schema) -> Plan | None:
        """How to run an operation of a valid document that comes for the second time: one that comes once is not worth it."""
        known = self._kept.get(text)
        operation = get_operation_ast(known.document, operation_name) if known and not known.errors else None
        if known is None or operation is None:
            return None
        self._kept.move_to_end(text)
        key = text, _name(operation)
        if key in self._plans:
            self._plans.move_to_end(key)
        else:
            self._plans[key] = plan_of(schema, known.document, key[1])
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return self._plans[key]

    def _errors(self, document: DocumentNode, schema: GraphQLSchema) -> Sequence[GraphQLError]:
        try:
            weigh(document, schema, self.limits)
        except CodedError as refusal:
            return [refusal]
        return validate(schema, document, self._rules, max_errors=_MAX_ERRORS, hide_suggestions=not self._suggestions)

    def _keep(self, text: str, reading: Reading) -> None:
        """Keep it in the place of those that were not asked for the longest."""
        if not is_kept(text):
            return
        self._kept[text] = reading
        self._characters += len(text)
        while len(self._kept) > _MAX_KEPT or self._characters > MAX_KEPT_CHARACTERS:
            forgotten, _ = self._kept.popitem(last=False)
            self._characters -= len(forgotten)
            for key in [key for key in self._plans if key[0] == forgotten]:
                del self._plans[key]


class ReadDocument(SchemaExtension):
    """Has the document of an operation read by what remembers documents, in place of parser and validation."""

    _errors: Sequence[GraphQLError] = ()

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def on_parse(self) -> Iterator[None]:
        """Read the document; one that does not parse is left to the parser that follows, which reports it everywhere."""
        operation = self.execution_context
        operation.parse_options["max_tokens"] = self._documents.limits.tokens
        try:
            reading = self._documents.read(operation.query or "", operation.schema._schema)  # noqa: SLF001 - strawberry takes it from there
        except GraphQLError:
            operation.graphql_document = None
        else:
            operation.graphql_document, self._errors = reading.document, reading.errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Say what was found wrong then, and what is wrong with the variables now."""
        operation = self.execution_context
        operation.pre_execution_errors = [*self._errors]
        if not self._errors:
            try:
                weigh_variables(operation.variables, self._documents.limits)
            except CodedError as refusal:
                operation.pre_execution_errors = [refusal]
        yield


def _name(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


class _TooManyComparisons(ValidationAbortedError):
    """Ends the validation as graphql-core's own word for it does, but says which limit it was."""

    def __init__(self, comparisons: int) -> None:
        message = f"Fields that might answer under the same name may be compared at most {comparisons:,} times."
        super().__init__(message, extensions={"code": ErrorCode.LIMIT_EXCEEDED})


def _rules(comparisons: int) -> Sequence[type[ASTValidationRule]]:
    """Those of the specification and strawberry's, with a bound of ours for the one that compares fields with each other."""

    class OverlappingFields(OverlappingFieldsCanBeMergedRule):
        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = comparisons

        def enter_selection_set(self, *args: Any) -> None:  # noqa: ANN401 - the visitor's
            try:
                super().enter_selection_set(*args)
            except ValidationAbortedError:
                raise _TooManyComparisons(comparisons) from None

    given = [OverlappingFields if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules]
    return [*given, MaybeNullValidationRule, OneOfInputValidationRule]
