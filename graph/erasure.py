"""Forgetting a requester, and the receipt for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.audit import AuditAction, Deed
from domain.errors import InvalidAddress, Problem
from domain.identity import email_address
from graph.context import Info
from graph.errors import InvalidInput
from lookups.updates import requester_topic

if TYPE_CHECKING:
    from domain.erasure import Erased


@strawberry.type(description="How many of each were removed.")
class Erasure:
    """Counts, and no word of what they count."""

    answers: int = strawberry.field(description="What connectors had said of the address.")
    lookups: int = strawberry.field(description="Entries of the connectors' logs, those under way included.")
    under_way: int = strawberry.field(description="Of these, lookups that had not ended; they store nothing when they do.")
    responses: int = strawberry.field(description="Of these, entries that held a raw response.")
    names: int = strawberry.field(description="Tickets and messages from which the requester's name was taken.")

    @classmethod
    def of(cls, erased: Erased) -> Self:
        """Made from the domain's counts."""
        return cls(
            answers=erased.answers,
            lookups=erased.lookups,
            under_way=erased.under_way,
            responses=erased.responses,
            names=erased.names,
        )


@strawberry.type(description="The requester is forgotten. All zero: nothing was known.")
class RequesterForgotten:
    """A receipt; keep it, for the audit log does not name the address."""

    email: str = strawberry.field(description="The address in its one form: lower case, the domain in ASCII.")
    forgotten_at: datetime = strawberry.field(description="When, in UTC.")
    erased: Erasure = strawberry.field(description="How many of each were removed.")


ForgetRequesterResult = Annotated[
    RequesterForgotten | InvalidInput,
    strawberry.union("ForgetRequesterResult", description="A receipt, or why nothing was removed."),
]


async def forget_requester(
    info: Info, email: Annotated[str, strawberry.argument(description="The address to forget, however it is written.")]
) -> ForgetRequesterResult:
    """Remove, tell whoever watches, then see to it that the bytes do not linger."""
    try:
        address = email_address(email)
    except InvalidAddress as error:
        return InvalidInput.of([Problem("email", error.words)])
    services, workspace_id = info.context.services, info.context.workspace_id
    now = services.now()
    async with services.database.workspace(workspace_id, at_length=True) as store:
        erased = await store.requesters.forget(address)
        await store.audit.add(info.context.caller, Deed(action=AuditAction.REQUESTER_FORGOTTEN, erased=erased), now)
    if erased.anything:
        await services.updates.announce(workspace_id, requester_topic(address))
        await services.database.scrub()
    return RequesterForgotten(email=address, forgotten_at=now, erased=Erasure.of(erased))
