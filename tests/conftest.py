"""What every test may ask for, and the rule that nothing is skipped where everything is there."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import create_engine

from persistence import migrations
from tests.flows.desk import Desk
from tests.stage.crm import Crm, open_crm
from tests.stage.helpdesk import Helpdesk, open_helpdesk
from tests.stage.postgres import PostgreSQL, open_postgresql
from tests.stage.redis import RedisServer, redis_on_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

structlog.configure(  # a red test shows what went wrong only, and a traceback takes no second to draw
    processors=[structlog.stdlib.add_log_level, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
)

_REQUIRE_ALL = os.environ.get("DISQUA_REQUIRE_ALL") == "1"
_REQUIRE_CORPORA = os.environ.get("DISQUA_REQUIRE_CORPORA") == "1"
_CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _skipped_is_failed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _skipped_is_failed(report)
    return report


def _skipped_is_failed(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure under DISQUA_REQUIRE_ALL=1: there, everything that a test needs is installed."""
    if _REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped here. {report.longreprtext}"


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Test data that nobody here wrote: it lies beside the repository and is never copied into it."""
    if _CORPORA.is_dir():
        return _CORPORA
    reason = "the test data of ../shared/corpora is not here"
    if _REQUIRE_CORPORA:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what has a database in play on each kind of database; what asks for the ``file`` is about SQLite's alone."""
    if "database_kind" in metafunc.fixturenames:
        kinds = ["sqlite"] if "file" in metafunc.fixturenames else ["sqlite", "postgresql"]
        metafunc.parametrize("database_kind", kinds, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A PostgreSQL server for all the tests of this process that do it no harm."""
    with _postgresql_if_installed(careful=False) as server:
        yield server


@pytest.fixture(scope="session")
def fragile_postgres() -> Iterator[PostgreSQL]:
    """One that tests stop, suspend and kill, and leave running; as careful of what is committed as in production."""
    with _postgresql_if_installed(careful=True) as server:
        yield server


@contextmanager
def _postgresql_if_installed(*, careful: bool) -> Iterator[PostgreSQL]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(open_postgresql(careful=careful))
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the newest schema, made once and copied for every test."""
    file = tmp_path_factory.mktemp("template") / "disqua.sqlite3"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migrations.upgrade(connection)
    engine.dispose()
    return file


@pytest.fixture
def file(_migrated: Path, tmp_path: Path) -> Path:
    """The database file, for a look at it from outside."""
    copy = tmp_path / "disqua.sqlite3"
    shutil.copy(_migrated, copy)
    return copy


@pytest.fixture
def url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own, on each kind of server in turn; whoever asks for ``file`` is about SQLite alone."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{request.getfixturevalue('file')}"
    else:
        postgres: PostgreSQL = request.getfixturevalue("postgres")
        with postgres.database() as name:
            yield postgres.url(name, scheme="postgresql+asyncpg")


@pytest.fixture
async def crm() -> AsyncIterator[Crm]:
    """A company's endpoints, on a real socket."""
    async with open_crm() as opened:
        yield opened


@pytest.fixture
async def helpdesk(tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product with one workspace, on real sockets over a database file of its own."""
    async with open_helpdesk(tmp_path / "data") as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for tests that do it no harm; who breaks it takes one of their own from ``redis_on_stage``."""
    with redis_on_stage() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_product(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Helpdesk]:
    """One running product for many stories, on each kind of database in turn; starting it takes longer than most of them."""
    data_dir = tmp_path_factory.mktemp("product") / "data"
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if database_kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            settings["database_url"] = postgres.url(stack.enter_context(postgres.database()))
        yield await stack.enter_async_context(open_helpdesk(data_dir, **settings))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(shared_product: Helpdesk) -> Desk:
    """A new workspace in the running product; for tests in the session's event loop."""
    product, address = shared_product, f"support@{uuid4().hex}.example"
    workspace_id = await product.add_workspace("Firma", address)
    return Desk(product.parts, product.port, workspace_id, product.server, address)


@pytest_asyncio.fixture(loop_scope="session")
async def company(desk: Desk) -> AsyncIterator[Crm]:
    """The endpoints of the workspace's company."""
    async with open_crm() as opened:
        yield opened
