"""The header field in which a mail server writes what it found out about a sender (RFC 8601), read in linear time.

Anybody can write such a field, so only the topmost one that bears the name of the operator's own server is read, and strictly:
one that is not written to the letter says nothing. The library for it (authres) has not been kept since 2019.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from domain.verification import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_FIELD = 1 << 14
_WRITER = re.compile(r'\s*+"?+([^\s";()]++)')
_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"|\\.|[()";]|[^"\\();]++|\\', re.DOTALL)
_MARK_IN_COMMENT = re.compile(r"\\.|[()]|[^\\()]++|\\", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_VALUE = r'((?:"(?:[^"\\]|\\.)*+"|[^\s"])++)'
_METHOD = re.compile(r"\s*+([a-z][a-z0-9-]*+)(?:\s*+/\s*+1)?+\s*+=\s*+([a-z]++)(?=\s|$)", re.IGNORECASE)
_PROPERTY = re.compile(rf"\s++([a-z][a-z0-9.-]*+)\s*+=\s*+{_VALUE}(?=\s|$)", re.IGNORECASE)
_SERVER = re.compile(rf"\s*+{_VALUE}(?:\s++1)?+\s*+")


def checks_of(fields: Sequence[str], authserv_id: str | None) -> list[Check]:
    """The checks of the server ``authserv_id``, from the first of these fields that bears its name; none where it is not set."""
    if authserv_id is None:
        return []
    own = (text for text in fields if (writer := _WRITER.match(text)) and writer[1].lower() == authserv_id.lower())
    return _read(next(own, "")) or []


def _read(text: str) -> list[Check] | None:
    """Every check in the field; None when any of it is not written as RFC 8601, 2.2, says."""
    if len(text) > _MAX_FIELD or (statements := _statements(text)) is None:
        return None
    server, *results = statements
    checks = [_check(result) for result in results if result.strip() not in {"", "none"}]
    readable = [check for check in checks if check is not None]
    return readable if _SERVER.fullmatch(server) and len(readable) == len(checks) else None


def _statements(text: str) -> list[str] | None:
    """What stands between the semicolons, without comments; None where a comment or a quotation is never closed."""
    statements, depth, place = [""], 0, 0
    while found := (_MARK_IN_COMMENT if depth else _MARK).match(text, place):
        place = found.end()
        match found[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
                statements[-1] += " "
            case _ if depth > 0:
                continue
            case ";":
                statements.append("")
            case '"':
                return None
            case mark:
                statements[-1] += mark
        if depth < 0:
            return None
    return None if depth else statements


def _check(statement: str) -> Check | None:
    method = _METHOD.match(statement)
    if method is None:
        return None
    properties: dict[str, str] = {}
    place = method.end()
    while found := _PROPERTY.match(statement, place):
        if properties.setdefault(found[1].lower(), value := _unquoted(found[2])) != value:
            return None
        place = found.end()
    return None if statement[place:].strip() else Check(method[1].lower(), method[2].lower(), properties)


def _unquoted(value: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') and value.endswith('"') else value
