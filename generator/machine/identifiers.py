"""C++ names for model names: readable, legal and distinct."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping

_RESERVED = frozenset(
    """
    auto bool break case char class const constexpr continue default delete do double else enum
    explicit extern false float for friend goto if inline int long mutable namespace new operator
    private protected public register return short signed sizeof static struct switch template this
    throw true try typedef typename union unsigned using virtual void volatile while load input output
    weights taps tap phase source target feed design intarsia std main
    abs atan calloc ceil cos div exp exp2 fabs floor fma fmod free gamma hypot index labs log log2
    malloc pow printf puts qsort rand random read realloc remove rename rint round scalb select
    signal sin sinh sqrt srand system tan tanh time trunc write y0 y1 yn j0 j1 jn
    """.split()  # noqa: SIM905
)
"""C++ keywords, the names that top.cpp uses itself, and C functions that a top function may not be named after."""


def identifier(name: str) -> str:
    """A lower-case C++ identifier that resembles `name`."""
    text = re.sub(r"[^0-9a-zA-Z]+", "_", name).strip("_").lower() or "x"
    if text[0].isdigit():
        text = f"n{text}"
    return f"{text}0" if text in _RESERVED or keyword.iskeyword(text) else text


def identifiers(names: Iterable[str], own: Iterable[str] = ()) -> Mapping[str, str]:
    """Identifiers for names, in order: distinct, also as the CamelCase stems of struct names.

    Args:
        names: from the model.
        own: identifiers of the generator itself, which stay as they are.
    """
    result: dict[str, str] = {name: name for name in own}
    taken = {camel_case(name) for name in result}
    for name in names:
        base = candidate = identifier(name)
        count = 1
        while camel_case(candidate) in taken:
            count += 1
            candidate = f"{base}_v{count}"
        taken.add(camel_case(candidate))
        result[name] = candidate
    return result


def camel_case(name: str) -> str:
    """CamelCase of a snake_case identifier, for struct names."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
