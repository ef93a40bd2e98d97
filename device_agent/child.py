"""The script's process: loads the script, then answers request after request on the socket it was given.

Started by `child_link` and by nothing else. One thread runs everything of the script, in the main thread, so
libraries that insist on it work. Each answer is sent before the next request begins (scoring_queue relies on
it). Ends when the agent closes the socket, and is killed by the kernel when the agent dies. Imports only what
it needs: the memory and the import path belong to the script.
"""

import contextlib
import faulthandler
import itertools
import logging
import mmap
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from device_agent import entry_script
from device_agent.errors import ScriptStartError
from device_agent.frames import (
    LONE_REQUEST,
    NUMBER,
    Frame,
    FrameDecoder,
    decode_event,
    decode_request,
    encode_event,
    encode_result,
)
from device_agent.log_lines import CurrentRequest, LineLog, configure_logging
from device_agent.scorer import ScriptSource
from device_agent.script_logging import apply_logging_file, prepare_streams
from device_agent.shims import install_shims
from device_agent.spinning import Spinning, receive_quickly

MODEL_TREE_LINES = 200
_PIECE_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1
_LOG = logging.getLogger("azmlinfsrv")


def main() -> None:
    """Arguments: descriptors of the socket, the log and the shared number; process id of the agent.

    Ends with exit code 0, or 3 at start.
    """
    socket_descriptor, log_descriptor, begun_descriptor, agent_pid = map(int, sys.argv[1:5])
    for descriptor in (socket_descriptor, log_descriptor):
        os.set_inheritable(descriptor, False)
    begun = mmap.mmap(begun_descriptor, mmap.PAGESIZE)
    os.close(begun_descriptor)
    die_with_agent(agent_pid)
    sys.dont_write_bytecode = sys.pycache_prefix is None
    with socket.socket(fileno=socket_descriptor) as link:
        frames = read_frames(link)
        header = decode_event(next(frames))
        prepare_streams()
        configure_logging(LineLog(log_descriptor, header["log_format"]), header["log_level"])
        faulthandler.enable()
        install_shims()
        sys.path.append(str(Path.cwd()))
        source = ScriptSource(**header["source"])
        sys.argv[:] = [source.entry_script or source.entry_module or "main"]
        try:
            entry_script.make_importable(source)
            apply_logging_file(source, log_descriptor)
            script = start_script(source, link)
        except ScriptStartError as error:
            entry_script.log_start_failure(error)
            if error.stage == "init":
                log_model_tree(os.environ.get("AZUREML_MODEL_DIR", ""))
            link.sendall(encode_event({"event": "failed", "stage": error.stage, "message": str(error)}))
            sys.exit(ScriptStartError.exit_code)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer_requests(script, link, frames, begun)
        entry_script.close_loop()


def start_script(source: ScriptSource, link: socket.socket) -> entry_script.EntryScript:
    """Load the script and run `init()`, telling the agent of each stage. Raises ScriptStartError."""
    script = entry_script.load_script(source, json_nan=os.environ.get("EDGEPACK_JSON_NAN", "null"))
    _LOG.info("Found user script at %s", script.place)
    form = script.form
    if form.takes_request:
        _LOG.info("run() is decorated with @rawhttp and is called with the HTTP request")
    elif form.takes_schema:
        _LOG.info("run() is called with the members of a JSON object: %s", ", ".join(form.defaults))
    link.sendall(encode_event({"event": "loaded"}))
    _LOG.info("Invoking user's init function")
    entry_script.call_init(script)
    _LOG.info("User's init has completed successfully")
    link.sendall(encode_event({"event": "ready", "description": asdict(script.description)}))
    return script


def answer_requests(
    script: entry_script.EntryScript, link: socket.socket, frames: Iterator[Frame], begun: mmap.mmap
) -> None:
    """Score every request that arrives until the agent closes the socket; note in `begun` which."""
    for frame in frames:
        NUMBER.pack_into(begun, 0, frame.number)
        request = decode_request(frame)
        CurrentRequest.id = request.request_id
        result = entry_script.score(script, request)
        CurrentRequest.id = ""
        send_result(link, encode_result(frame.number, result), result.body)


def send_result(link: socket.socket, head: bytes, body: bytes) -> None:
    """Send a result; a small one in one piece, a large body without copying it."""
    if len(body) <= _PIECE_BYTES:
        link.sendall(head + body)
    else:
        link.sendall(head)
        link.sendall(body)


def read_frames(link: socket.socket) -> Iterator[Frame]:
    """The frames that arrive on `link`, until its other end is closed."""
    decoder = FrameDecoder()
    spinning = Spinning(len(os.sched_getaffinity(0)))
    is_lone = False
    with contextlib.suppress(ConnectionResetError):
        while True:
            piece = b""
            if is_lone and spinning.is_worth_a_try():
                piece = receive_quickly(link, _PIECE_BYTES)
                spinning.tell(found=bool(piece))
            piece = piece or link.recv(_PIECE_BYTES)
            if not piece:
                return
            for frame in decoder.feed(piece):
                is_lone = frame.kind == LONE_REQUEST
                yield frame


def die_with_agent(agent_pid: int) -> None:
    """Have the kernel kill this process when the agent ends, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != agent_pid:  # it was faster
        os._exit(1)


def log_model_tree(folder: str) -> None:
    """Log what is below the model directory, one line an entry, at most MODEL_TREE_LINES."""
    if not folder or not Path(folder).exists():
        _LOG.info("The model directory (AZUREML_MODEL_DIR) is %s", f"missing: {folder}" if folder else "not set")
        return
    _LOG.info("Model directory contents:")
    lines = tree_lines(Path(folder))
    for line in itertools.islice(lines, MODEL_TREE_LINES):
        _LOG.info("%s", line)
    if next(lines, None) is not None:
        _LOG.info("Output truncated. First %d lines shown.", MODEL_TREE_LINES)


def tree_lines(path: Path, depth: int = 0) -> Iterator[str]:
    """The names from `path` down, indented by four spaces a level, folders with a slash; links stay links."""
    indent = "    " * depth
    name = path.name or str(path)
    try:
        is_folder = path.is_dir() and not (depth and path.is_symlink())
    except OSError as error:
        yield f"{indent}{name} ({error.strerror})"
        return
    if not is_folder:
        yield indent + name
        return
    yield f"{indent}{name}/"
    try:
        children = sorted(path.iterdir())
    except OSError as error:
        yield f"{indent}    ({error.strerror})"
        return
    for child in children:
        yield from tree_lines(child, depth + 1)
