"""The web console and GraphiQL as browsers get them: what `make console` built into server/web."""

from __future__ import annotations

import secrets
from contextlib import suppress
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Scope

WEB: Final = Path(__file__).with_name("web")
HOW_TO_GET_IT: Final = "`make console` builds it in a clone, and the wheel has it inside"

_log = structlog.get_logger(__name__)
_NONCE = "__CSP_NONCE__"  # what console/vite.config.ts writes where the nonce of a request belongs
_ENCODINGS = {"br": ".br", "gzip": ".gz"}  # the smaller one first; console/compress.mjs writes both
_EVERYWHERE = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"
_CONSOLE = (
    f"{_EVERYWHERE}; style-src 'self' 'nonce-{_NONCE}'"
    " 'sha256-vGQdhYJbTuF+M8iCn1IZCHpdkiICocWHDq4qnQF4Rjw='"  # ScrollArea of Radix
    " 'sha256-441zG27rExd4/il+NvIqyL8zFx5XmyNQtE381kSkUJk='"  # Select of Radix
)
# Monaco writes styles of its own and carries its fonts in them; a nonce here would switch 'unsafe-inline' off.
_GRAPHIQL = f"{_EVERYWHERE}; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:"

_NO_SNIFFING = {"x-content-type-options": "nosniff"}
_OF_A_PAGE = _NO_SNIFFING | {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
}
_OF_OURS = _NO_SNIFFING | {"cross-origin-resource-policy": "same-origin"}
_OF_AN_ASSET = _OF_OURS | {"cache-control": "public, max-age=31536000, immutable"}  # its name has the digest of what is in it
_OF_THE_ICON = _OF_OURS | {"cache-control": "public, max-age=3600"}
_OF_THE_ELEMENT = _NO_SNIFFING | {  # pages of other origins import it as a module
    "access-control-allow-origin": "*",
    "cache-control": "public, max-age=300",
    "cross-origin-resource-policy": "cross-origin",
}


def is_built(web: Path = WEB) -> bool:
    """Whether this installation has the console."""
    return (web / "index.html").is_file()


def warn_if_not_built(web: Path = WEB) -> None:
    """Tell whoever reads the log why a browser sees no console."""
    if not is_built(web):
        _log.warning("this installation has no web console", how_to_get_it=HOW_TO_GET_IT)


def console_routes(web: Path = WEB) -> list[BaseRoute]:
    """The console at /, GraphiQL at /graphiql and what they load; where they were not built, how to get them."""
    if not is_built(web):
        return [Route("/", _not_built), Route("/graphiql", _not_built)]
    return [
        Route("/", Page(web / "index.html", _CONSOLE).show),
        Route("/graphiql", Page(web / "graphiql.html", _GRAPHIQL).show),
        Route("/favicon.svg", Files(web, _OF_THE_ICON).show),
        Mount("/assets", Files(web / "assets", _OF_AN_ASSET)),
        Mount("/embed", Files(web / "embed", _OF_THE_ELEMENT)),
    ]


class Page:
    """A page whose scripts and styles bear a nonce of each request, so that it is never kept."""

    def __init__(self, file: Path, policy: str) -> None:
        """``policy`` is its Content-Security-Policy, with the placeholder of the nonce where that belongs."""
        self._file = file
        self._html = file.read_text(encoding="utf-8")
        self._policy = policy

    async def show(self, _request: Request) -> Response:
        """The page for one request."""
        nonce = secrets.token_urlsafe(16)
        policy = {"content-security-policy": self._policy.replace(_NONCE, nonce)}
        return HTMLResponse(self._newest().replace(_NONCE, nonce), headers=_OF_A_PAGE | policy)

    def _newest(self) -> str:
        """As it stands: an upgrade replaces the page and all that it loads under a process that goes on."""
        with suppress(OSError):  # just now there is neither the old one nor the new one
            self._html = self._file.read_text(encoding="utf-8")
        return self._html


class Files(StaticFiles):
    """A folder of files; beside some lie what was made of them when the console was built, smaller and under another ending."""

    def __init__(self, folder: Path, headers: Mapping[str, str]) -> None:
        """Each answer bears the ``headers``."""
        super().__init__(directory=folder)
        self._headers = headers

    async def show(self, request: Request) -> Response:
        """The file that has the name of the request's path."""
        return await self.get_response(self.get_path(request.scope), request.scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """The file in the smallest form that the browser takes, or the word that it has the newest already."""
        asked, file = Headers(scope=scope), Path(full_path)
        headers = {**self._headers, "vary": "accept-encoding"}
        for encoding, ending in _ENCODINGS.items():
            smaller = file.with_name(file.name + ending)
            if _takes(asked, encoding) and smaller.is_file():
                headers["content-encoding"], full_path, stat_result = encoding, smaller, smaller.stat()
                break
        kind = guess_type(file.name)[0] or "application/octet-stream"
        response = FileResponse(full_path, status_code, headers, media_type=kind, stat_result=stat_result)
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, asked) else response


def _takes(asked: Headers, encoding: str) -> bool:
    """Whether a request takes an encoding that it names (RFC 9110, 12.5.3)."""
    for choice in asked.get("accept-encoding", "").lower().split(","):
        name, _, weight = choice.replace(" ", "").partition(";q=")
        if name == encoding:
            return weight.strip("0.") != "" or not weight
    return False


async def _not_built(_request: Request) -> Response:
    return PlainTextResponse(
        f"Disqua CRM Connector is running, and this installation has no web console: {HOW_TO_GET_IT}.\n",
        status_code=404,
        headers=_NO_SNIFFING | {"cache-control": "no-store"},
    )
