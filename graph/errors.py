"""Errors as the outside sees them: expected ones are types of the schema, all others carry a code and a request id.

GraphQLError
├── BadRequest
├── Forbidden
├── LimitExceeded
├── Reported
└── Unauthenticated
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from domain.errors import InvalidConnector
from domain.words import Locale, Words
from graph.words import Language
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strawberry.types import Info
    from strawberry.types.field import StrawberryField

    from domain.errors import Problem
    from graph.context import Context

DATABASE_AWAY: Final = "The database cannot be reached at the moment; try again shortly."
INTERNAL: Final = "Something went wrong on our side."

_STATUS_OF_CODE: Final = {"UNAUTHENTICATED": 401, "UNAVAILABLE": 503}
_SUGGESTION = re.compile(r" Did you mean .*\?$", re.DOTALL)
_VALUE = re.compile(r"[,;]? [Ff]ound: .*|((?<!invalid)(?<!default) value): .*|(?<=String) '.*", re.DOTALL)
_OVER_LIMIT = re.compile(r"Document (?:contains more than \d+ tokens|is nested too deeply)")
_log = structlog.get_logger(__name__)


class ErrorCode(StrEnum):
    """The values of ``extensions.code``; the list is closed."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BAD_REQUEST = "BAD_REQUEST"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class CodedError(GraphQLError):
    """An error that knows its code."""

    code: ErrorCode

    def __init__(self, message: str) -> None:
        super().__init__(message, extensions={"code": self.code})


class BadRequest(CodedError):
    """The request cannot be understood or asks for something that is not there."""

    code = ErrorCode.BAD_REQUEST


class Forbidden(CodedError):
    """The token is good, but its role may not do this."""

    code = ErrorCode.FORBIDDEN


class LimitExceeded(CodedError):
    """The request is fine but larger than one request may be."""

    code = ErrorCode.LIMIT_EXCEEDED


class Unauthenticated(CodedError):
    """There is no token, or it is not valid."""

    code = ErrorCode.UNAUTHENTICATED


class Reported(CodedError):
    """What nobody expected and befell many at once: it was logged with its traceback where it happened."""

    code = ErrorCode.INTERNAL

    def __init__(self) -> None:
        super().__init__(INTERNAL)


class TidyErrors(MaskErrors):
    """Gives every top-level error a code and the request id; what nobody expected says nothing but its code."""

    def __init__(self, *, production: bool) -> None:
        super().__init__()
        self._production = production

    def _process_errors(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        context: Context = self.execution_context.context
        return [tidy_error(error, context.request_id, production=self._production) for error in errors]


def tidy_error(error: GraphQLError, request_id: str, *, production: bool) -> GraphQLError:
    """The error as it may leave: code and request id added, everything internal taken away."""
    if "requestId" in (error.extensions or {}):
        return error
    code, message = _code_and_message(error)
    if isinstance(error.original_error, Reported):
        _log.info("internal error of a feed", request_id=request_id, path=error.path)
    elif code is ErrorCode.INTERNAL:
        _log.error("internal error", request_id=request_id, path=error.path, exc_info=error.original_error or error)
    if production:
        message = _SUGGESTION.sub("", message)
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code, "requestId": request_id},
    )


def http_status(answer: Mapping[str, Any]) -> int:
    """The status that the errors of an answer call for; errors beside data are no failure of HTTP."""
    codes = {error["extensions"]["code"] for error in answer.get("errors") or ()}
    return next((status for code, status in _STATUS_OF_CODE.items() if code in codes), 200)


def _code_and_message(error: GraphQLError) -> tuple[ErrorCode, str]:
    if code := (error.extensions or {}).get("code"):
        return ErrorCode(code), error.message
    match error.original_error:
        case GraphQLError(nodes=None) if error.path is not None:  # a value of ours that the schema does not allow
            return ErrorCode.INTERNAL, INTERNAL
        case None | GraphQLError():
            return _code_of_document(error.message), without_values(error.message)
        case MissingQueryError() | CannotGetOperationTypeError() | InvalidOperationTypeError():
            return ErrorCode.BAD_REQUEST, error.message
        case ValueError() if error.path is None and error.nodes:  # a number in the document that Python does not read
            return ErrorCode.BAD_REQUEST, "A value in the document cannot be read."
        case DatabaseAway():
            return ErrorCode.UNAVAILABLE, DATABASE_AWAY
        case _:
            return ErrorCode.INTERNAL, INTERNAL


def _code_of_document(message: str) -> ErrorCode:
    return ErrorCode.LIMIT_EXCEEDED if _OVER_LIMIT.search(message) else ErrorCode.BAD_REQUEST


def without_values(message: str) -> str:
    """What graphql-core says of an input, less the input itself: one of its members may be a secret."""
    kept = _VALUE.sub(r"\1", message)
    return kept if kept == message or kept.endswith("?") else f"{kept}."


_INVALID_INPUT = Words(en="The input is not valid.", cs="Zadání ještě není v pořádku.")


@strawberry.interface(name="Error", description="What every expected refusal has in common.")
class Error:
    """The interface of the refusals that are part of a mutation's result."""

    words: strawberry.Private[Words]

    @strawberry.field(description="One sentence for the person in front of the screen.")
    def message(self, locale: Language = Locale.EN) -> str:
        """The refusal in words."""
        return self.words.said_in(locale)


@strawberry.type(description="There is nothing with this id in the workspace.")
class NotFound(Error):
    """An unknown id, or another workspace's: the two cannot be told apart."""


@strawberry.type(description="One thing that is wrong with one member of the input.")
class InputProblem:
    """A problem to show beside the input it belongs to."""

    words: strawberry.Private[Words]
    field: str = strawberry.field(
        description='The member of the input in camelCase, for example "lookupUrl"; "input" for the whole of it.'
    )

    @strawberry.field(description="One sentence for the person who filled in the form.")
    def message(self, locale: Language = Locale.EN) -> str:
        """The problem in words."""
        return self.words.said_in(locale)


@strawberry.type(description="The input breaks at least one rule; nothing was changed.")
class InvalidInput(Error):
    """Every problem at once, so that a form can show them all."""

    problems: list[InputProblem] = strawberry.field(description="Every problem found, in the order of the members.")

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> InvalidInput:
        """The refusal with these problems."""
        return cls(
            words=_INVALID_INPUT,
            problems=[InputProblem(field=problem.field, words=problem.words) for problem in problems],
        )


class InvalidConnectorHandler(strawberry.ExceptionHandler[InvalidConnector, InvalidInput]):
    """Turns a refused connector into the member of the result that says so."""

    def handle(self, exception: InvalidConnector, *, field: StrawberryField, info: Info[Any, Any]) -> InvalidInput:  # noqa: ARG002
        """The refusal as data."""
        return InvalidInput.of(exception.problems)
