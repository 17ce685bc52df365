"""What a CRM said: read from the wire, repaired where that is harmless, refused where it is not.

An endpoint is written by strangers in every language, so whatever can be shown is shown;
each repair leaves a warning for the admin who tests the connector.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import regex

from domain.failure import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH: Final = 32
MAX_FIELDS: Final = 5
MAX_CUSTOMER_ID: Final = 255
MAX_NAME: Final = 200
MAX_BADGE: Final = 30
MAX_KEY: Final = 60
MAX_VALUE: Final = 500

_MAX_SHOWN_RECEIVED = 100
_MAX_LISTED_WARNINGS = 100  # 64 KiB of broken fields would fill the log of a connector with megabytes
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_GRAPHEME = regex.compile(r"\X")


class BadgeColor(StrEnum):
    """The colours a badge can have."""

    GREEN = "GREEN"
    BLUE = "BLUE"
    YELLOW = "YELLOW"
    RED = "RED"
    GRAY = "GRAY"


@dataclass(frozen=True, slots=True)
class Badge:
    """A short coloured word beside a name."""

    text: str
    color: BadgeColor


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the panel."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Customer:
    """The record on the CRM's side, as far as it can be shown."""

    customer_id: str | None = None
    name: str | None = None
    badge: Badge | None = None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The CRM knows the address."""

    customer: Customer


@dataclass(frozen=True, slots=True)
class NotFound:
    """The CRM does not know the address."""


Answer = Found | NotFound


@dataclass(frozen=True, slots=True)
class AnswerWarning:
    """One repair: where, what was expected, what came.

    ``value`` and the named ``path`` come from the response; ``unlogged`` leaves both out.
    """

    path: str
    expected: str
    received_type: str
    received_value: str | None = None
    anonymous_path: str | None = None

    @property
    def received(self) -> str:
        """What came instead: type and value, or the type alone where values are not kept."""
        return self.received_type if self.received_value is None else f"{self.received_type} {self.received_value}"

    def unlogged(self) -> AnswerWarning:
        """The same warning without a byte of the response."""
        return AnswerWarning(self.anonymous_path or self.path, self.expected, self.received_type)


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer and what had to be repaired in it."""

    answer: Answer
    warnings: tuple[AnswerWarning, ...] = ()


class _Number(str):
    """A JSON number or boolean as it was written in the body."""

    __slots__ = ("type_name",)
    type_name: str

    def __new__(cls, text: str, type_name: str = "number") -> Self:
        number = super().__new__(cls, text)
        number.type_name = type_name
        return number


def read_answer(body: bytes, *, hide: Callable[[str], str] = str) -> Reading | Failure:
    """Read the body of a 2xx response: an answer with its warnings, or the reason why it is none.

    ``hide`` takes the connector's secret out of every text before it is cut, so that no half of one remains.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Failure(FailureKind.INVALID_JSON)
    if not text.strip(" \t\r\n"):
        return Failure(FailureKind.EMPTY_BODY)
    try:
        document = _parse(body, text)
    except (ValueError, RecursionError):
        return Failure(FailureKind.INVALID_JSON)
    if not isinstance(document, dict) or not isinstance(document.get("found"), _Number):
        return Failure(FailureKind.INVALID_RESPONSE)
    match document["found"]:
        case _Number(type_name="boolean") as found:
            if found == "false":
                return Reading(NotFound())
            return _CustomerReader(hide).read(document)
        case _:
            return Failure(FailureKind.INVALID_RESPONSE)


def _parse(body: bytes, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Strict RFC 8259: no NaN, no duplicate keys, at most 32 levels; numbers keep their spelling."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:  # fewer cannot nest deeper, and to look at each takes longer
        _check_depth(body)
    return _DECODER.decode(text)


def _check_depth(body: bytes) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match[0]
        depth += (token in b"[{") - (token in b"]}")
        if depth > MAX_DEPTH:
            message = "nested too deeply"
            raise ValueError(message)


def _refuse_constant(name: str) -> Any:  # noqa: ANN401 - the signature that json asks for
    message = f"{name} is not JSON"
    raise ValueError(message)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {key: _Number(str(value).lower(), "boolean") if isinstance(value, bool) else value for key, value in pairs}
    if len(members) != len(pairs):
        message = "duplicate keys"
        raise ValueError(message)
    return members


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_pairs, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant
)


class _Member(NamedTuple):
    """Where a field stands among the others, and the name that the response gives it."""

    number: int
    key: str

    @property
    def anonymous(self) -> str:
        return f"fields[{self.number}]"


@dataclass(slots=True)
class _CustomerReader:
    """Reads the members of one found answer and collects the warnings on the way."""

    hide: Callable[[str], str]
    warnings: list[AnswerWarning] = field(default_factory=list)
    unlisted: int = 0

    def read(self, document: dict[str, Any]) -> Reading:
        customer = Customer(
            customer_id=self._customer_id(document.get("customer_id")),
            name=self._text("name", document.get("name"), MAX_NAME),
            badge=self._badge(document),
            fields=self._fields(document.get("fields")),
        )
        if self.unlisted:
            expected = f"at most {_MAX_LISTED_WARNINGS} repairs"
            self.warnings.append(AnswerWarning("fields", expected, "object", f"with {self.unlisted} more"))
        return Reading(Found(customer), tuple(self.warnings))

    def _customer_id(self, value: Any) -> str | None:  # noqa: ANN401
        text = self._scalar("customer_id", value)
        if text is None or len(text) <= MAX_CUSTOMER_ID:
            return text
        self._warn("customer_id", f"at most {MAX_CUSTOMER_ID} characters", value)
        return None

    def _badge(self, document: dict[str, Any]) -> Badge | None:
        color = self._color(document.get("badge_color"))
        text = self._text("badge", document.get("badge"), MAX_BADGE)
        return None if text is None else Badge(text, color)

    def _color(self, value: Any) -> BadgeColor:  # noqa: ANN401
        if value in (None, ""):
            return BadgeColor.GRAY
        if isinstance(value, str) and value.upper() in BadgeColor.__members__:
            return BadgeColor[value.upper()]
        self._warn("badge_color", "green, blue, yellow, red or gray", value)
        return BadgeColor.GRAY

    def _fields(self, value: Any) -> tuple[Field, ...]:  # noqa: ANN401
        if value in (None, "", []):
            return ()
        if not isinstance(value, dict):
            self._warn("fields", "an object of names and values", value)
            return ()
        fields = []
        for number, (key, item) in enumerate(value.items()):
            place = _Member(number, key)
            text = self._field_value(place, item)
            if text is not None:
                fields.append(Field(self._cut(place, self._clean(place, key), MAX_KEY, "key"), text))
        if len(fields) > MAX_FIELDS:
            self.warnings.append(AnswerWarning("fields", f"at most {MAX_FIELDS} fields", "object", f"of {len(fields)}"))
        return tuple(fields[:MAX_FIELDS])

    def _field_value(self, place: _Member, value: Any) -> str | None:  # noqa: ANN401
        if value is None:
            self._warn(place, "a text", value)
            return None
        return self._text(place, value, MAX_VALUE)

    def _text(self, place: str | _Member, value: Any, limit: int) -> str | None:  # noqa: ANN401
        text = self._scalar(place, value)
        return None if text is None else self._cut(place, text, limit)

    def _scalar(self, place: str | _Member, value: Any) -> str | None:  # noqa: ANN401
        """The value as clean text; None when it is absent or cannot be one."""
        if value in (None, ""):
            return None
        if not isinstance(value, str):
            self._warn(place, "a text", value)
            return None
        if isinstance(value, _Number):
            self._warn(place, "a text", value)
        return self._clean(place, str(value)) or None

    def _clean(self, place: str | _Member, text: str) -> str:
        cleaned = _cleaned(text)
        if cleaned != text:
            self._warn(place, "a text without NUL, lone surrogates and bidirectional controls", text)
        return self.hide(cleaned)

    def _cut(self, place: str | _Member, text: str, limit: int, what: str = "text") -> str:
        if len(text) <= limit:
            return text
        end = 0
        for count, cluster in enumerate(_GRAPHEME.finditer(text)):
            if count == limit:
                self._warn(place, f"a {what} of at most {limit} characters", text)
                return text[:end]
            end = cluster.end()
        return text

    def _warn(self, place: str | _Member, expected: str, value: Any) -> None:  # noqa: ANN401
        if len(self.warnings) >= _MAX_LISTED_WARNINGS:
            self.unlisted += 1
            return
        path, anonymous = (place, None) if isinstance(place, str) else (f"fields.{self._shown(place.key)}", place.anonymous)
        shown = None if isinstance(value, (dict, list)) or value is None else self._shown(str(value))
        self.warnings.append(AnswerWarning(path, expected, _type_name(value), shown, anonymous))

    def _shown(self, text: str) -> str:
        """A piece of the response that is fit for the log: clean, without the secret, short."""
        cleaned = self.hide(_cleaned(text))
        return cleaned if len(cleaned) <= _MAX_SHOWN_RECEIVED else f"{cleaned[:_MAX_SHOWN_RECEIVED]}…"


def _cleaned(text: str) -> str:
    return _UNSTORABLE.sub(_REPLACEMENT, _BIDI_CONTROLS.sub("", text))


def _type_name(value: Any) -> str:  # noqa: ANN401
    match value:
        case None:
            return "null"
        case _Number():
            return value.type_name
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"
