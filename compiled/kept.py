"""Rendering once what never changes: the bytes stay in the instance, for as long as the instance stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    import strawberry

MAX_KEPT: Final = 8
"""Renderings for each instance; the oldest makes room."""
MAX_BYTES: Final = 4 * 1024
"""Of each: a document can ask for the same member under hundreds of aliases."""
KEPT: Final = "_kept"
"""Where an instance has its renderings, by shape: among its attributes, so that they end with it."""


class Kept:
    """Mixed into a Strawberry type, promises that its instances and all they hold never change after they were made.

    Its fields, and those below, depend on nothing but the instance and on constant arguments: no clock, nobody's rights.
    What a selection of it renders to is then the same for ever, and for everybody who may see the instance. A selection
    with a field that is asynchronous or told of the context is not kept, unless the instance holds its value (`held_in`).
    """

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: not the renderings, for a copy may be changed before it is shown."""
        return {name: value for name, value in self.__dict__.items() if name != KEPT}


class Shape:
    """A selection of a type as text, the same object for all plans in which it stands."""

    __slots__ = ("__weakref__", "text")

    def __init__(self, text: str) -> None:
        self.text = text


_shapes: WeakKeyDictionary[strawberry.Schema, WeakValueDictionary[str, Shape]] = WeakKeyDictionary()


def shape_of(schema: strawberry.Schema, text: str) -> Shape:
    """The shape with this text; it lives as long as a plan or an instance holds it."""
    shapes = _shapes.setdefault(schema, WeakValueDictionary())
    shape = shapes.get(text)
    if shape is None:
        shape = shapes[text] = Shape(text)
    return shape


def keep(instance: Any, shape: Shape, render: Callable[[Any], dict[str, Any]]) -> object:  # noqa: ANN401 - of any Kept type
    """Render the instance and keep the bytes in it; what is no JSON is not kept, and whoever encodes the answer says so."""
    rendering = render(instance)
    try:
        rendered = orjson.dumps(rendering)
    except orjson.JSONEncodeError:
        return rendering
    fragment = orjson.Fragment(bytes(memoryview(rendered)))  # copied: orjson's own never lets go of the 4 KiB it was written into
    if len(rendered) <= MAX_BYTES:
        kept = instance.__dict__.setdefault(KEPT, {})
        if len(kept) >= MAX_KEPT:
            del kept[next(iter(kept))]
        kept[shape] = fragment
    return fragment
