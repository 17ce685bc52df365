"""What one request may cost. Every limit lies far above what an honest client sends."""

from __future__ import annotations

from typing import Final

from strawberry.extensions.max_aliases import create_validator as aliases_rule
from strawberry.extensions.query_depth_limiter import create_validator as depth_rule

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_TOKENS: Final = 10_000
MAX_OPERATIONS_PER_SOCKET: Final = 100

RULES: Final = (depth_rule(20, None), aliases_rule(200))
"""Made once: a rule class made per request would never be found in the validation cache."""
