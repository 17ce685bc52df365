"""What real clients send: the documents of the workloads, one text for ours and, by their operations' names, for the floor."""

from __future__ import annotations

import json
from typing import Any

_PANEL = "id status connectorName badge { text color } customer { customerId name deepLink fields { key value } } fetchedAt stale"
_TICKET = f"id subject requester {{ email name }} crmPanels {{ {_PANEL} }}"
TICKET = f"query Ticket($id: ID!) {{ ticket(id: $id) {{ {_TICKET} }} }}"
TICKETS = f"query Tickets($after: String) {{ tickets(first: 20, after: $after) {{ nodes {{ {_TICKET} }} }} }}"
PANELS = f"subscription Panels($id: ID!) {{ crmPanels(ticketId: $id) {{ {_PANEL} }} }}"
RENAME = "mutation Rename($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
PUBLISH = "mutation Publish"
"""To the floor, which knows no connector that could be renamed."""


def request(document: str, **variables: object) -> str:
    """The body of a request, on one line."""
    return json.dumps(_request(document, variables))


def _request(document: str, variables: dict[str, Any]) -> dict[str, Any]:
    name = document.partition(" ")[2].partition("(")[0]
    return {"operationName": name, "query": document, "variables": variables}
