"""The page about the element says what the element is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embed.md").read_text(encoding="utf-8")
SOURCES = [
    path.read_text(encoding="utf-8") for folder in ("panel", "embed") for path in (ROOT / "console/src" / folder).iterdir()
]


def test_the_ten_lines_are_those_of_the_example() -> None:
    example = (ROOT / "examples" / "embed" / "index.html").read_text(encoding="utf-8")

    assert len(example.splitlines()) == 10
    assert f"```html\n{example}```" in PAGE


def test_every_part_is_named() -> None:
    parts = {part for source in SOURCES for parts in re.findall(r' part="([^"]+)"', source) for part in parts.split()}

    assert [part for part in sorted(parts) if not part.startswith("badge-") and f"`{part}`" not in PAGE] == []


def test_every_custom_property_is_named() -> None:
    properties = {name for source in SOURCES for name in re.findall(r"var\((--disqua-[\w-]+)", source)}

    assert [
        name for name in sorted(properties) if f"`{name.removesuffix('-surface')}`" not in PAGE and f"`{name}`" not in PAGE
    ] == []
