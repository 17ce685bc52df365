"""Why an asking brought no answer: a closed list, each with the sentence a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.words import Words


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
    FailureKind.HTTP_STATUS: Words(
        en="The endpoint answered with HTTP status {status}.", cs="Endpoint odpověděl stavem HTTP {status}."
    ),
    FailureKind.REDIRECT: Words(
        en="The endpoint answered with a redirect (HTTP {status}), which is not followed; put the final URL into the connector.",
        cs="Endpoint odpověděl přesměrováním (HTTP {status}), které nesledujeme; zadejte do connectoru rovnou cílovou adresu.",
    ),
    FailureKind.INVALID_JSON: Words(en="The answer is not valid JSON in UTF-8.", cs="Odpověď není platný JSON v UTF-8."),
    FailureKind.INVALID_RESPONSE: Words(
        en='The answer is not a JSON object with "found" set to true or false.',
        cs="Odpověď není objekt JSON, který by měl ve „found“ hodnotu true nebo false.",
    ),
    FailureKind.EMPTY_BODY: Words(en="The endpoint answered without a body.", cs="Endpoint odpověděl bez obsahu."),
    FailureKind.TOO_LARGE: Words(en="The answer is larger than 64 KiB.", cs="Odpověď je větší než 64 KiB."),
    FailureKind.ENCODING: Words(
        en="The answer is compressed or otherwise encoded; send it as it is.",
        cs="Odpověď je komprimovaná nebo jinak kódovaná; posílejte ji tak, jak je.",
    ),
    FailureKind.DNS: Words(
        en="The name of the endpoint could not be resolved.", cs="Název serveru endpointu se nepodařilo přeložit na adresu."
    ),
    FailureKind.CONNECT: Words(en="No connection to the endpoint could be made.", cs="K endpointu se nepodařilo připojit."),
    FailureKind.RESET: Words(
        en="The endpoint closed the connection before its answer was complete.",
        cs="Endpoint ukončil spojení dřív, než odpověď dokončil.",
    ),
    FailureKind.TLS: Words(
        en="No trusted TLS connection to the endpoint could be made; check its certificate.",
        cs="S endpointem se nepodařilo navázat důvěryhodné spojení TLS; zkontrolujte jeho certifikát.",
    ),
    FailureKind.PROTOCOL: Words(en="The endpoint did not speak proper HTTP.", cs="Endpoint neodpověděl správným HTTP."),
    FailureKind.BLOCKED_ADDRESS: Words(en="This address is not allowed.", cs="Tato adresa není povolená."),
    FailureKind.SECRET_UNREADABLE: Words(
        en="The connector's secret cannot be opened with the present keys; set it again.",
        cs="Secret connectoru se současnými klíči nejde rozšifrovat; zadejte ho znovu.",
    ),
    FailureKind.INTERRUPTED: Words(
        en="The lookup was interrupted before it had an outcome.", cs="Dotaz byl přerušen dřív, než něco přinesl."
    ),
    FailureKind.TIMEOUT: Words(
        en="The endpoint gave no complete answer within 3 seconds.", cs="Endpoint do 3 sekund neposlal úplnou odpověď."
    ),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A lookup that brought no answer; ``http_status`` is set once a status line had arrived."""

    kind: FailureKind
    http_status: int | None = None

    @property
    def words(self) -> Words:
        """One sentence for the person who looks at the panel; never a byte of the response."""
        sentence = _SENTENCES[self.kind]
        return Words(en=sentence.en.format(status=self.http_status), cs=sentence.cs.format(status=self.http_status))
