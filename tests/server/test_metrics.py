"""What Prometheus scrapes: names, labels, and that the numbers tell what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

from domain.identity import Role
from domain.lookup import LookupStatus, LookupTrigger
from tests.graph.desk import open_ticket, post
from tests.stage.crm import FOUND, response
from tests.stage.front_end import NO_TLS, send
from tests.stage.helpdesk import REFRESH, TICKET, WATCH, open_helpdesk
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

VIEWER = "{ viewer { name } }"
TEST_CONNECTOR = 'mutation ($id: ID!) { testConnector(id: $id, email: "jan@firma.cz") { __typename } }'


class Scrape:
    """The numbers of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        return self._samples[name, frozenset(labels.items())]

    def ended(self, trigger: str, status: str) -> float:
        return self.of("disqua_lookups_total", trigger=trigger, status=status)


async def scrape(helpdesk: Helpdesk) -> Scrape:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        answer = await client.get(f"{helpdesk.base_url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scrape(answer.text)


async def test_metrics_bear_their_names_and_labels_before_anything_happened(helpdesk: Helpdesk) -> None:
    numbers = await scrape(helpdesk)

    assert {name: family.type for name, family in numbers.families.items()} == {
        "disqua_lookups": "counter",
        "disqua_mail_to_panel_seconds": "histogram",
        "disqua_lookups_open": "gauge",
        "disqua_rings_lost": "counter",
        "disqua_updates_reconnects": "counter",
        "disqua_updates_resyncs": "counter",
        "disqua_updates_dropped": "counter",
        "disqua_operations": "counter",
        "disqua_sockets": "gauge",
        "disqua_database_up": "gauge",
        "disqua_database_seconds": "gauge",
    }
    ended = [sample for sample in numbers.families["disqua_lookups"].samples if sample.name == "disqua_lookups_total"]
    statuses = set(LookupStatus) - {LookupStatus.PENDING}
    assert {(sample.labels["trigger"], sample.labels["status"]) for sample in ended} == {
        (str(trigger), str(status)) for trigger in LookupTrigger for status in statuses
    }
    assert {sample.value for sample in ended} == {0}
    assert numbers["disqua_mail_to_panel_seconds_count"] == 0
    assert numbers["disqua_database_up"] == 1
    assert 0 < numbers["disqua_database_seconds"] < 2


async def test_lookups_are_counted_by_trigger_and_status(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/found": FOUND, "/error": response(500, b"")}
    for path in ("/found", "/not-found", "/error"):
        await helpdesk.connect(crm.url(path), name=path)
    await helpdesk.mail(From="jan@firma.cz", Message_ID="<1@firma.cz>")
    for panel in range(3):
        await helpdesk.settled(panel=panel)
    (ticket,) = await helpdesk.tickets()
    found = ticket["crmPanels"][0]["connectorId"]

    await helpdesk.agent.ask(REFRESH, id=ticket["id"], connector=found)
    await helpdesk.settled()
    await helpdesk.admin.ask(TEST_CONNECTOR, id=found)

    numbers = await scrape(helpdesk)
    counted = {
        (sample.labels["trigger"], sample.labels["status"]): sample.value
        for sample in numbers.families["disqua_lookups"].samples
        if sample.name == "disqua_lookups_total" and sample.value
    }
    assert counted == {
        ("TICKET", "FOUND"): 1,
        ("TICKET", "NOT_FOUND"): 1,
        ("TICKET", "ERROR"): 1,
        ("REFRESH", "FOUND"): 1,
        ("TEST", "FOUND"): 1,
    }


async def test_the_way_from_mail_to_panel_is_timed_for_what_a_ticket_started(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await helpdesk.mail(From="jan@firma.cz", Message_ID="<1@firma.cz>")
    await helpdesk.settled()
    (ticket,) = await helpdesk.tickets()
    await helpdesk.agent.ask(REFRESH, id=ticket["id"])
    await helpdesk.settled()

    numbers = await scrape(helpdesk)

    assert numbers["disqua_mail_to_panel_seconds_count"] == 1
    assert 0 < numbers["disqua_mail_to_panel_seconds_sum"] < 10
    assert numbers.of("disqua_mail_to_panel_seconds_bucket", le="+Inf") == 1


async def test_lookups_that_wait_or_run_are_seen_and_gone_when_they_ended(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    await helpdesk.connect(crm.url())
    for number in range(10):
        await helpdesk.mail(From=f"jan{number}@firma.cz", Message_ID=f"<{number}@firma.cz>")

    async def eight_run() -> bool:
        return len(crm.requests) >= 8

    await eventually(eight_run)
    busy = await scrape(helpdesk)
    release.set()

    def is_open(numbers: Scrape) -> tuple[float, float]:
        return numbers.of("disqua_lookups_open", state="queued"), numbers.of("disqua_lookups_open", state="running")

    async def all_ended() -> bool:
        numbers = await scrape(helpdesk)  # the database is asked first: a lookup may end before the process is
        return numbers.ended("TICKET", "NOT_FOUND") == 10 and is_open(numbers) == (0, 0)

    assert is_open(busy) == (2, 8)
    assert await eventually(all_ended)


async def test_operations_are_counted_by_how_they_are_executed(helpdesk: Helpdesk, tmp_path: Path) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    assert await _counted(helpdesk, 0, 1)
    for _ in range(3):
        await helpdesk.agent.ask(TICKET, id=ticket_id)
    assert await _counted(helpdesk, 2, 2), "the first time is not worth a plan"
    await helpdesk.agent.post(TICKET, {"id": [ticket_id]})
    assert await _counted(helpdesk, 2, 3), "wrong variables are explained by the stock executor"
    async with helpdesk.agent.signed_in() as socket:
        for name, query in (("a query", TICKET), ("the first", WATCH)):
            await send(socket, id=name, type="subscribe", payload={"query": query, "variables": {"id": ticket_id}})
        await eventually(lambda: _counted(helpdesk, 2, 5))
        await send(socket, id="the second", type="subscribe", payload={"query": WATCH, "variables": {"id": ticket_id}})
        await eventually(lambda: _counted(helpdesk, 3, 5))

    async with open_helpdesk(tmp_path / "other", compiled=False) as other:
        for _ in range(3):
            await other.agent.ask(VIEWER)
        assert await _counted(other, 0, 3)


async def _counted(helpdesk: Helpdesk, compiled: int, stock: int) -> bool:
    numbers = await scrape(helpdesk)
    ways = [numbers.of("disqua_operations_total", execution=way) for way in ("compiled", "stock")]
    return ways == [compiled, stock]


async def test_what_is_no_operation_is_not_counted(helpdesk: Helpdesk) -> None:
    await post(helpdesk, b"[]")
    await helpdesk.front_end(Role.MAIL).post(VIEWER)

    assert await _counted(helpdesk, 0, 0)


async def test_sockets_are_counted_while_they_are_open(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in(), helpdesk.agent.signed_in():
        assert (await scrape(helpdesk))["disqua_sockets"] == 2

    async def none_left() -> bool:
        return (await scrape(helpdesk))["disqua_sockets"] == 0

    assert await eventually(none_left)


async def test_a_socket_that_is_not_let_in_is_not_counted_for_ever(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.socket() as socket:
        await socket.send("nonsense")
        await socket.wait_closed()

    async def none_left() -> bool:
        return (await scrape(helpdesk))["disqua_sockets"] == 0

    assert await eventually(none_left)


async def test_a_database_that_is_away_is_seen_and_seen_to_return(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with open_helpdesk(data_dir) as helpdesk:
        before = await scrape(helpdesk)
        await helpdesk.parts.database.close()
        data_dir.rename(tmp_path / "elsewhere")
        away = await scrape(helpdesk)
        (tmp_path / "elsewhere").rename(data_dir)
        back = await scrape(helpdesk)

    assert [numbers["disqua_database_up"] for numbers in (before, away, back)] == [1, 0, 1]


async def test_no_address_and_no_name_is_told_to_prometheus(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    await helpdesk.connect(crm.url(), name="Canary CRM", secretHeaderName="X-Key", secretHeaderValue="canary-secret")
    await helpdesk.mail(From="canary@firma.cz", Subject="Canary", Message_ID="<1@firma.cz>")
    await helpdesk.settled()
    await helpdesk.agent.ask(TICKET, id=(await helpdesk.tickets())[0]["id"])

    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        text = (await client.get(f"{helpdesk.base_url}/metrics")).text.lower()

    assert "canary" not in text
    assert "firma.cz" not in text
