from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import process_time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.connector import (
    MAX_CONNECTORS,
    UNCHANGED,
    Connector,
    ConnectorSettings,
    EndpointPolicy,
    Unchanged,
    changed_settings,
    check_room,
    check_settings,
    same_origin,
    upheaval,
)
from domain.errors import DomainError, InvalidConnector
from domain.identity import ConnectorId
from domain.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = ConnectorSettings(
    name="CRM",
    lookup_url="https://crm.example/lookup",
    secret_header_name="X-Api-Key",
    has_secret=True,
    link_template="https://crm.example/{customer_id}",
    cache_ttl=timedelta(hours=24),
    log_results=True,
    enabled=True,
    position=1,
)
SECRET = Secret("k3y")

ANY_ADDRESS = EndpointPolicy(plain_http=True, address_allowed=lambda _: True)
NO_ADDRESS = EndpointPolicy(plain_http=True, address_allowed=lambda _: False)
PRODUCTION = EndpointPolicy(plain_http=False, address_allowed=lambda _: True)


def fields_refused(
    settings: ConnectorSettings, secret: Secret | None = SECRET, policy: EndpointPolicy = ANY_ADDRESS
) -> list[str]:
    try:
        check_settings(settings, secret, policy)
    except InvalidConnector as refusal:
        return [problem.field for problem in refusal.problems if problem.words.en.endswith(".")]
    return []


def url_refused(url: str, policy: EndpointPolicy = ANY_ADDRESS) -> bool:
    return fields_refused(replace(SETTINGS, lookup_url=url), policy=policy) == ["lookupUrl"]


def judging(judged: list[IPv4Address | IPv6Address]) -> EndpointPolicy:
    """A policy that allows every address and takes down which ones it was asked about."""

    def allowed(address: IPv4Address | IPv6Address) -> bool:
        judged.append(address)
        return True

    return EndpointPolicy(plain_http=True, address_allowed=allowed)


def addresses_judged(host: str) -> list[IPv4Address | IPv6Address]:
    judged: list[IPv4Address | IPv6Address] = []
    assert not url_refused(f"https://{host}/", judging(judged))
    return judged


def test_valid_settings_pass() -> None:
    check_settings(SETTINGS, SECRET, PRODUCTION)


def test_every_problem_is_told_at_once_and_as_the_front_end_spells_it() -> None:
    settings = replace(
        SETTINGS,
        name="",
        lookup_url="x",
        secret_header_name="Host",
        link_template="x",
        cache_ttl=timedelta(hours=-1),
    )

    assert fields_refused(settings, Secret("ž")) == [
        "name",
        "lookupUrl",
        "secretHeaderName",
        "secretHeaderValue",
        "linkTemplate",
        "cacheTtlHours",
    ]


def test_a_refusal_reads_well_and_tells_no_secret() -> None:
    with pytest.raises(DomainError) as refusal:
        check_settings(replace(SETTINGS, name=""), Secret("k3y\n"), ANY_ADDRESS)

    assert str(refusal.value).startswith("name: The name must have 1 to 100 characters.; secretHeaderValue: ")
    assert "k3y" not in str(refusal.value)


# The name.


@pytest.mark.parametrize("name", ["a", "CRM", "Můj zákaznický systém 🐎", "a" * 100, " a ", "ž" * 100])
def test_a_name_has_one_to_a_hundred_characters(name: str) -> None:
    assert fields_refused(replace(SETTINGS, name=name)) == []


@pytest.mark.parametrize("name", ["", " ", "\u00a0", "a" * 101, "a\x00", "a\nb", "a\x7f", "a\ud800"])
def test_any_other_name_is_refused(name: str) -> None:
    assert fields_refused(replace(SETTINGS, name=name)) == ["name"]


# The lookup URL.


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example",
        "https://crm.example/",
        "HTTPS://CRM.Example/Lookup",
        "https://crm.example./lookup",
        "https://crm.example/lookup?workspace=1&key=a@b",
        "https://crm.example/a@b/%0d%0a",
        "https://crm.example?x",
        "https://crm.example/č",
        "https://žluťoučký.example/",
        "https://xn--luouk-uva4it5a4g.example/",
        "https://my_host.example/",
        "https://r3---sn-x.example/",
        "https://1.2.3.4.example/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://redis/",
        "https://svc.cluster.local/",
        "https://metadata.google.internal/",
        "https://ⓛocalhost/",
        "https://аpple.example/",
        f"https://{'a' * 63}.example/",
        f"https://{'.'.join(['a' * 49] * 5)}.abc/",
        f"https://crm.example/{'a' * 2028}",
    ],
)
def test_a_url_with_a_name_is_accepted_and_judged_later_by_what_it_resolves_to(url: str) -> None:
    assert not url_refused(url, NO_ADDRESS)


@pytest.mark.parametrize("port", [1, 22, 25, 53, 80, 443, 2375, 3306, 5432, 6379, 8080, 8443, 9200, 11211, 65535])
def test_ports_are_free(port: int) -> None:
    assert not url_refused(f"https://crm.example:{port}/lookup")
    assert not url_refused(f"https://[2001:db8::1]:{port}/lookup")


@pytest.mark.parametrize("port", ["0", "-1", "+80", "65536", "99999", "80:80", ":80", "http", "8_0", "８０", "", " 80", "0x50"])
def test_what_is_no_port_is_refused(port: str) -> None:
    assert url_refused(f"https://crm.example:{port}/lookup")


@pytest.mark.parametrize("url", ["http://crm.example/", "HTTP://crm.example/"])
def test_plain_http_is_refused_in_production_alone(url: str) -> None:
    assert not url_refused(url)
    assert url_refused(url, PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "crm.example",
        "//crm.example/",
        "/lookup",
        "https:",
        "https:/",
        "https://",
        "https:///",
        "https://?x",
        "https:///crm.example/",
        "https:/crm.example/",
        "https:crm.example",
        "https//crm.example",
        "https://:443/",
        "httpss://crm.example/",
        "ws://crm.example/",
        "ftp://crm.example/",
        "file:///etc/passwd",
        "file://crm.example/etc/passwd",
        "gopher://crm.example/",
        "dict://crm.example/",
        "ldap://crm.example/",
        "unix:///run/docker.sock",
        "data:text/plain,x",
        "javascript:alert(1)",
    ],
)
def test_only_https_and_http_with_a_host_are_urls(url: str) -> None:
    assert url_refused(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://jan@crm.example/",
        "https://jan:k3y@crm.example/",
        "https://:k3y@crm.example/",
        "https://@crm.example/",
        "https://crm.example@127.0.0.1/",
        "https://crm.example:443@127.0.0.1/",
        "https://1.1.1.1&@2.2.2.2/",
        "https://a@b@crm.example/",
        "https://jan%40crm.example/",
        "https://crm.example＠evil.example/",
    ],
)
def test_userinfo_is_refused(url: str) -> None:
    assert url_refused(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example/#x",
        "https://crm.example/lookup#",
        "https://crm.example#",
        "https://127.0.0.1#@crm.example/",
        "https://crm.example/?x#y",
    ],
)
def test_a_fragment_is_refused(url: str) -> None:
    assert url_refused(url)


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x21)), "\x7f", "\x80", "\x85", "\x9f", "\xa0", "\u2028", "\u3000", "\ud800", *'\\<>"^`{|}']
)
@pytest.mark.parametrize(
    "frame",
    [
        "{}https://crm.example/",
        "https:{}//crm.example/",
        "https://crm{}.example/",
        "https://crm.example/{}x",
        "https://crm.example/{}",
    ],
)
def test_a_character_that_no_url_has_is_refused(frame: str, character: str) -> None:
    assert url_refused(frame.format(character))


@pytest.mark.parametrize(
    "host",
    [
        ".",
        "..",
        ".crm.example",
        "crm..example",
        "crm.example..",
        "-crm.example",
        "crm-.example",
        "crm.-example",
        "crm.example-",
        f"{'a' * 64}.example",
        f"{'.'.join(['a' * 49] * 5)}.abcd",
        "crm,example",
        "crm!example",
        "crm;example",
        "(crm.example)",
        "crm*.example",
        "crm.exam$ple",
        "%63rm.example",
        "%6c%6f%63%61%6c%68%6f%73%74",
        "crm%2eexample",
        "127.0.0.1%00.example",
        "crm%0d%0a.example",
        "crm.example%",
        "ab--ž.example",
        "☃\u200d.example",
        "crm／x.example",
        "crm．．example",
        "℀.example",
    ],
)
def test_a_host_with_a_bad_label_is_refused(host: str) -> None:
    assert url_refused(f"https://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "[::1",
        "::1]",
        "::1",
        "2001:db8::1",
        "[]",
        "[::1]x",
        "x[::1]",
        "[[::1]]",
        "[::1][::1]",
        "127.0.0.1[2606:4700::1111]",
        "[2606:4700::1111]127.0.0.1",
        "[127.0.0.1]",
        "[crm.example]",
        "[v1.crm.example]",
        "[::g]",
        "[1::2::3]",
        "[::1.2.3]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[2606:4700::1111%25eth0]",
        "［::1］",
    ],
)
def test_only_a_whole_ipv6_address_stands_in_brackets(host: str) -> None:
    assert url_refused(f"https://{host}/")


def test_a_url_is_at_most_2048_characters_long() -> None:
    longest = f"https://crm.example/{'a' * 2028}"

    assert len(longest) == 2048
    assert not url_refused(longest)
    assert url_refused(f"{longest}a")


LITERALS = {
    "127.0.0.1": "127.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.1.": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "0x7f.0.0.1": "127.0.0.1",
    "0X7F.1": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "127.000.000.001": "127.0.0.1",
    "00000177.0x0.0.0x1": "127.0.0.1",
    "127.255.255.254": "127.255.255.254",
    "0": "0.0.0.0",  # noqa: S104 - a literal to refuse
    "0x0": "0.0.0.0",  # noqa: S104
    "0.0.0.0": "0.0.0.0",  # noqa: S104
    "0.1.2.3": "0.1.2.3",
    "255.255.255.255": "255.255.255.255",
    "0377.00000000377.00377.0000377": "255.255.255.255",
    "10.0.0.1": "10.0.0.1",
    "10.1": "10.0.0.1",
    "172.16.0.1": "172.16.0.1",
    "172.32.0.1": "172.32.0.1",
    "192.168.0.1": "192.168.0.1",
    "192.168.257": "192.168.1.1",
    "100.64.0.1": "100.64.0.1",
    "169.254.169.254": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "0xa9fea9fe": "169.254.169.254",
    "0251.0376.0251.0376": "169.254.169.254",
    "168.63.129.16": "168.63.129.16",
    "8.8.8.8": "8.8.8.8",
    "①②⑦.⓪.⓪.①": "127.0.0.1",
    "127。0。0。1": "127.0.0.1",
    "１２７.０.０.１": "127.0.0.1",
    "０ｘ７ｆ.1": "127.0.0.1",
    "[::1]": "::1",
    "[::]": "::",
    "[0:0:0:0:0:0:0:1]": "::1",
    "[0000:0000::0001]": "::1",
    "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[::FFFF:7F00:1]": "::ffff:7f00:1",
    "[::127.0.0.1]": "::7f00:1",
    "[::ffff:0:127.0.0.1]": "::ffff:0:7f00:1",
    "[64:ff9b::7f00:1]": "64:ff9b::7f00:1",
    "[2002:7f00:1::1]": "2002:7f00:1::1",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]": "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "[fd00:ec2::254]": "fd00:ec2::254",
    "[fe80::1]": "fe80::1",
    "[ff02::1]": "ff02::1",
    "[2606:4700::1111]": "2606:4700::1111",
}


@pytest.mark.parametrize(("host", "address"), LITERALS.items())
def test_a_literal_address_is_judged_in_any_spelling(host: str, address: str) -> None:
    assert addresses_judged(host) == [ip_address(address)]


@pytest.mark.parametrize("host", LITERALS)
@pytest.mark.parametrize("rest", ["", "/", ":8080/", "/lookup?x=https://crm.example/"])
def test_a_literal_address_that_is_not_allowed_is_refused(host: str, rest: str) -> None:
    assert url_refused(f"https://{host}{rest}", NO_ADDRESS)
    assert not url_refused(f"https://{host}{rest}", ANY_ADDRESS)


def test_one_message_for_every_address_that_is_not_allowed() -> None:
    messages = set()
    for host in LITERALS:
        with pytest.raises(InvalidConnector) as refusal:
            check_settings(replace(SETTINGS, lookup_url=f"https://{host}/"), None, NO_ADDRESS)
        messages |= {problem.words.en for problem in refusal.value.problems}

    assert messages == {"This address is not allowed."}


@pytest.mark.parametrize("host", ["1.2.3.4.5", "256.256.256.256", "0x7g.1", "08.8.8.8", "4294967296", "1.2.3.4.example", "0x"])
def test_what_only_looks_like_an_address_is_a_name(host: str) -> None:
    assert addresses_judged(host) == []


url_pieces = st.lists(
    st.sampled_from(
        [
            *"/\\?#@:[]%. \t\n-_",
            "//",
            "https://",
            "a",
            "crm.example",
            "::1",
            "127.1",
            ":80",
            "%2e",
            "／",
            "。",
            "ⓛ",
            "①",
            "xn--",
            "\u202e",
            "\xad",
        ]
    )
    | st.characters(),
    max_size=8,
).map("".join)
urls = st.builds(
    "{}{}{}".format, st.sampled_from(["https://", "http://", "", "HTTPS://a"]), url_pieces, st.sampled_from(["", "/", "/x"])
)


@settings(max_examples=500)
@given(urls | st.text(st.characters()))
@example("https://a\ud800/")
@example("https://[v1.a]/")
@example("https://a:\u0661/")
def test_any_url_is_judged_and_what_passes_is_plain(url: str) -> None:
    judged: list[IPv4Address | IPv6Address] = []
    if url_refused(url, judging(judged)):
        return

    parts = urlsplit(url)
    assert parts.scheme in {"http", "https"}
    assert (parts.username, parts.password) == (None, None)
    assert "#" not in url
    assert parts.port is None or 1 <= parts.port <= 65535
    assert parts.hostname
    assert url.encode().decode() == url
    assert url.isprintable() or not url.isascii()
    assert len(judged) <= 1
    assert judged or ":" not in parts.hostname


@pytest.mark.parametrize(
    "host", ["\u0660" * 2000, "ab\u0660." * 500, "a" * 2000, "a." * 1000, "0" * 2000, ":" * 2000, "ⓛ" * 2000]
)
def test_no_url_takes_long_to_judge(host: str) -> None:
    began = process_time()
    url_refused(f"https://{host}/")
    url_refused(f"https://[{host}]/")

    assert process_time() - began < 1


# The header and the secret.


@pytest.mark.parametrize(
    "name",
    [
        "X-Api-Key",
        "Authorization",
        "authorization",
        "X",
        "x-",
        "Api_Key",
        "!#$%&'*+-.^_`|~09azAZ",
        "a" * 64,
        "Hostname",
        "Cookies",
        "X-Accept",
        "Token",
    ],
)
def test_a_header_name_is_a_token(name: str) -> None:
    assert fields_refused(replace(SETTINGS, secret_header_name=name)) == []


@pytest.mark.parametrize(
    "name",
    ["", "a" * 65, "ž", *(f"X{character}Y" for character in '\x00\t\r\n\x7f "(),/:;<=>?@[\\]{}'), "X-Key\n", " X-Key", "X-Key:"],
)
def test_what_is_no_token_is_no_header_name(name: str) -> None:
    assert fields_refused(replace(SETTINGS, secret_header_name=name)) == ["secretHeaderName"]


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    "name",
    [
        *("host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "user-agent", "expect"),
        *("content-length", "content-type", "content-encoding", "content-anything"),
        *("accept", "accept-encoding", "accept-language", "accept-anything"),
        *("cookie", "set-cookie", "proxy-authorization", "proxy-connection", "cache-control", "pragma"),
        *("date", "forwarded", "from", "max-forwards", "origin", "range", "referer", "via"),
        *("if-match", "if-none-match", "if-modified-since", "sec-fetch-mode", "x-forwarded-for"),
        *("traceparent", "tracestate", "webhook-signature"),
    ],
)
def test_a_header_that_http_or_the_request_uses_is_refused(name: str, spell: Callable[[str], str]) -> None:
    assert fields_refused(replace(SETTINGS, secret_header_name=spell(name))) == ["secretHeaderName"]


@pytest.mark.parametrize("value", ["k", "Bearer abc", "".join(map(chr, range(0x21, 0x7F))), "a" * 4096, "a  b"])
def test_a_header_value_is_printable_ascii(value: str) -> None:
    assert fields_refused(SETTINGS, Secret(value)) == []


@pytest.mark.parametrize(
    "value",
    ["", " ", "a" * 4097, " a", "a ", "a\n", "\na", "a\r\nHost: x", "a\tb", "a\x00b", "a\x7f", "ž", "\x80", "\ud800", "•••"],
)
def test_any_other_header_value_is_refused(value: str) -> None:
    assert fields_refused(SETTINGS, Secret(value)) == ["secretHeaderValue"]


@pytest.mark.parametrize(
    ("name", "has_secret", "refused"),
    [("X-Api-Key", True, []), (None, False, []), ("X-Api-Key", False, ["secretHeaderValue"]), (None, True, ["secretHeaderName"])],
)
@pytest.mark.parametrize("secret", [None, SECRET], ids=["kept", "new"])
def test_header_name_and_value_are_both_there_or_neither(
    name: str | None, has_secret: bool, refused: list[str], secret: Secret | None
) -> None:
    settings = replace(SETTINGS, secret_header_name=name, has_secret=has_secret)

    assert fields_refused(settings, secret if has_secret else None) == refused


# The rest.


@pytest.mark.parametrize(
    ("template", "refused"),
    [
        (None, []),
        ("https://crm.example/{customer_id}", []),
        ("", ["linkTemplate"]),
        ("https://crm.example/", ["linkTemplate"]),
        ("https://{customer_id}/", ["linkTemplate"]),
    ],
)
def test_a_link_template_may_be_absent_but_not_wrong(template: str | None, refused: list[str]) -> None:
    assert fields_refused(replace(SETTINGS, link_template=template)) == refused


@pytest.mark.parametrize(
    ("hours", "refused"),
    [(0, []), (1, []), (24, []), (8760, []), (-1, ["cacheTtlHours"]), (8761, ["cacheTtlHours"]), (2**31 - 1, ["cacheTtlHours"])],
)
def test_answers_stay_fresh_for_0_to_8760_hours(hours: int, refused: list[str]) -> None:
    assert fields_refused(replace(SETTINGS, cache_ttl=timedelta(hours=hours))) == refused


@pytest.mark.parametrize("existing", [0, 24])
def test_a_workspace_has_room_for_25_connectors(existing: int) -> None:
    check_room(existing)


@pytest.mark.parametrize("existing", [25, 26])
def test_a_workspace_has_room_for_no_more(existing: int) -> None:
    with pytest.raises(InvalidConnector, match=str(MAX_CONNECTORS)) as refusal:
        check_room(existing)

    assert [problem.field for problem in refusal.value.problems] == ["input"]


def test_naughty_strings_are_judged_in_every_field(corpora: Path) -> None:
    naughty = json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8"))
    known = {"name", "lookupUrl", "secretHeaderName", "secretHeaderValue", "linkTemplate"}

    for text in naughty:
        settings = replace(SETTINGS, name=text, lookup_url=text, secret_header_name=text, link_template=text)
        refused = fields_refused(settings, Secret(text))
        assert set(refused) <= known
        assert {"lookupUrl", "linkTemplate"} <= set(refused) or text.startswith("http")
        assert isinstance(url_refused(f"https://{text}/"), bool)


# What a change undoes.


@pytest.mark.parametrize(
    ("change", "secret_changed", "undone"),
    [
        ({}, False, set()),
        ({"lookup_url": "https://crm.example/v2"}, False, {"forgets_failures", "drops_answers"}),
        (
            {"lookup_url": "https://new.example/lookup"},
            True,
            {"forgets_failures", "drops_answers", "drops_previous_secret", "drops_signing"},
        ),
        ({"secret_header_name": "X-Key"}, False, {"forgets_failures", "drops_previous_secret"}),
        ({"secret_header_name": None, "has_secret": False}, True, {"forgets_failures", "drops_previous_secret"}),
        ({}, True, {"forgets_failures", "drops_previous_secret"}),
        (
            {"name": "x", "link_template": None, "cache_ttl": timedelta(), "log_results": False, "enabled": False, "position": 9},
            False,
            set(),
        ),
    ],
)
def test_a_new_url_header_or_secret_forgets_failures_and_a_new_url_drops_answers(
    change: dict[str, object], secret_changed: bool, undone: set[str]
) -> None:
    changed = replace(SETTINGS, **change)  # type: ignore[arg-type]  # members of the settings

    found = asdict(upheaval(SETTINGS, changed, secret_changed=secret_changed))
    assert {name for name, happens in found.items() if happens} == undone


STORED = Connector(
    **{member.name: getattr(SETTINGS, member.name) for member in fields(ConnectorSettings)},
    id=ConnectorId(UUID("01890a5d-ac96-774b-bcce-b302099a8059")),
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    updated_at=datetime(2026, 3, 1, tzinfo=UTC),
)
ELSEWHERE = "https://new.example/lookup"


def test_what_a_change_does_not_mention_stays() -> None:
    changed = changed_settings(STORED, {"name": "CRM 2", "link_template": None}, UNCHANGED)

    assert changed == replace(STORED, name="CRM 2", link_template=None)


@pytest.mark.parametrize(
    ("changes", "secret", "header"),
    [
        ({}, UNCHANGED, ("X-Api-Key", True)),
        ({}, SECRET, ("X-Api-Key", True)),
        ({}, None, ("X-Api-Key", False)),
        ({"secret_header_name": None}, UNCHANGED, (None, True)),
        ({"secret_header_name": None}, None, (None, False)),
        ({"secret_header_name": "X-Key"}, UNCHANGED, ("X-Key", True)),
        ({"lookup_url": "https://crm.example:443/v2?x"}, UNCHANGED, ("X-Api-Key", True)),
        ({"lookup_url": ELSEWHERE}, UNCHANGED, (None, False)),
        ({"lookup_url": "http://crm.example/lookup"}, UNCHANGED, (None, False)),
        ({"lookup_url": "https://crm.example:8443/lookup"}, UNCHANGED, (None, False)),
        ({"lookup_url": "https://crm.example:x/"}, UNCHANGED, (None, False)),
        ({"lookup_url": ELSEWHERE}, None, (None, False)),
        ({"lookup_url": ELSEWHERE}, SECRET, (None, True)),
        ({"lookup_url": ELSEWHERE, "secret_header_name": "X-Api-Key"}, UNCHANGED, ("X-Api-Key", False)),
        ({"lookup_url": ELSEWHERE, "secret_header_name": "X-Key"}, SECRET, ("X-Key", True)),
        ({"lookup_url": ELSEWHERE, "secret_header_name": None}, None, (None, False)),
    ],
)
def test_a_secret_never_follows_the_url_to_another_origin(
    changes: dict[str, object], secret: Secret | Unchanged | None, header: tuple[str | None, bool]
) -> None:
    changed = changed_settings(STORED, changes, secret)

    assert (changed.secret_header_name, changed.has_secret) == header


def test_a_connector_without_a_secret_gets_one_only_by_a_change_that_sets_it() -> None:
    bare = replace(STORED, secret_header_name=None, has_secret=False)

    assert not changed_settings(bare, {"name": "CRM 2"}, UNCHANGED).has_secret
    assert not changed_settings(bare, {"lookup_url": ELSEWHERE}, UNCHANGED).has_secret
    assert changed_settings(bare, {"secret_header_name": "X-Key"}, SECRET).has_secret


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://crm.example/a", "https://crm.example/b?c", True),
        ("https://crm.example", "https://crm.example:443/", True),
        ("http://crm.example", "http://crm.example:80/", True),
        ("https://crm.example/", "HTTPS://CRM.EXAMPLE/", True),
        ("https://crm.example/", "https://crm.example./", True),
        ("https://žluťoučký.example/", "https://xn--luouk-uva4it5a4g.example/", True),
        ("https://ŽLUŤOUČKÝ.example/", "https://žluťoučký.example/", True),
        ("https://[::1]/", "https://[::1]:443/", True),
        ("https://crm.example/", "http://crm.example/", False),
        ("https://crm.example/", "http://crm.example:443/", False),
        ("https://crm.example/", "https://crm.example:8443/", False),
        ("https://crm.example/", "https://www.crm.example/", False),
        ("https://crm.example/", "https://crm.example.evil.example/", False),
        ("https://crm.example/", "https://crm.example@evil.example/", False),
        ("https://crm.example/", "https://evil.example/crm.example/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert same_origin(one, other) is same
    assert same_origin(other, one) is same
    assert same_origin(other, other)


@pytest.mark.parametrize(
    "text", ["https://crm.example:99999/", "https://crm.example:x/", "https://[::1/", "https://ab--ž.example/", "https://a／b/"]
)
def test_a_text_that_is_no_url_has_no_origin_in_common(text: str) -> None:
    assert not same_origin("https://crm.example/", text)
    assert not same_origin(text, "https://crm.example/")
    assert not same_origin(text, text)


@given(urls | st.text(st.characters()))
def test_any_two_texts_share_an_origin_or_not(text: str) -> None:
    if same_origin("https://crm.example/", text):
        assert urlsplit(text).scheme == "https"
    assert same_origin(text, "https://crm.example/") is same_origin("https://crm.example/", text)
