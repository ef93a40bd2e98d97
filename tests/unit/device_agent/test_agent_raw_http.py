"""Scripts that take the HTTP request and answer with a response of their own, with Flask and without."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent import entry_script
from device_agent.errors import ScriptStartError
from device_agent.raw_http import wsgi_environ
from device_agent.scorer import INTERNAL_ERROR_TEXT, SCRIPT_ERROR_TEXT, ScoringRequest, ScoringResult, ScriptSource
from device_agent.shims import ShimFinder, install_shims

IMPORTS = """
from azureml.contrib.services.aml_request import rawhttp, AMLRequest
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
"""
NEEDS_FLASK = "import flask\n" + IMPORTS


@pytest.fixture(autouse=True)
def _unchanged_interpreter() -> Iterator[None]:
    """Scripts change the import path and the module table; the base of AMLResponse is chosen at import."""
    path, finders, modules = list(sys.path), list(sys.meta_path), dict(sys.modules)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("flask", "werkzeug", "azureml")]:
        del sys.modules[name]
    sys.modules.pop("device_agent.aml_classes", None)
    install_shims()
    yield
    entry_script.close_loop()
    sys.path[:], sys.meta_path[:] = path, finders
    for name in set(sys.modules) - modules.keys():
        del sys.modules[name]
    sys.modules.update(modules)


@pytest.fixture(params=["flask", "werkzeug"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both worlds: Flask installed, and Flask not installed."""
    name: str = request.param
    if name == "werkzeug":
        monkeypatch.setitem(sys.modules, "flask", None)
    return name


def _load(folder: Path, source: str) -> entry_script.EntryScript:
    (folder / "score.py").write_text(source)
    script = entry_script.load_script(ScriptSource(str(folder), "score.py"))
    entry_script.call_init(script)
    return script


def _run(folder: Path, body: str, request: ScoringRequest | None = None, before: str = IMPORTS) -> ScoringResult:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return entry_script.score(_load(folder, before + lines), request or ScoringRequest(b"x"))


def _multipart(*parts: tuple[str, bytes]) -> ScoringRequest:
    body = b"".join(b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
                    for head, content in parts) + b"--cut--\r\n"  # fmt: skip
    kind = "multipart/form-data; boundary=cut"
    headers = (("content-type", kind), ("content-length", str(len(body))))
    return ScoringRequest(body, content_type=kind, headers=headers)


@pytest.mark.usefixtures("library")
def test_the_request_says_what_the_client_sent(tmp_path: Path) -> None:
    headers = (
        ("host", "device:5001"),
        ("x-foo", "1"),
        ("x-foo", "é"),
        ("x_posing", "1"),
        ("cookie", "k=v"),
        ("cookie", "l=w"),
        ("content-type", "text/csv; charset=utf-8"),
        ("content-length", "7"),
        ("authorization", "Bearer key"),
    )
    request = ScoringRequest(
        b"a,\xc3\xa9\n1\n", "POST", "/score", "a=1&b=%C3%A9&b=2", headers[6][1], "10.0.0.7", headers
    )
    body = """\
return dict(
    method=request.method, path=request.path, full_path=request.full_path, url=request.url,
    headers=dict(request.headers), data=request.data.decode(), again=request.get_data(False).decode(),
    args=request.args.to_dict(flat=False), values=request.values.to_dict(flat=False), form=request.form.to_dict(),
    cookies=request.cookies, remote=request.remote_addr, length=request.content_length, type=request.content_type,
    mimetype=request.mimetype, is_json=request.is_json, host=request.host, scheme=request.scheme,
    query=request.query_string.decode(), silent=request.get_json(silent=True), base=request.base_url,
)"""
    result = _run(tmp_path, body, request)
    assert json.loads(result.body) == {
        "method": "POST",
        "path": "/score",
        "full_path": "/score?a=1&b=%C3%A9&b=2",
        "url": "http://device:5001/score?a=1&b=é&b=2",
        "base": "http://device:5001/score",
        "headers": {
            "Host": "device:5001",
            "X-Foo": "1,é",
            "Cookie": "k=v; l=w",
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Length": "7",
            "Authorization": "Bearer key",
        },
        "data": "a,é\n1\n",
        "again": "a,é\n1\n",
        "args": {"a": ["1"], "b": ["é", "2"]},
        "values": {"a": ["1"], "b": ["é", "2"]},
        "form": {},
        "cookies": {"k": "v", "l": "w"},
        "remote": "10.0.0.7",
        "length": 7,
        "type": "text/csv; charset=utf-8",
        "mimetype": "text/csv",
        "is_json": False,
        "host": "device:5001",
        "scheme": "http",
        "query": "a=1&b=%C3%A9&b=2",
        "silent": None,
    }
    assert (result.status, result.script_failed) == (200, False)
    assert result.exec_ms is not None


@pytest.mark.usefixtures("library")
def test_files_and_fields_of_a_form(tmp_path: Path) -> None:
    request = _multipart(
        ('name="file[]"; filename="a.bin"', b"\x00\xff"),
        ('name="file[]"; filename="b.txt"\r\nContent-Type: text/plain', "é".encode()),
        ('name="limit"', b"5"),
    )
    body = """\
files = request.files.getlist("file[]")
return [[f.filename, f.content_type, len(f.read())] for f in files], request.form["limit"], request.values["limit"]"""
    assert json.loads(_run(tmp_path, body, request).body) == [
        [["a.bin", None, 2], ["b.txt", "text/plain", 2]],
        "5",
        "5",
    ]


@pytest.mark.usefixtures("library")
def test_urlencoded_forms_and_json(tmp_path: Path) -> None:
    form = ScoringRequest(b"x=1&y=2&y=3", content_type="application/x-www-form-urlencoded")
    assert json.loads(_run(tmp_path, "return request.form.to_dict(flat=False)", form).body) == {
        "x": ["1"],
        "y": ["2", "3"],
    }
    data = ScoringRequest(b'{"a": [1]}', content_type="application/json")
    assert json.loads(_run(tmp_path, "return request.json['a'], request.get_json()", data).body) == [[1], {"a": [1]}]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_every_method_reaches_a_raw_run(tmp_path: Path, method: str) -> None:
    result = _run(tmp_path, "return AMLResponse(request.method, 202, {'X-Method': request.method})",
                  ScoringRequest(b"", method))  # fmt: skip
    assert result.status == 202
    assert result.headers == (("X-Method", method),)
    assert result.body == method.encode()  # who sends it leaves the body of HEAD out


def test_flask_is_there_when_it_is_installed(tmp_path: Path) -> None:
    body = """\
assert flask.request.path == request.path == "/score"
assert isinstance(request, flask.Request) and issubclass(AMLResponse, flask.Response)
assert request.endpoint == "main.handle_score" and str(request.url_rule) == "/score"
assert flask.current_app.root_path == %r
flask.g.seen = 1
return flask.jsonify(b=1, a=flask.g.seen)"""
    result = _run(tmp_path, body % str(tmp_path), before=NEEDS_FLASK)
    assert (result.status, result.content_type, json.loads(result.body)) == (200, "application/json", {"a": 1, "b": 1})
    assert result.script_failed is None  # a plain response of Flask says nothing about it


def test_without_flask_the_request_is_werkzeugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)
    result = _run(tmp_path, "return isinstance(request, AMLRequest), type(request).__mro__[1].__module__")
    assert json.loads(result.body) == [True, "werkzeug.wrappers.request"]


@pytest.mark.parametrize(
    ("source", "wants_headers"),
    [
        ("from flask import request\ndef init(): pass\ndef run(data): return [data, request.headers['X-A']]\n", True),
        (
            "def init(): pass\ndef run(data):\n    import flask\n    return [data, flask.request.headers['X-A']]\n",
            True,
        ),
        ("def init(): pass\ndef run(data): return [data, 'flask']\n", False),
    ],
)
def test_undecorated_scripts_that_use_flask_run_inside_a_request(
    tmp_path: Path, source: str, wants_headers: bool
) -> None:
    script = _load(tmp_path, source)
    assert script.description.wants_headers is wants_headers
    assert not script.description.raw_http
    result = entry_script.score(script, ScoringRequest(b"text", headers=(("x-a", "flask"),)))
    assert json.loads(result.body) == ["text", "flask"]
    assert ("flask" in sys.modules) is wants_headers


def test_async_runs_see_their_own_request(tmp_path: Path) -> None:
    source = (
        "import asyncio, flask\nasync def init(): pass\n"
        "async def run(data):\n    await asyncio.sleep(0)\n    return flask.request.args['n']\n"
    )
    script = _load(tmp_path, source)
    answers = [entry_script.score(script, ScoringRequest(b"", query=f"n={number}")).body for number in range(3)]
    assert answers == [b'"0"', b'"1"', b'"2"']


def test_functions_for_after_the_request_change_the_response(tmp_path: Path) -> None:
    body = """\
@flask.after_this_request
def mark(response):
    response.headers["X-After"] = "1"
    return response
return %s"""
    for value in ("{'a': 1}", "flask.jsonify(a=1)", "AMLResponse({'a': 1}, 200, json_str=True)"):
        result = _run(tmp_path, body % value, before=NEEDS_FLASK)
        assert (json.loads(result.body), result.headers) == ({"a": 1}, (("X-After", "1"),))
    failing = body.replace("response.headers", "nothing.headers")
    assert _run(tmp_path, failing % "1", before=NEEDS_FLASK).status == 500


Case = tuple[str, int, str, bool | None, bytes]
RESPONSES: list[Case] = [
    ("AMLResponse('é', 201)", 201, "text/html; charset=utf-8", False, "é".encode()),
    ("AMLResponse(b'\\0\\xff', 200, {'Content-Type': 'image/jpeg'})", 200, "image/jpeg", False, b"\0\xff"),
    ("AMLResponse('x', 200, {'content-type': 'a/b; c=\"d,e\"'})", 200, 'a/b; c="d,e"', False, b"x"),
    ("AMLResponse(None, 200)", 200, "application/json", False, b"{}"),
    ("AMLResponse({'a': [1, None]}, 400, json_str=True)", 400, "application/json", False, b'{"a": [1, null]}'),
    ("AMLResponse('{}', 400, {}, True)", 400, "application/json", False, b'"{}"'),
    ("AMLResponse({'a': 1}, 200, {'Content-Type': 'a/b'}, json_str=True)", 200, "a/b", False, b'{"a": 1}'),
    ("AMLResponse('x', 500)", 500, "text/html; charset=utf-8", True, b"x"),
    ("AMLResponse('x', 404, run_function_failed=True)", 404, "text/html; charset=utf-8", True, b"x"),
    ("AMLResponse('x', 200, {'X-MS-run-function-failed': 'True'})", 200, "text/html; charset=utf-8", True, b"x"),
    ("AMLResponse('body', 204)", 204, "text/html; charset=utf-8", False, b""),
    ("AMLResponse(message='x', status_code=418, response_headers={})", 418, "text/html; charset=utf-8", False, b"x"),
    ("Response('x', 503)", 503, "text/plain; charset=utf-8", True, b"x"),
    ("Response(b'x', mimetype='a/b')", 200, "a/b", None, b"x"),
    ("Response((part for part in ['é', 'b']))", 200, "text/plain; charset=utf-8", None, "éb".encode()),
    ("redirect('/other')", 302, "text/html; charset=utf-8", None, b""),
    ("send_file('score.txt', environ=request.environ)", 200, "text/plain; charset=utf-8", None, b"file\n"),
    ("'text'", 200, "application/json", False, b'"text"'),
    ("None", 200, "application/json", False, b"{}"),
    ("(1, 418)", 200, "application/json", False, b"[1, 418]"),
]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("value", "status", "kind", "failed", "body"), RESPONSES)
def test_what_responses_become(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    status: int,
    kind: str,
    failed: bool | None,
    body: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.txt").write_text("file\n")
    imports = "from werkzeug.utils import redirect, send_file\nfrom werkzeug.wrappers import Response\n"
    result = _run(tmp_path, f"return {value}", before=imports + IMPORTS)
    assert (result.status, result.content_type, result.script_failed) == (status, kind, failed)
    assert result.body == body or status == 302
    assert result.exec_ms is not None


@pytest.mark.usefixtures("library")
def test_headers_of_a_response(tmp_path: Path) -> None:
    body = """\
response = AMLResponse("x", 200, {"X-List": "a, b,c", "Connection": "close", "Content-Length": "9",
    "x-request-id": "mine", "X-MS-Request-Id": "mine", "x-ms-client-request-id": "mine", "Server": "me",
    "Transfer-Encoding": "chunked", "x-ms-run-fn-exec-ms": "1", "Keep-Alive": "5", "X-Kept": " é "})
response.headers["X-Date"] = "Mon, 1 Jan 2024"
response.set_cookie("a", "1")
response.set_cookie("b", "2", httponly=True)
return response"""
    assert _run(tmp_path, body).headers == (
        ("X-List", "a"),
        ("X-List", "b"),
        ("X-List", "c"),
        ("X-Kept", "é"),
        ("X-Date", "Mon, 1 Jan 2024"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2; HttpOnly; Path=/"),
    )


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "\x01"),
        ("X-A", "\0"),
        ("X-A", "\x7f"),
        ("X-A", "\u2192"),
        ("X a", "1"),
        ("X-A\r\nX-B", "1"),
        ("", "1"),
        ("é", "1"),
        ("Content-Type", "a/b\0"),
    ],
)
def test_a_header_that_is_none_never_leaves(
    tmp_path: Path, name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"response = AMLResponse('x', 200)\nresponse.headers[{name!r}] = {value!r}\nreturn response"
    result = _run(tmp_path, body)
    assert (result.status, result.script_failed, result.headers) == (500, False, ())
    assert json.loads(result.body) == {"message": INTERNAL_ERROR_TEXT}
    assert f"its header {name!r}" in caplog.text


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    "body",
    [
        "abort(422)",
        "raise ValueError('x')",
        "request.json",
        "return AMLResponse('x', 200, {'X-A': 'a\\r\\nSet-Cookie: b'})",
        "return AMLResponse('x', 200, {'X-A': 1})",
        "return AMLResponse({1}, 200, json_str=True)",
        "return AMLResponse(12, 200)",
        "return Response(1 / 0 for _ in 'x')",
        "return Response(exit(3) for _ in 'x')",
    ],
)
def test_faults_of_the_script_are_script_errors(tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture) -> None:
    imports = "from werkzeug.exceptions import abort\nfrom werkzeug.wrappers import Response\n"
    result = _run(tmp_path, body, before=imports + IMPORTS)
    assert (result.status, result.script_failed) == (500, True)
    assert json.loads(result.body) == {"message": SCRIPT_ERROR_TEXT}
    assert "Encountered Exception: Traceback" in caplog.text
    assert "NotSerialisable" not in caplog.text or "{1}" in body
    assert "entry_script.py" not in caplog.text.partition("Traceback")[2]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("status", [0, 100, 101, 199, 1000])
def test_a_status_that_is_none_is_an_internal_error(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert _run(tmp_path, f"return AMLResponse('x', {status})").status == 500
    assert f"its status is {status}" in caplog.text


@pytest.mark.usefixtures("library")
def test_an_aml_response_from_an_undecorated_script(tmp_path: Path) -> None:
    source = "from azureml.contrib.services.aml_response import AMLResponse\ndef init(): pass\n"
    script = _load(tmp_path, source + "def run(data): return AMLResponse(data, 422, {'X-A': '1'})\n")
    result = entry_script.score(script, ScoringRequest(b"text"))
    assert (result.status, result.body, result.headers) == (422, b"text", (("X-A", "1"),))


def test_a_script_without_http_imports_neither_library(tmp_path: Path) -> None:
    script = _load(tmp_path, "def init(): pass\ndef run(data): return data\n")
    assert entry_script.score(script, ScoringRequest(b"x")).body == b'"x"'
    assert not {"flask", "werkzeug", "device_agent.aml_classes"} & sys.modules.keys()
    assert script.http_side is None


@pytest.mark.usefixtures("library")
def test_description_and_request_headers(tmp_path: Path) -> None:
    source = (
        IMPORTS.replace("request)", "request, request_headers=None)") + "    return request_headers, request.method\n"
    )
    script = _load(tmp_path, source)
    assert script.description.raw_http
    assert script.description.wants_headers
    result = entry_script.score(script, ScoringRequest(b"", headers=(("x-foo", "1"),)))
    assert json.loads(result.body) == [{"X-Foo": "1"}, "POST"]


@pytest.mark.usefixtures("library")
def test_decorating_another_function_switches_run_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = IMPORTS.replace("def run(request):", "def other(request): pass\ndef run(data): return data.method\n")
    with caplog.at_level(logging.WARNING):
        script = _load(tmp_path, source)
    assert "@rawhttp is on other, not on run()" in caplog.text
    assert entry_script.score(script, ScoringRequest(b"x")).body == b'"POST"'
    caplog.clear()
    assert not _load(tmp_path, "def init(): pass\ndef run(data): return data\n").description.raw_http
    assert not caplog.messages


@pytest.mark.parametrize("decorator", ["@input_schema('request', StandardPythonParameterType({'a': 1}))"])
def test_raw_and_schema_together_are_refused(tmp_path: Path, decorator: str) -> None:
    pytest.importorskip("inference_schema", reason="inference-schema is not installed")
    imports = (
        "from inference_schema.schema_decorators import input_schema\n"
        "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType\n"
    )
    source = imports + IMPORTS.replace("@rawhttp", f"@rawhttp\n{decorator}") + "    pass\n"
    with pytest.raises(ScriptStartError, match="both @rawhttp and @input_schema") as caught:
        _load(tmp_path, source)
    assert caught.value.stage == "signature"


def test_the_flag_of_an_installed_package_is_honoured(tmp_path: Path) -> None:
    package = tmp_path / "azureml_inference_server_http" / "api"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "aml_request.py").write_text(
        "_rawHttpRequested = False\ndef rawhttp(func):\n"
        "    global _rawHttpRequested\n    _rawHttpRequested = True\n    return func\n"
    )
    installed = "from azureml_inference_server_http.api.aml_request import rawhttp\n"
    script = _load(tmp_path, installed + "def init(): pass\n@rawhttp\ndef run(request): return request.method\n")
    assert script.description.raw_http
    assert entry_script.score(script, ScoringRequest(b"x")).body == b'"POST"'
    assert not _load(tmp_path, installed + "def init(): pass\ndef run(data): return 1\n").description.raw_http
    assert any(finder is ShimFinder for finder in sys.meta_path)


@pytest.mark.usefixtures("library")
def test_uploaded_files_are_closed_after_the_response(tmp_path: Path) -> None:
    request = _multipart(('name="f"; filename="a"', b"content"))
    source = IMPORTS + "    global kept\n    kept = request.files['f']\n    return AMLResponse(kept.stream, 200)\n"
    script = _load(tmp_path, source)
    assert entry_script.score(script, request).body == b"content"
    kept: Any = sys.modules["entry_module"].kept
    assert kept.stream.closed


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("device:5001", ("device", "5001")),
        ("device", ("device", "80")),
        ("[::1]:5001", ("[::1]", "5001")),
        ("[::1]", ("[::1]", "80")),
        ("", ("localhost", "80")),
    ],
)
def test_server_name_and_port_come_from_the_host_header(host: str, server: tuple[str, str]) -> None:
    environ = wsgi_environ(ScoringRequest(b"", headers=(("host", host),) if host else ()))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == server


def test_a_body_without_a_content_length_is_read_whole() -> None:
    environ = wsgi_environ(ScoringRequest(b"abc", headers=(("transfer-encoding", "chunked"),)))
    assert environ["CONTENT_LENGTH"] == "3"
    assert "REMOTE_ADDR" not in environ
    assert "CONTENT_LENGTH" not in wsgi_environ(ScoringRequest(b"", "GET"))
