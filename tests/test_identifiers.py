"""C++ names: legal, distinct, also where the model's names are not."""

from hypothesis import given
from hypothesis import strategies as st

from intarsia.machine.identifiers import camel_case, identifier, identifiers


def test_names_that_differ_only_in_case_or_underscores_stay_apart() -> None:
    found = identifiers(["conv_1", "conv1", "Conv1"])
    assert len({camel_case(name) for name in found.values()}) == 3


def test_words_of_cpp_and_of_the_generator_are_avoided() -> None:
    assert identifier("load") != "load"
    assert identifier("class") != "class"
    assert identifier("write") != "write"  # a C function that a top function would clash with


def test_names_of_the_generator_win() -> None:
    assert identifiers(["feed_0"], own=["feed0"])["feed_0"] not in ("feed0", "feed_0")


@given(st.lists(st.text(max_size=6), unique=True, max_size=6))
def test_always_legal_and_distinct(names: list[str]) -> None:
    found = identifiers(names).values()
    assert len({camel_case(name) for name in found}) == len(names)
    assert all(name.isidentifier() and name.isascii() for name in found)
