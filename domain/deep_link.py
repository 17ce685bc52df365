"""The link from a panel into the CRM: a template whose only placeholder is ``{customer_id}``."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from domain.words import Words, czech_number

PLACEHOLDER: Final = "{customer_id}"
MAX_TEMPLATE: Final = 2048

_UNSAFE = re.compile(r"[\s\\<>\"^`|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SITE = re.compile(r"(?:[^\[\]%:]+|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?")

_TOO_LONG = Words(
    en=f"The template may be at most {MAX_TEMPLATE:,} characters long.",
    cs=f"Šablona smí mít nejvýš {czech_number(MAX_TEMPLATE)} znaků.",
)
_NO_PLACEHOLDER = Words(
    en=f"The template needs the placeholder {PLACEHOLDER}.",
    cs=f"V šabloně chybí zástupný symbol {PLACEHOLDER}.",
)
_OTHER_BRACES = Words(
    en=f"{PLACEHOLDER} is the only placeholder; no other braces may appear.",
    cs=f"{PLACEHOLDER} je jediný zástupný symbol; jiné složené závorky v šabloně být nesmějí.",
)
_STRANGE_CHARACTER = Words(
    en="The template contains a character that no URL has.",
    cs="Šablona obsahuje znak, který v URL být nemůže.",
)
_NO_URL = Words(
    en="The template is not a URL.",
    cs="Šablona není URL.",
)
_OTHER_SCHEME = Words(
    en="The template must begin with https:// or http://.",
    cs="Šablona musí začínat https:// nebo http://.",
)
_NO_SITE = Words(
    en="The template needs a host name and no user name.",
    cs="Šablona musí obsahovat název serveru a nesmí obsahovat uživatelské jméno.",
)
_IN_HOST = Words(
    en=f"{PLACEHOLDER} may stand in the path, the query or the fragment, not in the host.",
    cs=f"{PLACEHOLDER} smí být v cestě, v dotazu nebo za křížkem, ne v názvu serveru.",
)
_BAD_HOST = Words(
    en="The template needs a valid host name.",
    cs="Název serveru v šabloně není platný.",
)


def template_problem(template: str) -> Words | None:
    """Say what is wrong with a link template, or None when links made from it stay on its site."""
    if len(template) > MAX_TEMPLATE:
        return _TOO_LONG
    if PLACEHOLDER not in template:
        return _NO_PLACEHOLDER
    rest = template.replace(PLACEHOLDER, "")
    if "{" in rest or "}" in rest:
        return _OTHER_BRACES
    if _UNSAFE.search(rest):
        return _STRANGE_CHARACTER
    try:
        parts = urlsplit(template)
        _ = parts.port
    except ValueError:
        return _NO_URL
    if parts.scheme not in {"http", "https"} or not template.lower().startswith(f"{parts.scheme}://"):
        return _OTHER_SCHEME
    if not parts.hostname or "@" in parts.netloc:
        return _NO_SITE
    if PLACEHOLDER in parts.netloc:
        return _IN_HOST
    if not _SITE.fullmatch(parts.netloc):
        return _BAD_HOST
    return None


def deep_link(template: str | None, customer_id: str | None) -> str | None:
    """The address of this customer, or None without an id or for ``.`` and ``..``, which browsers collapse."""
    if template is None or not customer_id or customer_id in {".", ".."}:
        return None
    return template.replace(PLACEHOLDER, quote(customer_id, safe=""))
