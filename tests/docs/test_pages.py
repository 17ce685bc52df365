"""Every page of docs/: what it points to is there, and what it names exists."""

from __future__ import annotations

import re
import tokenize
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import PAGES, REPOSITORY, Page, code_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROOMS = ("domain", "persistence", "lookups", "inbox", "graph", "server")
_ARCHITECTURE = Page(REPOSITORY / "docs" / "architecture.md")
_FILE = re.compile(r"[\w/]+\.(?:py|md|sql|graphql)")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[a-z_]\w*)?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_every_relative_link_leads_somewhere(page: Page) -> None:
    lost = []
    for link in page.links:
        path, _, fragment = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        anchors = Page(target).anchors if fragment and target.suffix == ".md" and target.is_file() else {fragment}
        if not link.startswith(("https://", "http://")) and not (target.exists() and fragment in anchors):
            lost.append(link)

    assert lost == []


def test_every_file_that_the_architecture_names_exists() -> None:
    named = [name for name in code_in(_ARCHITECTURE.prose) if _FILE.fullmatch(name)]

    assert named
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_every_name_that_the_architecture_uses_is_one_of_the_code() -> None:
    named = {part for name in code_in(_ARCHITECTURE.prose) if _NAME.fullmatch(name) for part in name.split(".")}
    used = {name for room in _ROOMS for path in (REPOSITORY / room).rglob("*.py") for name in _names_used_in(path)}

    assert named - used - set(_ROOMS) == set()


def _names_used_in(file: Path) -> Iterator[str]:
    """Every name of the program, and every text in it that is one word, such as a column's name."""
    with file.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type in {tokenize.NAME, tokenize.STRING}:
                yield token.string.strip("'\"")
