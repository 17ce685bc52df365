"""Why an asking brought no answer: a closed list, each with the sentence a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """The documented ways in which a lookup can fail."""

    HTTP_STATUS = "HTTP_STATUS"
    REDIRECT = "REDIRECT"
    INVALID_JSON = "INVALID_JSON"
    INVALID_RESPONSE = "INVALID_RESPONSE"
    EMPTY_BODY = "EMPTY_BODY"
    TOO_LARGE = "TOO_LARGE"
    ENCODING = "ENCODING"
    DNS = "DNS"
    CONNECT = "CONNECT"
    RESET = "RESET"
    TLS = "TLS"
    PROTOCOL = "PROTOCOL"
    BLOCKED_ADDRESS = "BLOCKED_ADDRESS"
    SECRET_UNREADABLE = "SECRET_UNREADABLE"  # noqa: S105 - the name of a failure, not a secret
    INTERRUPTED = "INTERRUPTED"
    TIMEOUT = "TIMEOUT"


_SENTENCES = {
    FailureKind.HTTP_STATUS: "The endpoint answered with HTTP status {status}.",
    FailureKind.REDIRECT: (
        "The endpoint answered with a redirect (HTTP {status}), which is not followed; put the final URL into the connector."
    ),
    FailureKind.INVALID_JSON: "The answer is not valid JSON in UTF-8.",
    FailureKind.INVALID_RESPONSE: 'The answer is not a JSON object with "found" set to true or false.',
    FailureKind.EMPTY_BODY: "The endpoint answered without a body.",
    FailureKind.TOO_LARGE: "The answer is larger than 64 KiB.",
    FailureKind.ENCODING: "The answer is compressed or otherwise encoded; send it as it is.",
    FailureKind.DNS: "The name of the endpoint could not be resolved.",
    FailureKind.CONNECT: "No connection to the endpoint could be made.",
    FailureKind.RESET: "The endpoint closed the connection before its answer was complete.",
    FailureKind.TLS: "No trusted TLS connection to the endpoint could be made; check its certificate.",
    FailureKind.PROTOCOL: "The endpoint did not speak proper HTTP.",
    FailureKind.BLOCKED_ADDRESS: "This address is not allowed.",
    FailureKind.SECRET_UNREADABLE: "The connector's secret cannot be opened with the present keys; set it again.",
    FailureKind.INTERRUPTED: "The lookup was interrupted before it had an outcome.",
    FailureKind.TIMEOUT: "The endpoint gave no complete answer within 3 seconds.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A lookup that brought no answer; ``http_status`` is set once a status line had arrived."""

    kind: FailureKind
    http_status: int | None = None

    @property
    def message(self) -> str:
        """One sentence for the person who looks at the panel; never a byte of the response."""
        return _SENTENCES[self.kind].format(status=self.http_status)
