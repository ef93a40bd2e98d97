"""The check of a script's source: it finds what cannot work, lets pass what might, and never raises."""

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device_agent.script_check import imports_package, scan_script, script_warnings

GOOD_INIT = "def init(): pass\n"
GOOD = GOOD_INIT + "def run(data): return data\n"


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "\ufeff" + GOOD,
        "async def init(): pass\nasync def run(data): return data\n",
        "if True:\n    def init(): pass\nelse:\n    init = None\n"
        "try:\n    from a import run\nexcept ImportError:\n    run = 1\n",
        "from scoring import init, run\n",
        "from scoring import *\n",
        "from scoring import start as init, score as run\n",
        "init, run = make()\n",
        "init = run = lambda data=None: data\n",
        GOOD_INIT + "class run:\n    def __init__(self, data): pass\n",
        "globals()['run'] = globals()['init'] = print\n",
        "exec(open('x').read())\n",
        "def __getattr__(name): return print\n",
        GOOD_INIT + "def make():\n    global run\n    run = print\nmake()\n",
        GOOD_INIT + "with open('x') as run: pass\n",
        GOOD_INIT + "@input_schema('data', x)\ndef run(data): return data\n",
        GOOD_INIT + "@anything\ndef run(*args): return 1\n",
        GOOD_INIT + "@rawhttp\ndef run(request): return 1\n",
        GOOD_INIT + "@services.rawhttp\ndef run(request, request_headers): return 1\n",
        GOOD_INIT + "def run(*, data): return data\n",
        GOOD_INIT + "def run(data, request_headers): return data\n",
        GOOD_INIT + "def run(*args): pass\nrun = wrap(run)\n",
        "def init(path='x'): pass\ndef run(data): '\\d'\n",
        "@decorated\ndef init(context): pass\ndef run(data): pass\n",
    ],
)
def test_scripts_that_may_work_have_no_problem(source: str) -> None:
    assert scan_script(source) == ()


@pytest.mark.parametrize(
    ("source", "problems"),
    [
        ("", ["no init() function", "no run() function"]),
        (GOOD_INIT, ["no run() function"]),
        ("class Model:\n    def init(self): pass\n    def run(self, data): pass\n", ["no init()", "no run()"]),
        ("def outer():\n    def run(data): pass\n" + GOOD_INIT, ["no run() function"]),
        ("def run(data:\n    pass", ["line 1, column 8"]),
        ("x = 1\nimport\n", ["line 2, column"]),
        ("a\x00b", ["null bytes"]),
        ("x = '\ud800'", ["not text"]),
        (GOOD_INIT + "def run(): pass\n", ["line 2: run() needs a parameter"]),
        (GOOD_INIT + "def run(request_headers): pass\n", ["besides request_headers"]),
        (GOOD_INIT + "def run(*data): pass\n", ["line 2: run() cannot have"]),
        (GOOD_INIT + "def run(data, /): pass\n", ["run() cannot have"]),
        (GOOD_INIT + "async def run(data, **rest): pass\n", ["run() cannot have"]),
        (GOOD_INIT + "@input_schema('data', x)\ndef run(**data): pass\n", ["run() cannot have"]),
        (
            GOOD_INIT + "@rawhttp\n@input_schema('data', x)\ndef run(data): pass\n",
            ["line 4: run() cannot be decorated with both"],
        ),
        (GOOD_INIT + "@rawhttp\n@output_schema(x)\ndef run(data): pass\n", ["both @rawhttp and @input_schema"]),
        (GOOD_INIT + "@services.rawhttp\ndef run(*request): pass\n", ["line 3: run() cannot have"]),
        (GOOD_INIT + "@rawhttp\ndef run(): pass\n", ["run() needs a parameter"]),
        ("def init(path, *, other): pass\ndef run(data): pass\n", ["requires other, path"]),
    ],
)
def test_scripts_that_cannot_work_have_these_problems(source: str, problems: list[str]) -> None:
    found = scan_script(source)
    assert len(found) == len(problems), found
    for sentence, part in zip(found, problems, strict=True):
        assert part in sentence


@given(st.text())
@example("(" * 5000)
@example("-" * 100_000 + "1")
@example("x" + ".y" * 50_000)
@example("if 1:\n" * 200)
@example("[" * 90 + "]" * 90)
@example("# -*- coding: nonsense -*-\n")
@example("'\\N{nothing}'")
@example("1" * 5000)
@example("def f(a, a): pass")
@example("match x:\n    case [*run, init]: pass")
def test_any_text_gives_sentences_and_never_raises(source: str) -> None:
    assert all(isinstance(problem, str) and problem for problem in scan_script(source))
    assert all(isinstance(warning, str) and warning for warning in script_warnings(source))


_FRAGMENTS = st.sampled_from(
    [
        "def run(",
        "data",
        "):",
        "\n",
        "    ",
        "pass",
        "init",
        "*",
        "import ",
        "from ",
        "=",
        "@x",
        "class ",
        "match ",
        "'",
        "#",
    ]
)


@given(st.lists(_FRAGMENTS).map("".join))
def test_almost_python_gives_sentences_and_never_raises(source: str) -> None:
    problems = scan_script(source)
    try:
        ast.parse(source)
    except SyntaxError:
        assert len(problems) == 1


@pytest.mark.parametrize(
    "call",
    [
        "import onnxruntime\ns = onnxruntime.InferenceSession('m.onnx')",
        "import onnxruntime as rt\ns = rt.InferenceSession('m.onnx', providers=['CPUExecutionProvider'])",
        "from onnxruntime import InferenceSession as S\ndef init():\n    return S(path)",
        "import onnxruntime as rt\ns = rt.InferenceSession('m.onnx', None)",
        "import onnxruntime as rt\ns = rt.InferenceSession('m.onnx', sess_options=None)",
    ],
)
def test_default_sessions_are_warned_of(call: str) -> None:
    (warning,) = script_warnings(call)
    assert "spinning" in warning
    assert "sess_options" in warning
    assert warning.startswith("line ")


@pytest.mark.parametrize(
    "call",
    [
        "import onnxruntime as rt\ns = rt.InferenceSession('m.onnx', options)",
        "import onnxruntime as rt\ns = rt.InferenceSession('m.onnx', sess_options=options)",
        "import onnxruntime as rt\ns = rt.InferenceSession(*args)",
        "import onnxruntime as rt\ns = rt.InferenceSession('m', **options)",
        "from elsewhere import InferenceSession\nInferenceSession('m')",
        "syntax error(",
    ],
)
def test_other_sessions_are_not(call: str) -> None:
    assert script_warnings(call) == ()


def test_two_required_parameters_without_a_schema_are_warned_of() -> None:
    (warning,) = script_warnings(GOOD_INIT + "def run(a, b): pass\n")
    assert "every call will fail" in warning
    assert script_warnings(GOOD_INIT + "def run(a, request_headers): pass\n") == ()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import flask", True),
        ("import os, flask.json as j", True),
        ("from flask import request", True),
        ("def run(data):\n    from flask.globals import request", True),
        ("try:\n    import flask\nexcept ImportError:\n    flask = None", True),
        ("# flask\nx = 'import flask'", False),
        ("import flask_cors", False),
        ("from . import flask", False),
        ("from .flask import x", False),
        ("import flask(", False),
        ("", False),
    ],
)
def test_imports_are_found_wherever_they_are(source: str, found: bool) -> None:
    assert imports_package(source, "flask") is found


@given(st.text().map(lambda text: text + "flask"))
@example("(" * 5000 + "flask")
def test_looking_for_imports_never_raises(source: str) -> None:
    imports_package(source, "flask")
