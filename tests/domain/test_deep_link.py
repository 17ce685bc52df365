from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.deep_link import PLACEHOLDER, deep_link, template_problem

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = "https://crm.example/customers/{customer_id}"


@dataclass(frozen=True)
class Site:
    """Where a browser would go: what stands before the path."""

    scheme: str
    userinfo: str
    host: str
    port: str


def site_in_a_browser(url: str) -> Site:
    """Read a special URL as the WHATWG URL standard does, up to the end of its authority."""
    url = re.sub(r"[\t\n\r]", "", url.strip("".join(map(chr, range(0x21)))))
    scheme, colon, rest = url.partition(":")
    assert colon
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    userinfo, _, site = authority.rpartition("@")
    host, port = re.fullmatch(r"(\[.*?\]|[^:]*)(.*)", site, re.DOTALL).groups()  # type: ignore[union-attr]  # matches any text
    return Site(scheme.lower(), userinfo, host.lower(), port)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://crm.example/x", Site("https", "", "crm.example", "")),
        ("https:crm.example", Site("https", "", "crm.example", "")),
        (" ht\ttps:\\\\good.example\\@evil.example:80?x", Site("https", "", "good.example", "")),
        ("https://a:b@c@[::1]:8080#x@y", Site("https", "a:b@c", "[::1]", ":8080")),
    ],
)
def test_our_browser_reads_as_browsers_do(url: str, site: Site) -> None:
    assert site_in_a_browser(url) == site


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "http://crm.example/{customer_id}",
        "HTTPS://CRM.example/{customer_id}",
        "https://crm.example:8443/{customer_id}/detail",
        "https://crm.example/?customer={customer_id}&tab=1",
        "https://crm.example?{customer_id}",
        "https://crm.example/#/customers/{customer_id}",
        "https://crm.example#{customer_id}",
        "https://crm.example/{customer_id}/{customer_id}",
        "https://crm.example/user@{customer_id}",
        "https://crm.example/a%20b/{customer_id}",
        "https://crm.example/č/{customer_id}",
        "https://žluťoučký.example/{customer_id}",
        "https://127.0.0.1/{customer_id}",
        "https://[::1]:8080/{customer_id}",
        "https://intranet/{customer_id}",
        f"https://crm.example/{'a' * 2015}{PLACEHOLDER}",
    ],
)
def test_a_url_with_the_placeholder_in_path_query_or_fragment_is_a_template(template: str) -> None:
    assert template_problem(template) is None


@pytest.mark.parametrize(
    "template",
    [
        "",
        "https://crm.example/",
        "https://crm.example/{id}",
        "https://crm.example/{customer_id",
        "https://crm.example/{CUSTOMER_ID}",
        "https://crm.example/%7Bcustomer_id%7D",
        "https://crm.example/{customer_id}/{name}",
        "https://crm.example/{{customer_id}}",
        "https://crm.example/{customer_{customer_id}id}",
        "https://crm.example/}{customer_id}",
        "https://crm.example/{{customer_id}",
        "https://{customer_id}/",
        "https://{customer_id}.crm.example/",
        "https://crm.example{customer_id}",
        "https://crm.example{customer_id}/x",
        "https://crm.example:{customer_id}/",
        "https://{customer_id}@crm.example/",
        "https://jan:{customer_id}@crm.example/",
        "https://jan@crm.example/{customer_id}",
        "https://@crm.example/{customer_id}",
        "{customer_id}",
        "{customer_id}://crm.example/",
        "https:{customer_id}",
        "https:/{customer_id}",
        "https:///{customer_id}",
        "https:/crm.example/{customer_id}",
        "https:crm.example/{customer_id}",
        "https://?{customer_id}",
        "https://#{customer_id}",
        "https://:443/{customer_id}",
        "//crm.example/{customer_id}",
        "/customers/{customer_id}",
        "javascript:alert({customer_id})",
        "javascript://crm.example/%0aalert({customer_id})",
        "data:text/html,{customer_id}",
        "ftp://crm.example/{customer_id}",
        "file:///{customer_id}",
        " https://crm.example/{customer_id}",
        "https://crm.example/{customer_id} ",
        "https://crm.example/{customer_id}\n",
        "ht\ttps://crm.example/{customer_id}",
        "https:/\t/crm.example/{customer_id}",
        "https://crm\t.example/{customer_id}",
        "https://crm.example/\x00{customer_id}",
        "https://crm.example/\x85{customer_id}",
        "https://crm.example/\ud800{customer_id}",
        "https://crm.example/\u2028{customer_id}",
        "https://crm.example\\{customer_id}",
        "https:\\\\crm.example/{customer_id}",
        "https://crm.example\\@evil.example/{customer_id}",
        'https://crm.example/"{customer_id}',
        "https://crm.example/<{customer_id}>",
        "https://crm.example:80:80/{customer_id}",
        "https://crm.example:65536/{customer_id}",
        "https://crm.example:-1/{customer_id}",
        "https://crm.example:http/{customer_id}",
        "https://[::1/{customer_id}",
        "https://[crm.example]/{customer_id}",
        "https://crm.example[::1]/{customer_id}",
        "https://[::1]crm.example/{customer_id}",
        "https://[::1%25eth0]/{customer_id}",
        "https://%63rm.example/{customer_id}",
        "https://crm.example／{customer_id}",
        f"https://crm.example/{'a' * 2016}{PLACEHOLDER}",
    ],
)
def test_anything_else_is_refused_with_a_sentence(template: str) -> None:
    problem = template_problem(template)

    assert problem is not None
    assert problem.en.endswith(".")


@pytest.mark.parametrize(
    ("customer_id", "encoded"),
    [
        ("12345", "12345"),
        ("a b", "a%20b"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("../admin", "..%2Fadmin"),
        ("...", "..."),
        ("%2e%2e", "%252e%252e"),
        ("\\..\\", "%5C..%5C"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("@evil.example", "%40evil.example"),
        ("{customer_id}", "%7Bcustomer_id%7D"),
        ("Čapek 🐎", "%C4%8Capek%20%F0%9F%90%8E"),
        ("\r\n\t", "%0D%0A%09"),
        ("a-b._~", "a-b._~"),
        ("1+1&2=2;3", "1%2B1%262%3D2%3B3"),
    ],
)
def test_the_customer_id_is_percent_encoded(customer_id: str, encoded: str) -> None:
    assert deep_link(TEMPLATE, customer_id) == f"https://crm.example/customers/{encoded}"


def test_every_placeholder_is_filled() -> None:
    assert deep_link("https://crm.example/{customer_id}?c={customer_id}#{customer_id}", "7") == "https://crm.example/7?c=7#7"


@pytest.mark.parametrize("customer_id", [None, "", ".", ".."])
@pytest.mark.parametrize("template", [TEMPLATE, "https://crm.example/?c={customer_id}", None])
def test_without_an_id_and_for_dot_segments_there_is_no_link(template: str | None, customer_id: str | None) -> None:
    assert deep_link(template, customer_id) is None


def test_without_a_template_there_is_no_link() -> None:
    assert deep_link(None, "12345") is None


url_pieces = st.lists(
    st.sampled_from(
        [
            PLACEHOLDER,
            *"/\\?#@:[]%. \t\n",
            "//",
            "https://",
            "http:",
            "a",
            "crm.example",
            "::1",
            ":80",
            "%2e",
            "／",
            "。",
            "\u202e",
            "\xad",
        ]
    )
    | st.characters(),
    max_size=8,
).map("".join)
sites = (
    st.sampled_from(["crm.example", "CRM.example:8443", "[::1]:8080", "žluťoučký.example", "127.0.0.1", "a b", "a@b", ""])
    | url_pieces
)
templates = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://a"]),
    sites,
    st.sampled_from(["/", "?", "#", "\\", "", "//", "/../"]),
    url_pieces,
    st.sampled_from([PLACEHOLDER, ""]),
    url_pieces,
)
customer_ids = st.text(st.characters(codec="utf-8")) | url_pieces.filter(lambda text: text.isprintable())


@settings(max_examples=500)
@given(templates, customer_ids)
@example(TEMPLATE, "//evil.example")
@example("https://crm.example?{customer_id}", "@evil.example")
@example("https://a[::1]b/{customer_id}", "x")
def test_no_customer_id_leads_away_from_the_site_of_the_template(template: str, customer_id: str) -> None:
    link = deep_link(template, customer_id)
    if template_problem(template) is not None or link is None:
        return

    ours, theirs = urlsplit(template.replace(PLACEHOLDER, "x")), urlsplit(link)
    assert (theirs.scheme, theirs.netloc, theirs.port) == (ours.scheme, ours.netloc, ours.port)
    assert theirs.scheme in {"http", "https"}
    assert theirs.username is None
    in_browser = site_in_a_browser(link)
    assert in_browser == site_in_a_browser(template)
    assert in_browser.userinfo == ""
    assert in_browser.host == (f"[{ours.hostname}]" if ":" in str(ours.hostname) else ours.hostname)


@given(customer_ids)
def test_the_id_comes_back_as_it_was_in_path_query_and_fragment(customer_id: str) -> None:
    link = deep_link("https://crm.example/p/{customer_id}?q={customer_id}#{customer_id}", customer_id)
    if link is None:
        assert customer_id in {"", ".", ".."}
        return

    parts = urlsplit(link)
    assert link.isascii()
    assert parts.path.startswith("/p/")
    assert unquote(parts.path.removeprefix("/p/")) == customer_id
    assert unquote(parts.query.removeprefix("q=")) == customer_id
    assert unquote(parts.fragment) == customer_id


def test_naughty_ids_stay_on_the_site(corpora: Path) -> None:
    naughty = json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8"))

    links = [link for text in naughty if (link := deep_link(TEMPLATE, text))]

    assert len(links) > 400
    assert {site_in_a_browser(link) for link in links} == {Site("https", "", "crm.example", "")}
    assert all(re.fullmatch(r"https://crm\.example/customers/[\w.~%-]+", link) for link in links)


def test_naughty_templates_are_judged(corpora: Path) -> None:
    naughty = json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8"))

    for text in naughty:
        for template in (text, f"{text}{PLACEHOLDER}", f"https://{text}/{PLACEHOLDER}"):
            assert template_problem(template) is None or str(template_problem(template)).endswith(".")
