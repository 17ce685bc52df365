"""How properties are searched for in this folder."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("domain", deadline=None)  # a busy machine is no fault of a rule
settings.load_profile("domain")
