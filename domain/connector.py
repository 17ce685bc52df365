"""How to ask one CRM: a connector's settings, when they are valid, what a change of them undoes."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

import idna

from domain.deep_link import template_problem
from domain.errors import InvalidConnector, Problem
from domain.health import UNTROUBLED, Health
from domain.words import Words, czech_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.identity import ConnectorId
    from domain.secret import Secret

MAX_CONNECTORS: Final = 25
MAX_POSITION: Final = 2**31 - 1  # the largest GraphQL Int
_MAX_NAME = 100
_MAX_URL = 2048
_MAX_HEADER_NAME = 64
_MAX_HEADER_VALUE = 4096
_MAX_TTL_HOURS = 8760
_MAX_PORT = 65535

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_RESERVED_HEADERS = frozenset(
    "cache-control connection cookie cookie2 date expect forwarded from host http2-settings keep-alive max-forwards origin "
    "pragma range referer set-cookie te trailer transfer-encoding upgrade user-agent via traceparent tracestate".split()
)
_RESERVED_PREFIXES = ("accept", "content-", "if-", "proxy-", "sec-", "x-forwarded-", "webhook-")
_URL_CHARACTERS = re.compile(r"[^\s\\<>\"^`{|}\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")  # RFC 1123, 2.1, and the underscore of real networks
_MAX_HOST = 253  # RFC 1035, 2.3.4, in text
_IPV6_SITE = re.compile(r"\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\](?::[0-9]+)?")

_NO_ROOM = Words(
    en=f"A workspace can have at most {MAX_CONNECTORS} connectors.",
    cs=f"V jednom workspace může být nejvýš {MAX_CONNECTORS} connectorů.",
)
_NAME_LENGTH = Words(
    en=f"The name must have 1 to {_MAX_NAME} characters.",
    cs=f"Název musí mít 1 až {_MAX_NAME} znaků.",
)
_NAME_CHARACTER = Words(
    en="The name contains a control character.",
    cs="Název obsahuje řídicí znak.",
)
_NO_VALUE = Words(
    en="A header name needs a value: set both or neither.",
    cs="Název hlavičky potřebuje i hodnotu: vyplňte obojí, nebo nic.",
)
_NO_NAME = Words(
    en="A header value needs a name: set both or neither.",
    cs="Hodnota hlavičky potřebuje i název: vyplňte obojí, nebo nic.",
)
_HEADER_NAME_FORM = Words(
    en=f"The header name must be 1 to {_MAX_HEADER_NAME} letters, digits or any of !#$%&'*+-.^_`|~.",
    cs=f"Název hlavičky tvoří 1 až {_MAX_HEADER_NAME} písmen bez diakritiky, číslic nebo znaků !#$%&'*+-.^_`|~.",
)
_HEADER_RESERVED = Words(
    en="HTTP or the request itself uses this header; choose another, for example X-Api-Key.",
    cs="Tuto hlavičku používá HTTP nebo samotný dotaz; zvolte jinou, třeba X-Api-Key.",
)
_HEADER_VALUE_FORM = Words(
    en=f"The value must be 1 to {_MAX_HEADER_VALUE:,} printable ASCII characters without a space at either end.",
    cs=f"Hodnotu tvoří 1 až {czech_number(_MAX_HEADER_VALUE)} tisknutelných znaků ASCII, bez mezery na začátku a na konci.",
)
_TTL_RANGE = Words(
    en=f"Answers can stay fresh for 0 to {_MAX_TTL_HOURS:,} hours.",
    cs=f"Odpovědi mohou platit 0 až {czech_number(_MAX_TTL_HOURS)} hodin.",
)
_URL_LENGTH = Words(
    en=f"The URL may be at most {_MAX_URL:,} characters long.",
    cs=f"URL smí mít nejvýš {czech_number(_MAX_URL)} znaků.",
)
_NO_URL = Words(
    en="This is not a URL.",
    cs="Tohle není URL.",
)
_URL_CHARACTER = Words(
    en="The URL contains a character that no URL has.",
    cs="URL obsahuje znak, který v URL být nemůže.",
)
_URL_UNCALLABLE = Words(
    en="This is not a URL that can be called.",
    cs="Tohle URL nejde zavolat.",
)
_NO_HTTPS = Words(
    en="The URL must begin with https://.",
    cs="URL musí začínat https://.",
)
_PLAIN_HTTP = Words(
    en="The URL must begin with https://; plain http would send customer data in the clear.",
    cs="URL musí začínat https://; přes http by údaje zákazníků šly nešifrovaně.",
)
_URL_CREDENTIALS = Words(
    en="The URL may not contain a user name or password; use the secret header.",
    cs="URL nesmí obsahovat uživatelské jméno ani heslo; použijte hlavičku se secretem.",
)
_URL_FRAGMENT = Words(
    en="The URL may not have a fragment (#).",
    cs="URL nesmí obsahovat část za křížkem (#).",
)
_PORT_RANGE = Words(
    en="The port must be between 1 and 65535.",
    cs="Port musí být od 1 do 65535.",
)
_NO_PORT = Words(
    en="The URL has a colon but no port.",
    cs="V URL je dvojtečka, ale chybí za ní port.",
)
_BRACKETS = Words(
    en="Only an IPv6 address, without a zone, stands in brackets.",
    cs="V hranatých závorkách smí být jen adresa IPv6 bez zóny.",
)
_ADDRESS_CLOSED = Words(
    en="This address is not allowed.",
    cs="Tato adresa není povolená.",
)
_BAD_HOST = Words(
    en="The URL needs a valid host name.",
    cs="Název serveru v URL není platný.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSettings:
    """What an admin decides about a connector; the secret itself stays write-only."""

    name: str
    lookup_url: str
    secret_header_name: str | None
    has_secret: bool
    link_template: str | None
    cache_ttl: timedelta
    """How long an answer stays fresh; zero = never. Stored and shown in whole hours."""
    log_results: bool
    enabled: bool
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector(ConnectorSettings):
    """Stored settings."""

    id: ConnectorId
    created_at: datetime
    updated_at: datetime
    health: Health = UNTROUBLED
    last_success_at: datetime | None = None
    """When its endpoint last brought an answer, up to a minute too early; tests are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPolicy:
    """What the operator allows a connector to name."""

    plain_http: bool
    address_allowed: Callable[[IPv4Address | IPv6Address], bool]


def check_settings(settings: ConnectorSettings, secret: Secret | None, policy: EndpointPolicy) -> None:
    """Raise InvalidConnector with every problem at once; ``secret`` is a new value, None when there is none to judge."""
    problems = [
        *_name_problems(settings.name),
        *_problem("lookupUrl", _url_problem(settings.lookup_url, policy)),
        *_secret_problems(settings, secret),
        *_problem("linkTemplate", template_problem(settings.link_template) if settings.link_template is not None else None),
        *_number_problems(settings),
    ]
    if problems:
        raise InvalidConnector(problems)


def check_secret_value(field: str, secret: Secret) -> None:
    """Raise InvalidConnector unless a header can carry the secret."""
    if problems := _problem(field, _header_value_problem(secret.reveal())):
        raise InvalidConnector(problems)


def check_room(existing: int) -> None:
    """Raise InvalidConnector when the workspace has as many connectors as it may have."""
    if existing >= MAX_CONNECTORS:
        raise InvalidConnector([Problem("input", _NO_ROOM)])


@dataclass(frozen=True, slots=True)
class Upheaval:
    """What a change of settings undoes."""

    forgets_failures: bool
    drops_answers: bool
    drops_previous_secret: bool
    drops_signing: bool


def upheaval(before: ConnectorSettings, after: ConnectorSettings, *, secret_changed: bool) -> Upheaval:
    """A new URL, header or secret makes old failures meaningless; a new URL makes old answers so, too.

    What was made for one origin is not kept for another: neither the previous secret nor the signing keys.
    """
    url_changed = before.lookup_url != after.lookup_url
    header_changed = before.secret_header_name != after.secret_header_name
    origin_changed = not same_origin(before.lookup_url, after.lookup_url)
    return Upheaval(
        forgets_failures=url_changed or header_changed or secret_changed,
        drops_answers=url_changed,
        drops_previous_secret=origin_changed or header_changed or secret_changed,
        drops_signing=origin_changed,
    )


class Unchanged(Enum):
    """The mark of a secret that a change does not mention."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


def changed_settings(current: Connector, changes: Mapping[str, Any], secret: Secret | Unchanged | None) -> ConnectorSettings:
    """The settings after a change, not yet checked: ``changes`` holds the members that it mentions.

    A secret never follows the URL to another origin: header name and secret go unless the same change sets them.
    """
    settings = replace(current, **changes)
    has_secret = current.has_secret if secret is UNCHANGED else secret is not None
    if not same_origin(current.lookup_url, settings.lookup_url):
        name = settings.secret_header_name if "secret_header_name" in changes else None
        return replace(settings, secret_header_name=name, has_secret=has_secret and secret is not UNCHANGED)
    return replace(settings, has_secret=has_secret)


def same_origin(one: str, other: str) -> bool:
    """Whether two lookup URLs share scheme, host and port (RFC 6454): only then may a stored secret follow.

    A text that is no URL shares its origin with nothing.
    """
    try:
        return _origin(one) == _origin(other)
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port of a lookup URL as one text: the same for all URLs of one origin."""
    scheme, host, port = _origin(url)
    return f"{scheme}://{host}:{port}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, _ascii_host(parts).rstrip("."), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _problem(field: str, words: Words | None) -> list[Problem]:
    return [Problem(field, words)] if words else []


def _name_problems(name: str) -> list[Problem]:
    if not 1 <= len(name) <= _MAX_NAME or not name.strip():
        return [Problem("name", _NAME_LENGTH)]
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name):
        return [Problem("name", _NAME_CHARACTER)]
    return []


def _secret_problems(settings: ConnectorSettings, secret: Secret | None) -> list[Problem]:
    problems = []
    name = settings.secret_header_name
    if name is not None:
        problems += _problem("secretHeaderName", _header_name_problem(name))
    if secret is not None:
        problems += _problem("secretHeaderValue", _header_value_problem(secret.reveal()))
    if name is not None and not settings.has_secret:
        problems.append(Problem("secretHeaderValue", _NO_VALUE))
    if name is None and settings.has_secret:
        problems.append(Problem("secretHeaderName", _NO_NAME))
    return problems


def _header_name_problem(name: str) -> Words | None:
    if len(name) > _MAX_HEADER_NAME or not _HEADER_NAME.fullmatch(name):
        return _HEADER_NAME_FORM
    if name.lower() in _RESERVED_HEADERS or name.lower().startswith(_RESERVED_PREFIXES):
        return _HEADER_RESERVED
    return None


def _header_value_problem(value: str) -> Words | None:
    if len(value) > _MAX_HEADER_VALUE or not _HEADER_VALUE.fullmatch(value):
        return _HEADER_VALUE_FORM
    return None


def _number_problems(settings: ConnectorSettings) -> list[Problem]:
    hours = settings.cache_ttl / timedelta(hours=1)
    if not 0 <= hours <= _MAX_TTL_HOURS:
        return [Problem("cacheTtlHours", _TTL_RANGE)]
    return []


def _url_problem(url: str, policy: EndpointPolicy) -> Words | None:
    if len(url) > _MAX_URL:
        return _URL_LENGTH
    if not _URL_CHARACTERS.fullmatch(url):
        return _NO_URL if not url else _URL_CHARACTER
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _ascii_host(parts)
    except ValueError:
        return _URL_UNCALLABLE
    return _scheme_problem(url, parts, policy) or _site_problem(url, parts, port) or _host_problem(host, policy)


def _scheme_problem(url: str, parts: SplitResult, policy: EndpointPolicy) -> Words | None:
    if parts.scheme not in {"http", "https"} or not url.lower().startswith(f"{parts.scheme}://"):
        return _NO_HTTPS
    if parts.scheme == "http" and not policy.plain_http:
        return _PLAIN_HTTP
    return None


def _site_problem(url: str, parts: SplitResult, port: int | None) -> Words | None:
    if "@" in parts.netloc:
        return _URL_CREDENTIALS
    if "#" in url:
        return _URL_FRAGMENT
    if port is not None and not 1 <= port <= _MAX_PORT:
        return _PORT_RANGE
    if parts.netloc.endswith(":"):
        return _NO_PORT
    if "[" in parts.netloc and not _IPV6_SITE.fullmatch(parts.netloc):
        return _BRACKETS
    return None


def _host_problem(host: str, policy: EndpointPolicy) -> Words | None:
    address = _literal_address(host)
    if address is not None:
        return None if policy.address_allowed(address) else _ADDRESS_CLOSED
    name = host.removesuffix(".")
    if len(name) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return _BAD_HOST
    return None


def _ascii_host(parts: SplitResult) -> str:
    """The host as it will be resolved; raises ValueError (IDNAError is one) where there is none."""
    host = parts.hostname or ""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    return host


def _literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host names without DNS, in any spelling that a resolver takes (127.1, 0x7f000001)."""
    try:
        return IPv6Address(host)
    except AddressValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        return None
