"""The link from a panel into the CRM: a template whose only placeholder is ``{customer_id}``."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

PLACEHOLDER: Final = "{customer_id}"
MAX_TEMPLATE: Final = 2048

_UNSAFE = re.compile(r"[\s\\<>\"^`|\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SITE = re.compile(r"(?:[^\[\]%:]+|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?")


def template_problem(template: str) -> str | None:
    """Say what is wrong with a link template, or None when links made from it stay on its site."""
    if len(template) > MAX_TEMPLATE:
        return f"The template may be at most {MAX_TEMPLATE:,} characters long."
    if PLACEHOLDER not in template:
        return f"The template needs the placeholder {PLACEHOLDER}."
    rest = template.replace(PLACEHOLDER, "")
    if "{" in rest or "}" in rest:
        return f"{PLACEHOLDER} is the only placeholder; no other braces may appear."
    if _UNSAFE.search(rest):
        return "The template contains a character that no URL has."
    try:
        parts = urlsplit(template)
        _ = parts.port
    except ValueError:
        return "The template is not a URL."
    if parts.scheme not in {"http", "https"} or not template.lower().startswith(f"{parts.scheme}://"):
        return "The template must begin with https:// or http://."
    if not parts.hostname or "@" in parts.netloc:
        return "The template needs a host name and no user name."
    if PLACEHOLDER in parts.netloc:
        return f"{PLACEHOLDER} may stand in the path, the query or the fragment, not in the host."
    if not _SITE.fullmatch(parts.netloc):
        return "The template needs a valid host name."
    return None


def deep_link(template: str | None, customer_id: str | None) -> str | None:
    """The address of this customer, or None without an id or for ``.`` and ``..``, which browsers collapse."""
    if template is None or not customer_id or customer_id in {".", ".."}:
        return None
    return template.replace(PLACEHOLDER, quote(customer_id, safe=""))
