"""The names of `typing` that the program needs while it runs, without loading `typing`.

A hook asks `gitcoord check` before every edit, and loading `typing` and building its named tuples took a quarter of all
that such a command may cost. Type checkers see the real names; at run time there are stand-ins that do what is used of
them here: frozen tuples with named fields, and annotations that nobody evaluates.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, cast
else:
    from _collections import _tuplegetter

    Any = object
    TypedDict = dict
    NotRequired = None

    def cast(_kind, value):  # noqa: ANN001, ANN201
        """Return the value; for type checkers it is of the kind."""
        return value

    class Literal:
        """A stand-in in annotations and aliases."""

        def __class_getitem__(cls, _values):  # noqa: ANN001, ANN204
            """Return what such values are."""
            return str

    class _Fields(type):
        """Makes a class body's annotated names the fields of a tuple."""

        def __new__(cls, name, bases, body):  # noqa: ANN001, ANN204
            if bases and bases[0] is not tuple:
                fields = tuple(body.get("__annotations__", ()))
                body["_defaults"] = {field: body.pop(field) for field in fields if field in body}
                body["_fields"] = body["__match_args__"] = fields
                body.update((field, _tuplegetter(at, field)) for at, field in enumerate(fields))
                body["__slots__"] = ()
            return super().__new__(cls, name, bases, body)

    class NamedTuple(tuple, metaclass=_Fields):
        """A frozen tuple with named fields, as `typing.NamedTuple` makes it."""

        __slots__ = ()
        _fields = ()
        _defaults = {}  # noqa: RUF012 - written by the metaclass only

        def __new__(cls, *values, **named):  # noqa: ANN002, ANN003, ANN204
            """Take the fields in order or by name.

            Raises:
                TypeError: one is missing, unknown, or given twice.
            """
            fields = cls._fields
            if named or len(values) != len(fields):
                filled = {**cls._defaults, **dict(zip(fields, values, strict=False)), **named}
                twice = set(fields[: len(values)]) & set(named)
                if len(values) > len(fields) or twice or set(filled) != set(fields):
                    message = f"{cls.__name__} takes {', '.join(fields)}"
                    raise TypeError(message)
                values = [filled[field] for field in fields]
            return tuple.__new__(cls, values)

        def __repr__(self):  # noqa: ANN204
            """Show the fields by name."""
            return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in zip(self._fields, self, strict=True))})"

        def __getnewargs__(self):  # noqa: ANN204
            """Let copies be made."""
            return tuple(self)

        def _replace(self, **changed):  # noqa: ANN003, ANN202
            """Return the same with other values in some fields."""
            return type(self)(**{**dict(zip(self._fields, self, strict=True)), **changed})

        def _asdict(self):  # noqa: ANN202
            """Return the fields by name."""
            return dict(zip(self._fields, self, strict=True))


__all__ = ["TYPE_CHECKING", "Any", "Literal", "NamedTuple", "NotRequired", "TypedDict", "cast"]
