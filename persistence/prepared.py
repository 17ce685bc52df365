"""Statements of SQLAlchemy Core, compiled once: what is left to do for each execution is to convert its values.

A statement is known again by identity where a store keeps it, else by SQLAlchemy's own cache key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlalchemy.util import LRUCache

from persistence.rows import row_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ClauseElement, Dialect, Executable
    from sqlalchemy.sql.compiler import SQLCompiler

    _Convert = Callable[[Any], Any]

_KEPT: Final = 500
"""Forms of statements; our stores have some eighty."""
_LENGTHS_KEPT: Final = 64
"""Of the lists behind one statement's IN: pages have few sizes."""


class Statements:
    """The statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._compiled: LRUCache[Any, Any] = LRUCache(_KEPT)
        self._forms: LRUCache[SQLCompiler, _Form] = LRUCache(_KEPT)
        self._prepared = WeakKeyDictionary[Any, Prepared]()

    def prepared(self, statement: Executable, parameters: Mapping[str, Any]) -> Prepared:
        """The statement, ready for parameters of these names."""
        known = self._prepared.get(statement)
        if known is None or known.names != parameters.keys():
            known, can_be_kept = self._prepare(cast("ClauseElement", statement), frozenset(parameters))
            if can_be_kept:
                self._prepared[statement] = known
        return known

    def _prepare(self, statement: ClauseElement, names: frozenset[str]) -> tuple[Prepared, bool]:
        found, extracted, collected, cached = statement._compile_w_cache(  # noqa: SLF001 - how its own connections find it
            self.dialect, compiled_cache=self._compiled, column_keys=sorted(names)
        )
        compiled = cast("SQLCompiler", found)
        can_be_kept = cached is not CacheStats.NO_CACHE_KEY  # else it holds its statement, which would never be let go of
        form = self._forms.get(compiled) or _Form(compiled, self.dialect)
        if can_be_kept:
            self._forms[compiled] = form
        given = compiled.construct_params(  # raises where a value is missing
            dict.fromkeys(names), extracted_parameters=extracted, _collected_params=collected
        )
        return Prepared(names, form, {**given, **form.defaults}), can_be_kept


class Prepared:
    """One statement with the values that stand in it."""

    __slots__ = ("_form", "_given", "names")

    def __init__(self, names: frozenset[str], form: _Form, given: dict[str, Any]) -> None:
        self.names = names
        self._form = form
        self._given = given

    def bound(self, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text, and what the driver puts into its places."""
        return self._form.bound({**self._given, **parameters} if parameters else self._given)

    @property
    def brings_rows(self) -> bool:
        """Whether it has columns."""
        return self._form.brings_rows

    @property
    def make_row(self) -> Callable[[Sequence[Any]], Any]:
        """Makes a row of the driver's."""
        return self._form.make_row


class _Form:
    """What all statements have in common that differ in their values alone."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._compiled = compiled
        self._converts = cast("dict[str, _Convert]", compiled._bind_processors)  # noqa: SLF001 - what SQLAlchemy converts by
        self._shape = _Shape(compiled.string, compiled.positiontup or (), self._converts, {})
        self._lists = sorted(compiled.bind_names[listed] for listed in compiled.post_compile_params)
        self._by_lengths: LRUCache[Any, _Shape] = LRUCache(_LENGTHS_KEPT)
        self.defaults = _defaults(compiled)
        columns = [(column.keyname, column.type) for column in compiled._result_columns]  # noqa: SLF001 - as its own rows do
        self.brings_rows = bool(columns)
        self.make_row: Callable[[Sequence[Any]], Any] = row_maker(columns, dialect) if columns else tuple

    def bound(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        if not self._lists:
            return self._shape.bound(values)
        lengths = tuple(len(values[name]) for name in self._lists)
        shape = self._by_lengths.get(lengths)
        if shape is None:
            shape = self._by_lengths[lengths] = self._spread(values)
        return shape.bound(values)

    def _spread(self, values: dict[str, Any]) -> _Shape:
        """With a place for each element of its lists."""
        state = self._compiled._process_parameters_for_postcompile(dict(values))  # noqa: SLF001 - how SQLAlchemy does it
        converts = {**self._converts, **state.processors}
        return _Shape(state.statement, state.positiontup or (), converts, state.parameter_expansion)


class _Shape:
    """A text and its places; lists are ``spread`` over places of these names."""

    __slots__ = ("_places", "_spread", "_text")

    def __init__(
        self, text: str, places: Sequence[str], converts: Mapping[str, _Convert], spread: Mapping[str, Sequence[str]]
    ) -> None:
        self._text = text
        self._places = [(name, converts.get(name)) for name in places]
        self._spread = spread

    def bound(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        for name, elements in self._spread.items():
            values = values | dict(zip(elements, values[name], strict=True))
        return self._text, [values[name] if convert is None else convert(values[name]) for name, convert in self._places]


def _defaults(compiled: SQLCompiler) -> dict[str, Any]:
    """What a table gives a column that an INSERT does not name."""
    defaults = {}
    for column in compiled.insert_prefetch:
        assert column.default is not None  # noqa: S101 - or it would not be fetched
        assert isinstance(column.default, ScalarElementColumnDefault), column  # noqa: S101 - no table of ours computes one
        defaults[compiled._within_exec_param_key_getter(column)] = column.default.arg  # noqa: SLF001
    assert not compiled.update_prefetch  # noqa: S101 - nor does any change a column by itself
    return defaults
