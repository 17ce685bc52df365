"""The command line: ``disqua``."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
from rich.console import Console

from domain.errors import DomainError, InvalidAddress
from domain.identity import Role, WorkspaceId, email_address, support_address
from persistence.database import DatabaseAway
from persistence.encryption import new_key_entry
from server.clock import utc_now
from server.console import warn_if_not_built
from server.database import bring_up_to_date, open_database
from server.database import migrate as bring_to_newest
from server.listen import MailDoor
from server.logs import set_up_logs
from server.settings import PREFIX, Settings, WrongSetting, load_settings
from server.tokens import claims_of, open_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from domain.identity import EmailAddress
    from persistence.database import Database

app = typer.Typer(
    name="disqua",
    help="Disqua CRM Connector: who is writing, live beside the ticket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Encryption keys.", no_args_is_help=True)
workspace = typer.Typer(help="Workspaces and their support addresses.", no_args_is_help=True)
address = typer.Typer(help="Support addresses of a workspace.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens: print a new one, look at one, take one back.")
app.add_typer(tokens, name="token")
app.add_typer(keys, name="keys")
app.add_typer(workspace, name="workspace")
workspace.add_typer(address, name="address")

_errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
_T = TypeVar("_T")
_SUSPENDED = "\tsuspended"
_MAX_TOKEN_ID = 1000
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Refusal(Exception):
    """A command that cannot be carried out; its text is the one line that says why."""


def main() -> None:
    """Run the command line; whatever a person can put right is one line on standard error and exit code 1."""
    try:
        app()
    except (WrongSetting, Refusal, DomainError) as error:
        _fail(str(error))
    except DatabaseAway as error:
        _fail(f"the database cannot be used: {str(error).splitlines()[0]}")


def _fail(reason: str) -> NoReturn:
    _errors.print(f"disqua: {' '.join(reason.split())}", style="red")
    sys.exit(1)


_Port = Annotated[int, typer.Option(min=0, max=65535, help="Its port; 0 takes a free one.")]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Where the API listens.")] = "127.0.0.1",
    port: _Port = 8000,
    smtp_host: Annotated[str, typer.Option(help="Where mail is taken.")] = "127.0.0.1",
    smtp_port: _Port = 8025,
    lmtp: Annotated[bool, typer.Option("--lmtp", help="Speak LMTP instead of SMTP.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one needs Redis.")] = 1,
) -> None:
    """Serve the API and take mail."""
    settings = _start()
    warn_if_not_built()
    mail = MailDoor(smtp_host, smtp_port, lmtp)
    if workers > 1:
        _serve_in_several(settings, host, port, mail, workers)
        return
    from server.app import Parts  # noqa: PLC0415 - the other commands start faster without it
    from server.serve import serve as run  # noqa: PLC0415 - as above

    run(Parts(settings), host=host, port=port, mail=mail)


def _serve_in_several(settings: Settings, host: str, port: int, mail: MailDoor, workers: int) -> None:
    from server.supervisor import NeverServed, serve_in_several  # noqa: PLC0415 - the other commands start faster without it

    if settings.redis_url is None:
        message = f"--workers {workers} needs Redis ({PREFIX}REDIS_URL); set it, or leave it at 1"
        raise Refusal(message)
    try:
        serve_in_several(settings, host=host, port=port, mail=mail, workers=workers)
    except NeverServed as error:
        raise Refusal(str(error)) from None


@app.command()
def worker(
    host: Annotated[str, typer.Option(help="Where the probes listen.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve /healthz, /readyz and /metrics here; left out, nowhere.")
    ] = None,
) -> None:
    """Run lookups in a process of its own (needs Redis)."""
    from server.app import Parts  # noqa: PLC0415 - the other commands start faster without it
    from server.work import work  # noqa: PLC0415 - as above

    settings = _start()
    if settings.redis_url is None:
        message = f"a worker needs Redis ({PREFIX}REDIS_URL); without it `disqua serve` runs the lookups itself"
        raise Refusal(message)
    work(Parts(settings), host=host, port=port)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End with exit code 0 when every panel has settled.")] = False,
) -> None:
    """Show the whole story on embedded parts, in a data folder of its own."""
    from server.demo.demo import run_demo  # noqa: PLC0415 - the other commands start faster without it

    sys.exit(run_demo(once=once))


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = _start()

    async def run() -> str:
        database = open_database(settings)
        try:
            return await bring_to_newest(settings, database)
        finally:
            await database.close()

    _errors.print(asyncio.run(run()))


@tokens.callback(invoke_without_command=True)
def token(
    context: typer.Context,
    workspace_id: Annotated[str | None, typer.Option("--workspace", help="The workspace's id.")] = None,
    role: Annotated[Role | None, typer.Option(help="What its holder may do.")] = None,
    name: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 30m, 12h, 90d.")] = "12h",
) -> None:
    """Print a new token, alone on standard output."""
    if context.invoked_subcommand is not None:
        return
    for option, value in (("--workspace", workspace_id), ("--role", role)):
        if value is None:
            context.fail(f"Missing option '{option}'.")
    assert workspace_id is not None  # noqa: S101 - asked for above
    assert role is not None  # noqa: S101 - asked for above
    _issue(workspace_id, role, name, ttl)


def _issue(workspace_id: str, role: Role, name: str | None, ttl: str) -> None:
    settings, lifetime = _start(), _duration(ttl)

    async def issue(database: Database) -> str:
        found = await _existing_workspace(database, workspace_id)
        try:
            return open_tokens(settings, database).issue(found, role, name=name, ttl=lifetime)
        except ValueError as error:
            raise Refusal(str(error)) from None

    typer.echo(_with_database(settings, issue))


_Token = Annotated[str, typer.Argument(metavar="TOKEN", help="A token.")]
_TokenOrId = Annotated[str, typer.Argument(metavar="JTI", help="The token's id (its claim jti), or the token itself.")]


@tokens.command("show")
def token_show(text: _Token) -> None:
    """Print what a token says of itself, genuine or not, and whether it has been revoked: a line each."""
    claims = claims_of(text)
    if claims is None:
        message = "this is no token"
        raise Refusal(message)

    async def revoked(database: Database) -> bool:
        async with database.operator_reading() as store:
            return await store.revocations.contains(str(claims.get("jti")))

    ends = _end_of(claims)
    shown = {name: claims.get(name) for name in ("jti", "sub", "name", "workspace", "role")}
    for name, value in (shown | {"exp": ends, "revoked": "yes" if _with_database(_start(), revoked) else "no"}).items():
        typer.echo(f"{name}\t{'' if value is None else value}")


@tokens.command("revoke")
def token_revoke(text: _TokenOrId) -> None:
    """Take a token back: within 5 seconds it opens nothing, and what it had opened is closed."""
    claims = claims_of(text) or {"jti": text}
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not (token_id.isprintable() and 0 < len(token_id) <= _MAX_TOKEN_ID):
        message = "a token without an id (jti) cannot be revoked; let it expire, or change the key that signed it"
        raise Refusal(message)

    async def revoke(database: Database) -> bool:
        async with database.operator() as store:
            return await store.revocations.add(token_id, utc_now(), expires_at=_end_of(claims))

    _errors.print("Revoked." if _with_database(_start(), revoke) else "It had been revoked before.")


def _end_of(claims: dict[str, Any]) -> datetime | None:
    """When a token ends, if it says so."""
    try:
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


@app.command()
def schema() -> None:
    """Print the GraphQL schema (equal to schema.graphql)."""
    from graph.schema import build_schema, sdl  # noqa: PLC0415 - the other commands start faster without it

    typer.echo(sdl(build_schema()), nl=False)


@app.command()
def doctor(
    smtp_host: Annotated[str, typer.Option(help="Where mail is taken.")] = "127.0.0.1",
    smtp_port: Annotated[int, typer.Option(min=1, max=65535, help="Its port.")] = 8025,
) -> None:
    """Check settings, keys, database, Redis, the mail port and the console: a line each, exit code 1 if one is wrong."""
    from server.doctor import examine  # noqa: PLC0415 - the other commands start faster without it

    sys.exit(0 if examine(Console(highlight=False, soft_wrap=True, emoji=False), smtp_host=smtp_host, smtp_port=smtp_port) else 1)


@keys.command("new")
def keys_new() -> None:
    """Print a new entry for DISQUA_ENCRYPTION_KEYS, alone on standard output."""
    typer.echo(new_key_entry())
    _errors.print(
        f"Put it first in {PREFIX}ENCRYPTION_KEYS (or in encryption.keys of the data folder), keep the old entries "
        "behind it, restart, then run `disqua keys rotate`."
    )


@keys.command("rotate")
def keys_rotate() -> None:
    """Encrypt every stored secret under the primary key, the first one."""

    async def rotate(database: Database) -> None:
        async with database.operator() as store:
            rotated, unreadable = await store.credentials.rotate()
        _errors.print(f"{rotated} secret{'' if rotated == 1 else 's'} encrypted anew.")
        if unreadable:
            names = ", ".join(str(connector_id) for connector_id in unreadable)
            message = f"these connectors' secrets do not open with any key of the ring, set them again: {names}"
            raise Refusal(message)

    _with_database(_start(), rotate)


@workspace.command("create")
def workspace_create(
    name: Annotated[str, typer.Argument(help="What the company calls itself.")],
    addresses: Annotated[list[str], typer.Option("--address", help="A support address; repeat for more.")],
) -> None:
    """Add a workspace and print its id, alone on standard output."""
    if not (name.strip() and name.isprintable()):
        message = "the name of a workspace is one line of text"
        raise Refusal(message)

    async def create(database: Database) -> WorkspaceId:
        async with database.operator() as store:
            return await store.workspaces.create(name.strip(), [_untagged(text) for text in addresses], utc_now())

    typer.echo(str(_with_database(_start(), create)))


@workspace.command("list")
def workspace_list() -> None:
    """Print every workspace: id, name, support addresses and, of one that is suspended, that it is; separated by tabs."""

    async def rows(database: Database) -> list[str]:
        async with database.operator_reading() as store:
            found = await store.workspaces.all()
        return [
            f"{one.id}\t{one.name}\t{' '.join(one.support_addresses)}{_SUSPENDED if one.suspended_at else ''}" for one in found
        ]

    for row in _with_database(_start(), rows):
        typer.echo(row)


_Id = Annotated[str, typer.Argument(metavar="ID", help="The workspace's id.")]
_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The support address.")]


@workspace.command("suspend")
def workspace_suspend(workspace_id: _Id) -> None:
    """Shut every door of a workspace: tokens, sockets, mail (451) and lookups, within 5 seconds."""

    async def suspend(database: Database) -> bool:
        found = await _existing_workspace(database, workspace_id)
        async with database.operator() as store:
            return await store.workspaces.suspend(found, utc_now())

    _errors.print("Suspended." if _with_database(_start(), suspend) else "It had been suspended before.")


@workspace.command("resume")
def workspace_resume(workspace_id: _Id) -> None:
    """Open the doors of a suspended workspace again."""

    async def resume(database: Database) -> bool:
        found = await _existing_workspace(database, workspace_id)
        async with database.operator() as store:
            return await store.workspaces.resume(found)

    _errors.print("Resumed." if _with_database(_start(), resume) else "It was not suspended.")


@address.command("add")
def address_add(workspace_id: _Id, email: _Email) -> None:
    """Let a workspace receive mail at one more address."""

    async def add(database: Database) -> None:
        found = await _existing_workspace(database, workspace_id)
        async with database.operator() as store:
            await store.workspaces.add_address(found, _untagged(email), utc_now())

    _with_database(_start(), add)


@address.command("remove")
def address_remove(workspace_id: _Id, email: _Email) -> None:
    """Take an address away from a workspace."""

    async def remove(database: Database) -> None:
        found = await _existing_workspace(database, workspace_id)
        async with database.operator() as store:
            if not await store.workspaces.remove_address(found, _untagged(email)):
                message = f"{email} is not an address of this workspace"
                raise Refusal(message)

    _with_database(_start(), remove)


def _start() -> Settings:
    settings = load_settings()
    set_up_logs(settings.log_level, production=settings.production)
    return settings


def _with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, _T]]) -> _T:
    """Run ``work`` on the database, once its schema has been seen to."""

    async def run() -> _T:
        database = open_database(settings)
        try:
            await bring_up_to_date(settings, database)
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def _existing_workspace(database: Database, text: str) -> WorkspaceId:
    try:
        workspace_id = WorkspaceId(UUID(text))
    except ValueError:
        message = f"{text} is not a workspace id"
        raise Refusal(message) from None
    async with database.operator_reading() as store:
        if not await store.workspaces.exists(workspace_id):
            message = f"there is no workspace {workspace_id}; `disqua workspace list` shows them"
            raise Refusal(message)
    return workspace_id


def _untagged(text: str) -> EmailAddress:
    try:
        given, canonical = email_address(text), support_address(text)
    except InvalidAddress as error:
        message = f"{text}: {error}"
        raise Refusal(message) from None
    if given != canonical:
        message = f"mail to {given} arrives at {canonical}: give that address"
        raise Refusal(message)
    return canonical


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip())
    if match is None or not int(match[1]):
        message = f"--ttl {text}: give a number and a unit, for example 30m, 12h or 90d"
        raise Refusal(message)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


if __name__ == "__main__":
    main()
