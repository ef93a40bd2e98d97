"""Parameters of a request, checked against those of a signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent import BadInput
from device_agent.request_params import Param, params_of, with_defaults

SIGNATURE = (
    Param("factor", "double", 2.0),
    Param("n", "long", 3),
    Param("names", "string", ["a"], is_list=True),
    Param("deep", "object", {}),
)


def test_what_a_request_sets_and_what_it_does_not() -> None:
    given = params_of({"n": 7.0, "names": ["b", None], "factor": 1, "deep": {"x": 1}}, SIGNATURE)
    assert given == {"n": 7, "names": ["b", None], "factor": 1.0, "deep": {"x": 1}}
    assert isinstance(given["factor"], float)
    assert isinstance(given["n"], int)
    assert with_defaults(params_of({"n": None}, SIGNATURE), SIGNATURE) == {
        "factor": 2.0,
        "n": None,
        "names": ["a"],
        "deep": {},
    }
    assert params_of(None, SIGNATURE) == params_of({}, ()) == {}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        params_of({"n": 1.5, "names": "a", "deep": [], "m": 1}, SIGNATURE)
    assert str(caught.value) == (
        "Parameter 'n': expected long, found 1.5. Parameter 'names': expected a list. Parameter 'deep': expected "
        "object, found []. Unknown parameter 'm'. The model takes: 'factor' double; 'n' long; 'names' list of string; "
        "'deep' object."
    )
    with pytest.raises(BadInput, match="takes: no parameters"):
        params_of({"n": 1}, ())
    with pytest.raises(BadInput, match="must be an object"):
        params_of([1], SIGNATURE)


@given(st.dictionaries(st.sampled_from(["factor", "n", "x"]), st.none() | st.booleans() | st.integers() | st.floats()))
def test_any_values_are_taken_or_refused_as_the_callers(given: dict[str, object]) -> None:
    try:
        found = params_of(given, SIGNATURE)
    except BadInput:
        return
    assert found.keys() == given.keys()
    assert all(value is None or value == given[name] for name, value in found.items())
