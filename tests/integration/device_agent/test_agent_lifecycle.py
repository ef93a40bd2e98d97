"""The agent's life: exit codes, crashes, the time limit, draining, and a script's process that never outlives it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.device_agent.agent_under_test import (
    ECHO,
    ROOT,
    STUBBORN,
    Agent,
    agent_process,
    is_alive,
    served,
    wait_until,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_requests_in_flight_finish(tmp_path: Path, number: int) -> None:
    source = """
def init(): pass
def run(data):
    open("begun", "w").close()
    with open("gate") as gate: return gate.read()
"""
    os.mkfifo(tmp_path / "gate")
    with served(tmp_path, source) as agent, ThreadPoolExecutor(1) as threads:
        url = agent.url
        waiting = threads.submit(agent.post, b"x")
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        child = agent.child_pid()
        agent.stop(number)
        agent.wait_log("Draining: 1 requests under way")
        wait_until(lambda: _refuses(url), "no new connections")
        (tmp_path / "gate").write_text("finished")
        assert waiting.result().json() == "finished"
        assert agent.exit_code() == 0
        assert not is_alive(child)


def _refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/livez", timeout=5)
    except httpx.TransportError:
        return True
    return False


def test_a_hung_run_does_not_delay_the_end(tmp_path: Path) -> None:
    with served(tmp_path, STUBBORN, EDGEPACK_DRAIN_S="0.5") as agent, ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(agent.post, b"hang")
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        child = agent.child_pid()
        agent.stop()
        assert hanging.result().status_code == 503
        assert agent.exit_code() == 0
        assert not is_alive(child)


def test_a_second_signal_ends_the_draining(tmp_path: Path) -> None:
    with served(tmp_path, STUBBORN, EDGEPACK_DRAIN_S="60") as agent, ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(agent.post, b"hang")
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        agent.stop()
        agent.wait_log("Draining")
        agent.stop()
        assert agent.exit_code() == 0
        assert hanging.result().status_code == 503


def test_an_upload_that_never_ends_does_not_delay_the_end(tmp_path: Path) -> None:
    with served(tmp_path, ECHO, EDGEPACK_DRAIN_S="0.2") as agent:
        host, port = agent.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
            assert agent.post(b"x").status_code == 200
            agent.stop()
            assert agent.exit_code() == 0
        assert "Traceback" not in agent.log + "\n".join(agent.errors)


def test_a_signal_during_init_ends_the_agent(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init():\n    while True: pass\ndef run(data): pass\n")
    with agent_process(tmp_path, "--entry-script", "score.py") as agent:
        agent.wait_log("Invoking user's init function")
        child = agent.child_pid()
        agent.stop()
        assert agent.exit_code() == 0
        assert not is_alive(child)


def test_the_scripts_process_dies_with_the_agent_however_it_ends(tmp_path: Path) -> None:
    with served(tmp_path, STUBBORN) as agent:
        child = agent.child_pid()
        waiting: Future[object] = Future()

        def post() -> None:
            try:
                waiting.set_result(agent.post(b"hang"))
            except httpx.TransportError as error:
                waiting.set_result(error)

        threading.Thread(target=post, daemon=True).start()
        wait_until(lambda: (tmp_path / "begun").exists(), "run() has begun")
        agent.stop(signal.SIGKILL)
        assert agent.exit_code() == -signal.SIGKILL
        wait_until(lambda: not is_alive(child), "the script's process is gone", 5)
        assert isinstance(waiting.result(10), httpx.TransportError)


def test_processes_of_the_script_end_with_it(tmp_path: Path) -> None:
    source = """
import os, subprocess
def init():
    open("helper", "w").write(str(subprocess.Popen(["sleep", "1000"]).pid))
def run(data): return data
"""
    with served(tmp_path, source) as agent:
        helper = int((tmp_path / "helper").read_text())
        assert is_alive(helper)
        agent.stop()
        assert agent.exit_code() == 0
        wait_until(lambda: not is_alive(helper), "the helper is gone", 5)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_the_kind\n", "No module named 'nothing_of_the_kind'"),
        ("def init(): pass\n", "has no run()"),
        ("def init(): raise RuntimeError('no model')\ndef run(data): pass\n", "RuntimeError: no model"),
        ("import sys\ndef init(): sys.exit(0)\ndef run(data): pass\n", "SystemExit: 0"),
        ("import os\ndef init(): os._exit(0)\ndef run(data): pass\n", "ended with exit code 0 while starting"),
        ("import os\ndef init(): os.abort()\ndef run(data): pass\n", "signal 6 (SIGABRT)"),
    ],
)
def test_a_script_that_does_not_start_ends_the_agent_with_3(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "score.py").write_text(source)
    with agent_process(tmp_path, "--entry-script", "score.py") as agent:
        assert agent.exit_code() == 3
        assert told in agent.log
        assert "Ending with exit code 3" in agent.log
        assert agent.errors == []


def test_a_missing_script_and_a_missing_main_end_the_agent_with_3(tmp_path: Path) -> None:
    with agent_process(tmp_path, "--entry_script", "nowhere.py") as agent:
        assert agent.exit_code() == 3
        assert "nowhere.py does not exist" in agent.log
    with agent_process(tmp_path, AML_APP_ROOT=str(tmp_path)) as agent:
        assert agent.exit_code() == 3
        assert "no main.py in" in agent.log


def test_after_a_failed_init_the_model_directory_is_listed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "deep").mkdir(parents=True)
    for number in range(250):
        (models / "deep" / f"{number:03d}.bin").write_text("")
    (tmp_path / "score.py").write_text("def init(): 1 / 0\ndef run(data): pass\n")
    with agent_process(tmp_path, "--entry-script", "score.py", "--model_dir", "models") as agent:
        assert agent.exit_code() == 3
        assert "azmlinfsrv - models/" in agent.log
        assert "azmlinfsrv -     deep/" in agent.log
        assert agent.log.count(".bin") == 198
        assert "First 200 lines shown" in agent.log


def test_bad_settings_end_the_agent_with_2_and_all_problems(tmp_path: Path) -> None:
    with agent_process(tmp_path, EDGEPACK_HTTP="x", EDGEPACK_LOG="y", SCORING_TIMEOUT_MS="z") as agent:
        assert agent.exit_code() == 2
        assert len(agent.errors) == 3
    with agent_process(tmp_path, "--port", "many") as agent:
        assert agent.exit_code() == 2


def test_a_port_in_use_ends_the_agent_with_2(tmp_path: Path) -> None:
    with served(tmp_path, ECHO) as first:
        port = first.url.rpartition(":")[2]
        with agent_process(tmp_path, "--entry-script", "score.py", "--port", port) as second:
            assert second.exit_code() == 2
            assert second.errors == [f"device_agent: cannot listen on 127.0.0.1:{port}: the port is in use"]


def test_the_environment_alone_is_enough_and_main_is_served(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("import os\ndef init(): pass\ndef run(data): return os.environ['AML_APP_ROOT']\n")
    with agent_process(tmp_path, AML_APP_ROOT=str(app)) as agent:
        agent.wait_ready()
        assert agent.post(b"x").json() == str(app)


def test_files_of_the_script_do_not_hide_the_standard_library(tmp_path: Path) -> None:
    for name in ("http.py", "logging.py", "json.py", "socket.py", "httptools.py"):
        (tmp_path / name).write_text("raise RuntimeError('hidden')\n")
    (tmp_path / "mine.py").write_text("VALUE = 5\n")
    source = "import mine\nimport json\ndef init(): pass\ndef run(data): return json.loads(data) + mine.VALUE\n"
    with served(tmp_path, source) as agent:
        assert agent.post(b"1").json() == 6


def test_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("")
    with served(tmp_path, "import beside\n" + ECHO) as agent:
        assert agent.post(b"x").status_code == 200
        agent.stop()
        assert agent.exit_code() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside.py", "score.py"]


def test_the_log_level_applies_to_both_processes(tmp_path: Path) -> None:
    source = "import logging\ndef init():\n    logging.info('quiet')\n    logging.error('loud')\ndef run(data): pass\n"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "score.py").write_text(source)
    arguments = ("--entry-script", "score.py", "--port", str(port))
    with agent_process(tmp_path, *arguments, AZUREML_LOG_LEVEL="ERROR") as agent:
        agent.wait_log("root - loud")
        wait_until(lambda: not _refuses(f"http://127.0.0.1:{port}"), "it listens")
        agent.stop()
        assert agent.exit_code() == 0
        assert len(agent.output) == 1


def test_default_onnx_sessions_are_warned_of(tmp_path: Path) -> None:
    source = ECHO + "def later():\n    import onnxruntime\n    onnxruntime.InferenceSession('m')\n"
    with served(tmp_path, source) as agent:
        agent.wait_log("keep its threads spinning")


def test_it_works_as_process_1(tmp_path: Path) -> None:
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("process namespaces cannot be made here")
    (tmp_path / "score.py").write_text(
        "import os, subprocess\n"
        "def init(): subprocess.run(['sh', '-c', 'sleep 0 & exit'])\n"
        "def run(data): return [os.getpid(), os.getppid()]\n"
    )
    process = subprocess.Popen(
        [*unshare, sys.executable, "-m", "device_agent", "--entry-script", "score.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EDGEPACK_HTTP": "127.0.0.1:0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    agent = Agent(process)
    try:
        agent.wait_ready()
        assert agent.post(b"x").json()[1] == 1
        first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        os.kill(int(first), signal.SIGTERM)
        assert agent.exit_code() == 0
    finally:
        process.kill()
        agent.exit_code()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


def test_a_signal_before_the_script_is_loaded_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(ECHO)
    for number in (signal.SIGTERM, signal.SIGINT):
        with agent_process(tmp_path, "--entry-script", "score.py") as agent:
            agent.wait_log("takes HTTP on")
            agent.stop(number)
            assert agent.exit_code() == 0
            assert not agent.errors


def test_an_answer_that_is_being_taken_is_finished_after_a_signal(tmp_path: Path) -> None:
    script = "def init(): pass\ndef run(data): return 'x' * 30_000_000\n"
    with served(tmp_path, script) as agent, httpx.stream("POST", f"{agent.url}/score", timeout=30) as response:
        pieces = response.iter_bytes(1_000_000)
        received = len(next(pieces))
        agent.stop()
        turn = threading.Event()
        for piece in pieces:
            received += len(piece)
            turn.wait(0.05)  # a slow reader: about 1.5 s for all
        assert received == 30_000_002
        assert agent.exit_code() == 0
