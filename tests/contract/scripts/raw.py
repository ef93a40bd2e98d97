"""A raw script: does what the query's `do` says."""

import json

from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from flask import Response, abort
from flask import request as flask_request


def init():
    pass


def seen(request):
    """What a request shows of itself."""
    return {
        "method": request.method,
        "path": request.path,
        "args": request.args.to_dict(flat=False),
        "query_string": request.query_string.decode(),
        "content_type": request.content_type,
        "mimetype": request.mimetype,
        "content_length": request.content_length,
        "own_header": request.headers.get("X-Own"),
        "cookies": dict(request.cookies),
        "host": request.host,
        "is_json": request.is_json,
        "is_aml_request": isinstance(request, AMLRequest),
    }


def files(request):
    return {
        name: [
            [part.filename, part.content_type, part.read().decode("latin-1")] for part in request.files.getlist(name)
        ]
        for name in request.files
    }


def own_response(_):
    response = AMLResponse("x", 200)
    response.headers["Last-Modified"] = "Mon, 06 May 2024 07:08:09 GMT"
    return response


DOINGS = {
    "seen": seen,
    "data": lambda request: request.data.decode("latin-1"),
    "get_data": lambda request: request.get_data(as_text=True),
    "json": lambda request: request.get_json(),
    "form": lambda request: request.form.to_dict(flat=False),
    "values": lambda request: request.values.to_dict(),
    "files": files,
    "files and form": lambda request: [files(request), request.form.to_dict()],
    "stream": lambda request: len(request.stream.read()),
    "remote": lambda request: request.remote_addr,
    "global": lambda _: flask_request.method,
    "AMLResponse": lambda _: AMLResponse("made", 201),
    "bytes": lambda _: AMLResponse(bytes(range(256)), 200, {"Content-Type": "image/png"}),
    "json_str": lambda _: AMLResponse({"a": "é"}, 202, json_str=True),
    "None": lambda _: AMLResponse(None, 200),
    "failed": lambda _: AMLResponse("x", 400, run_function_failed=True),
    "500": lambda _: AMLResponse("x", 500),
    "503 flask": lambda _: Response("x", status=503),
    "204": lambda _: AMLResponse("", 204),
    "304": lambda _: AMLResponse("", 304),
    "599": lambda _: AMLResponse("x", 599),
    "headers": lambda _: AMLResponse("x", 200, {"X-A": "1", "X-B": "2"}),
    "repeated": lambda _: AMLResponse("x", 200, {"X-A": "1, 2,3"}),
    "cookies": lambda _: AMLResponse("x", 200, {"Set-Cookie": "a=1, b=2"}),
    "date": lambda _: AMLResponse("x", 200, {"Last-Modified": "Mon, 06 May 2024 07:08:09 GMT"}),
    "whole": own_response,
    "type": lambda _: AMLResponse("x", 200, {"Content-Type": "text/plain"}),
    "lower case type": lambda _: AMLResponse("x", 200, {"content-type": "text/plain"}),
    "json type": lambda _: AMLResponse("x", 200, {"Content-Type": "text/plain"}, json_str=True),
    "own id": lambda _: AMLResponse("x", 200, {"x-request-id": "mine", "x-ms-request-id": "mine"}),
    "number as header": lambda _: AMLResponse("x", 200, {"X-A": 1}),
    "plain": lambda _: {"a": 1},
    "tuple": lambda _: ("x", 418),
    "streamed": lambda _: Response(piece for piece in ("a", "b")),
    "abort": lambda _: abort(422),
    "raise": lambda _: json.loads("x"),
}


@rawhttp
def run(request):
    return DOINGS[request.args.get("do", "seen")](request)
