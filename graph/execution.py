"""The two ways of executing an operation."""

from __future__ import annotations

from enum import StrEnum


class Execution(StrEnum):
    """Which of them an operation went, however it came in."""

    COMPILED = "compiled"
    STOCK = "stock"
