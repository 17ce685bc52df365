"""What a promise may ask for: its full or its daily size, and a place in the table of docs/security.md."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.promises.table import Proof, write_table
from tests.stage.farm import FULL_SIZE
from tests.stage.helpdesk import Helpdesk, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.stage.postgres import PostgreSQL

    Figure = Callable[[str, str | int | float], None]

_FIGURE = "figure "


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", type=Path, metavar="PAGE", help="write the table of promises into this page")


def pytest_itemcollected(item: pytest.Item) -> None:
    """A promise is measured as it will be kept: without the tracer of coverage, which other tests feed."""
    item.add_marker("timed")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Put a figure beside the promise: in one file, counts (int) of one label add up, of measures (float) the highest stays."""

    def record(label: str, value: str | float) -> None:
        record_property(f"{_FIGURE}{label}", value)

    return record


@pytest.fixture
def size() -> Callable[[int], int]:
    """How many cases to generate: all of them under DISQUA_FULL_SIZE=1, else a tenth."""
    return lambda full: full if FULL_SIZE else max(1, full // 10)


@pytest.fixture
async def product(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product, on each kind of database in turn."""
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if database_kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            settings["database_url"] = postgres.url(stack.enter_context(postgres.database()))
        yield await stack.enter_async_context(open_helpdesk(tmp_path / "data", **settings))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Write the table once everything has passed; with ``-n`` this runs in the process that collects the reports."""
    page = config.getoption("promises", default=None)
    if page is None:
        return
    proofs: defaultdict[str, Proof] = defaultdict(Proof)
    for report in terminalreporter.stats.get("passed", []):
        proof = proofs[report.nodeid.partition("::")[0]]
        proof.tests += 1
        for name, value in report.user_properties:
            if name.startswith(_FIGURE):
                proof.add(name.removeprefix(_FIGURE), value)
    missing = {str(file.relative_to(config.rootpath)) for file in Path(__file__).parent.glob("test_*.py")} - proofs.keys()
    if exitstatus != pytest.ExitCode.OK or terminalreporter.stats.get("skipped") or missing or not FULL_SIZE:
        terminalreporter.write_line(f"{page} stays as it is: not every promise was proved at its full size")
    else:
        terminalreporter.write_line(write_table(page, proofs, root=config.rootpath))
