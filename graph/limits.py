"""What one request and one socket may cost. Every limit lies far above what an honest client sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force; docs/operating.md says which setting moves which."""

    body_bytes: int = 1024 * 1024
    tokens: int = 10_000
    """In a document: the only limit that is known before it is parsed to its end."""
    depth: int = 20
    aliases: int = 200
    """In one operation, an alias in a fragment counted wherever the fragment is spread."""
    directives: int = 200
    """In a document."""
    selections: int = 10_000
    """In a document, a fragment counted wherever it is spread: what fragments that spread fragments can grow into."""
    equal_fields: int = 100
    """Under one response name in one selection: each must be compared with every other."""
    comparisons: int = 100_000
    """Of fields that might answer under the same name, in graphql-core's units; one takes some 1 µs."""
    values: int = 2_000
    """Members and items inside the arguments of a document, and inside its variables: a complaint may repeat them all."""
    fields: int = 2_000_000
    """In an answer, were every list as long as it can be."""
    duration: timedelta = timedelta(seconds=25)
    """Of a query or a mutation; a test of a connector alone may take 3 s."""
    frame_bytes: int = 256 * 1024
    socket_operations: int = 100
    """At once on one socket."""
    socket_messages: int = 200
    """At once on one socket, and half as many in each second after that; the rest waits."""
    init_timeout: timedelta = timedelta(seconds=10)
    """How long a socket may stay without signing in."""

    @property
    def nesting(self) -> int:
        """How far fields and fragments may nest in each other, for a fragment adds no depth."""
        return 5 * self.depth
