"""One running product for many stories: each has a workspace of its own in it, and endpoints of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest_asyncio

from tests.flows.desk import Desk
from tests.stage.crm import Crm, open_crm
from tests.stage.helpdesk import Helpdesk, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.stage.postgres import PostgreSQL


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Helpdesk]:
    """The whole product, on each kind of database in turn; starting it takes longer than most stories."""
    data_dir = tmp_path_factory.mktemp("product") / "data"
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if database_kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            settings["database_url"] = postgres.url(stack.enter_context(postgres.database()))
        yield await stack.enter_async_context(open_helpdesk(data_dir, **settings))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(product: Helpdesk) -> Desk:
    """A new workspace in the running product; for tests in the session's event loop."""
    address = f"support@{uuid4().hex}.example"
    workspace_id = await product.add_workspace("Firma", address)
    return Desk(product.parts, product.port, workspace_id, product.server, address)


@pytest_asyncio.fixture(loop_scope="session")
async def company(desk: Desk) -> AsyncIterator[Crm]:
    """The endpoints of the workspace's company."""
    async with open_crm() as opened:
        yield opened
