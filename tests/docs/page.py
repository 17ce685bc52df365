"""A page of the documentation as its reader sees it: headings, code blocks, tables, links."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$(?:\n\n→ (?P<outcome>[^\n]*))?", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")

Row = dict[str, str]


@dataclass(frozen=True)
class Block:
    """A block of code, and the line with an arrow that says what becomes of it."""

    language: str
    text: str
    outcome: str | None
    heading: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.text)


@dataclass(frozen=True)
class Operation:
    """A GraphQL document with its variables and the answer that the page shows, if it shows one."""

    heading: str
    document: str
    variables: dict[str, Any]
    answer: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Each has one: an operation without a name is hard to find in a log."""
        found = re.match(r"(?:query|mutation|subscription) (\w+)", self.document)
        assert found is not None, self.document
        return found[1]


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """Everything outside of code blocks."""
        return _without_blocks(self.text)

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(found["language"], found["text"], found["outcome"], self._heading_above(found.start()))
            for found in _BLOCK.finditer(self.text)
        ]

    @cached_property
    def anchors(self) -> set[str]:
        """The fragments that its headings can be reached by, as GitHub makes them."""
        headings = _HEADING.findall(self.prose)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def operations(self) -> list[Operation]:
        """Every GraphQL block, together with the JSON blocks that follow it."""
        found = []
        for index, block in enumerate(self.blocks):
            if block.language == "graphql":
                following = [after.json for after in self._json_after(index)]
                variables = following.pop(0) if "$" in block.text else {}
                answer = following[0] if following and list(following[0]) == ["data"] else None
                found.append(Operation(block.heading, block.text, variables, answer))
        return found

    def block_after(self, block: Block) -> Block:
        return self.blocks[self.blocks.index(block) + 1]

    def table(self, first_column: str, *further: str) -> list[Row]:
        """The rows of the table whose header begins with these columns."""
        wanted = [first_column, *further]
        for lines in re.findall(r"(?:^ *\|.*\n)+", self.prose, re.MULTILINE):
            header, _, *rows = (_cells(line) for line in lines.splitlines())
            if header[: len(wanted)] == wanted:
                return [dict(zip(header, row, strict=True)) for row in rows]
        raise AssertionError(f"{self.path.name} has no table {wanted}")

    def _heading_above(self, position: int) -> str:
        heading: str = _HEADING.findall(_without_blocks(self.text[:position]))[-1]
        return heading

    def _json_after(self, index: int) -> list[Block]:
        found = []
        for block in self.blocks[index + 1 :]:
            if block.language != "json" or block.outcome is not None:
                break
            found.append(block)
        return found


def code_in(cell: str) -> list[str]:
    """What stands between backticks."""
    return _CODE.findall(cell)


def number_in(cell: str) -> int:
    """The last number of a cell, thousands separated by commas."""
    numbers = re.findall(r"\d[\d,]*", cell)
    return int(numbers[-1].replace(",", ""))


def _without_blocks(text: str) -> str:
    return _BLOCK.sub(lambda found: found["outcome"] or "", text)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


GUIDE = Page(REPOSITORY / "docs" / "connector-guide.md")
API = Page(REPOSITORY / "docs" / "api.md")
_BESIDE_THE_CODE = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")]
PAGES = [Page(path) for path in [*sorted((REPOSITORY / "docs").rglob("*.md")), *_BESIDE_THE_CODE]]
