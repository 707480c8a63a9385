"""The database without the layers between: for the few statements that a rack runs hundreds of times a second.

SQLAlchemy writes the SQL and knows the types; running a statement through it takes several times as long as
SQLite takes for it. A `Statement` runs in both ways, so that there is one text of each.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from bty_web.database import in_line

Convert = Callable[[Any], Any]
_rows_of: Any = namedtuple


class Statement:
    """A statement that returns rows, made once: making one takes longer than running it."""

    def __init__(self, clause: Any) -> None:
        """`clause` is a select, or a change that returns columns; its values are bound parameters."""
        self.clause = clause
        self._made: dict[str, _Made] = {}

    def rows(self, on: Session | Connection | Direct, **values: Any) -> list[Any]:
        """Run it with `values` for its parameters; return its rows, with columns as attributes."""
        if isinstance(on, Direct):
            return on.run(self.made(on.dialect), values)
        return list(on.execute(self.clause, values))

    def made(self, dialect: Dialect) -> _Made:
        """Return the statement as the driver of `dialect` takes it."""
        found = self._made.get(dialect.name)
        if found is None:
            found = self._made[dialect.name] = _Made(self.clause, dialect)
        return found


class _Made:
    """SQL, and what turns values into the driver's and back."""

    def __init__(self, clause: Any, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self.fixed: Mapping[str, Any] = compiled.params
        self.order = compiled.positiontup
        self.into: dict[str, Convert] = {}
        for bound, name in compiled.bind_names.items():
            convert = _kind(bound.type, dialect).bind_processor(dialect)
            if convert is not None:
                self.into[name] = convert
        columns = list(clause.exported_columns)
        self.row = _rows_of("Row", [column.key for column in columns])
        self.back: list[tuple[int, Convert]] = []
        for at, column in enumerate(columns):
            convert = _kind(column.type, dialect).result_processor(dialect, None)
            if convert is not None:
                self.back.append((at, convert))

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return `values` as the driver takes them."""
        given = {**self.fixed, **values}
        for name, convert in self.into.items():
            given[name] = convert(given[name])
        return given if self.order is None else [given[name] for name in self.order]

    def read(self, found: Any) -> Any:
        """Return one row of the driver with our types."""
        row = list(found)
        for at, convert in self.back:
            row[at] = convert(row[at])
        return self.row._make(row)


def _kind(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


class Direct:
    """A connection of the driver."""

    def __init__(self, engine: Engine, connection: DBAPIConnection) -> None:
        self.dialect = engine.dialect
        self._connection = connection

    def run(self, made: _Made, values: Mapping[str, Any]) -> list[Any]:
        """Run a statement; raise `DBAPIError` as SQLAlchemy does."""
        parameters = made.parameters(values)
        try:
            cursor = self._connection.cursor()
            cursor.execute(made.sql, parameters)
            found = cursor.fetchall()
            cursor.close()
        except self.dialect.loaded_dbapi.Error as error:
            raise self._named(made.sql, error) from error
        return [made.read(row) for row in found]

    def plainly(self, sql: str) -> None:
        """Run a statement without values or rows."""
        try:
            self._connection.cursor().execute(sql)
        except self.dialect.loaded_dbapi.Error as error:
            raise self._named(sql, error) from error

    def _named(self, sql: str, error: Exception) -> BaseException:
        return DBAPIError.instance(
            sql, None, error, self.dialect.loaded_dbapi.Error, dialect=self.dialect
        )


@contextmanager
def reading(engine: Engine) -> Iterator[Direct]:
    """Borrow a connection of the pool for single statements: each sees what is committed by then."""
    borrowed = engine.raw_connection()
    try:
        connection = borrowed.dbapi_connection
        assert connection is not None
        yield Direct(engine, connection)
    finally:
        borrowed.close()


@contextmanager
def writing(engine: Engine) -> Iterator[Direct]:
    """A short unit of work that writes: committed at the end, undone when anything is raised.

    Nobody may hold a connection of the pool while waiting in line: whoever is first needs one.
    """
    with in_line(engine), reading(engine) as connection:
        if engine.dialect.name == "sqlite":  # elsewhere the first statement begins it
            connection.plainly("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.plainly("COMMIT")
        except BaseException:
            with suppress(DBAPIError):
                connection.plainly("ROLLBACK")
            raise
