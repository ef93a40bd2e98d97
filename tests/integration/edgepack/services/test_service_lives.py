"""A service from deployment to deletion, as real processes of this machine."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgepack import service
from edgepack.errors import DamagedDataError, InputError, RemoteError
from edgepack.models.naming import ModelReference
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.services.health import call
from edgepack.services.ports import holder_of, port_problem
from edgepack.services.process_identity import identify, wait_for_end
from edgepack.services.record import (
    DEPLOYING,
    FAILED,
    RUNNING,
    AccessKeys,
    Service,
    ServiceChange,
)
from tests.fakes.service_desk import SCRIPT, Desk, life_folder, until
from tests.fakes.service_images import make_fake_image

BROKEN = "def init():\n    raise ValueError('no such weights: é')\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.delete_all()
    assert not (made.workspace / "services").exists()


def test_the_whole_life(desk: Desk) -> None:
    found = desk.deploy()
    assert (found.state, found.reason, found.models) == (RUNNING, "", ("tiny:1",))
    assert found.scoring_uri == f"http://localhost:{found.port}/score"
    assert desk.answer(4) == {"product": 8, "models": ["weights.bin"]}
    assert found.process_id is not None
    session = os.getsid(found.process_id)
    assert session != os.getsid(0)
    assert Path(f"/proc/{found.process_id}/fd/0").resolve() == Path("/dev/null")
    assert os.getppid() != found.process_id
    fields = Path(f"/proc/{found.process_id}/stat").read_text().rpartition(")")[2].split()
    assert fields[4] == "0", "it has a controlling terminal"
    until(lambda: "POST /score 200" in desk.log(), "requests are logged")
    with pytest.raises(InputError, match="there is a service service already"):
        desk.deploy()

    desk.write(SCRIPT.format(factor=3))
    again = desk.reload()
    assert (again.port, again.image) == (found.port, found.image)
    assert again.process_id != found.process_id
    assert desk.answer(4)["product"] == 12
    assert any("did not answer for" in text for text in desk.said)

    identity = identify(again.process_id or 0)
    assert identity is not None
    desk.delete()
    assert wait_for_end(identity, 0)
    assert desk.pids() == []
    assert port_problem("127.0.0.1", found.port or 0) is None
    with pytest.raises(InputError, match="there are none"):
        desk.find()


def test_a_failed_init_shows_the_traceback_and_leaves_the_log(desk: Desk) -> None:
    desk.write(BROKEN)
    with pytest.raises(InputError) as caught:
        desk.deploy()
    assert "line 2, in init" in str(caught.value)
    assert "ValueError: no such weights: é" in str(caught.value)
    found = desk.find()
    assert found.state == FAILED
    assert "no such weights" in found.reason
    assert "User's init function failed" in desk.log()
    with pytest.raises(RemoteError, match="is failed"):
        desk.answer(1)
    desk.write(SCRIPT.format(factor=5))
    assert desk.deploy().state == RUNNING  # without --overwrite: that one never served
    assert desk.answer(2)["product"] == 10


def test_what_would_fail_does_not_take_the_place_of_what_serves(desk: Desk) -> None:
    before = desk.deploy()
    desk.write(BROKEN)
    changes: list[Callable[[], Service]] = [
        desk.reload,
        lambda: desk.deploy(overwrite=True),
        lambda: desk.update(ServiceChange(models=())),
    ]
    for change in changes:
        with pytest.raises(InputError, match="the one that serves goes on"):
            change()
    after = desk.find()
    assert (after.state, after.process_id, after.models) == (RUNNING, before.process_id, ("tiny:1",))
    assert desk.answer(4)["product"] == 8
    place = desk.shop.store.place("service")
    assert [len(list((place / folder).iterdir())) for folder in ("instances", "images")] == [1, 1]


def test_a_failed_update_leaves_nothing_for_the_next_reload(desk: Desk) -> None:
    desk.deploy()
    weights = desk.folder / "more.bin"
    weights.write_bytes(b"more")
    ModelRegistry(desk.workspace).register(RegisterRequest("tiny", weights))
    desk.write(BROKEN)
    with pytest.raises(InputError, match="the one that serves goes on"):
        desk.update(ServiceChange(models=(ModelReference("tiny", 2),)))
    desk.write(SCRIPT.format(factor=3))
    assert desk.reload().models == ("tiny:1",)
    assert desk.answer(2) == {"product": 6, "models": ["weights.bin"]}


def test_a_service_is_for_its_owner_alone(desk: Desk) -> None:
    desk.deploy()
    place = desk.shop.store.place("service")
    assert place.stat().st_mode & 0o777 == 0o700  # so are the log, what the script keeps, its environment


def test_update(desk: Desk) -> None:
    before = desk.deploy(tags={"a": "1"}, properties={"p": "1"})
    same = desk.update(
        ServiceChange(add_tags={"b": "2"}, remove_tags=("a", "c"), description="text", properties={"q": "2"})
    )
    assert same.process_id == before.process_id
    assert (same.tags, same.properties, same.description) == ({"b": "2"}, {"p": "1", "q": "2"}, "text")
    with pytest.raises(InputError, match=r"properties are immutable.* p$"):
        desk.update(ServiceChange(properties={"p": "2"}))
    weights = desk.folder / "more.bin"
    weights.write_bytes(b"more")
    ModelRegistry(desk.workspace).register(RegisterRequest("tiny", weights))
    new = desk.update(ServiceChange(models=(ModelReference("tiny"),)))
    assert new.models == ("tiny:2",)
    assert new.image != before.image
    assert new.port == before.port
    assert desk.answer(1)["models"] == ["more.bin"]


def test_keys(desk: Desk) -> None:
    with pytest.raises(InputError, match="add --key"):
        desk.deploy(host="0.0.0.0")
    found = desk.deploy(host="0.0.0.0", needs_key=True, keys=AccessKeys("first-key", "second-key"))
    port = found.port or 0
    path = desk.shop.store.place("service") / "keys"
    assert path.stat().st_mode & 0o777 == 0o600

    def status(key: str | None) -> int:
        return call("127.0.0.1", port, "POST", "/score", b'{"x": 1}', key=key).status

    assert [status(key) for key in (None, "wrong-key", "first-key", "second-key")] == [401, 401, 200, 200]
    assert desk.answer(3)["product"] == 6
    new = service.renew_key(desk.workspace, "service", "primary", shop=desk.shop)
    assert new.secondary == "second-key"
    until(lambda: status("first-key") == 401, "the old key is refused")
    assert status(new.primary) == 200
    desk.update(ServiceChange(needs_key=True))
    assert service.keys(desk.workspace, "service", shop=desk.shop) == new
    record = (desk.shop.store.place("service") / "service.json").read_text()
    assert not any(key in record for key in (new.primary, "second-key"))
    for key in (new.primary, "second-key"):
        assert key not in repr(desk.find())
        assert key not in desk.log()


def test_ports(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError) as caught:
            desk.deploy(port=port)
        assert f"port {port} is in use by process {os.getpid()}" in str(caught.value)
        assert not (desk.workspace / "services").exists()
    assert desk.deploy(port=port).port == port
    with pytest.raises(InputError, match=rf"port {port} is in use by process \d+ .* \(service service\)"):
        desk.deploy("another", port=port)
    assert desk.reload().port == port


def test_the_machine_kills(desk: Desk) -> None:
    found = desk.deploy()
    os.kill(found.process_id or 0, 9)
    until(lambda: desk.find().state == FAILED, "it is seen")
    assert "killed by signal 9 (SIGKILL)" in desk.find().reason
    assert desk.pids() == []
    again = desk.reload()
    assert (again.state, again.port) == (RUNNING, found.port)

    keeper = json.loads((life_folder(desk) / "process.json").read_text())["keeper"]["pid"]
    os.kill(keeper, 9)
    until(lambda: desk.find().state == FAILED, "its keeper's end is its own")
    assert "is gone" in desk.find().reason
    until(lambda: desk.pids() == [], "nothing goes on without its keeper")

    desk.reload()
    path = life_folder(desk) / "process.json"
    books = json.loads(path.read_text())
    for identity in books.values():
        identity["boot_id"] = "another"
    path.write_text(json.dumps(books))  # as after a start of the machine, where other programs have these numbers
    assert "was started anew" in desk.find().reason


def test_what_a_script_starts_ends_with_it(desk: Desk) -> None:
    desk.write(
        "import subprocess\n\n\ndef init():\n"
        "    subprocess.Popen(['sleep', '1000'], start_new_session=True)\n\n\ndef run(data):\n    return data\n"
    )
    desk.deploy()
    assert any(b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in desk.pids())
    desk.reload()
    assert sum(b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in desk.pids()) == 1
    desk.delete()
    assert desk.pids() == []


def test_without_waiting(desk: Desk) -> None:
    gate = desk.folder / "gate"
    os.mkfifo(gate)
    desk.write(f"def init():\n    open({str(gate)!r}).read()\n\n\ndef run(data):\n    return data\n")
    assert desk.deploy(wait=False).state == DEPLOYING
    until(lambda: "init" in desk.find().reason, "the reason says what it does")
    with pytest.raises(RemoteError, match="is not ready after 0 s"):
        service.wait_until_ready(desk.workspace, "service", ready_s=0, shop=desk.shop)
    gate.write_text("go")
    assert service.wait_until_ready(desk.workspace, "service", shop=desk.shop).state == RUNNING


def test_two_commands_take_turns(desk: Desk) -> None:
    desk.deploy()
    together = threading.Barrier(3)

    def reload() -> Service:
        together.wait()
        return desk.reload()

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(reload) for _ in range(3)]
        assert [job.result().state for job in jobs] == [RUNNING] * 3
    assert sum("waiting for it" in text for text in desk.said) >= 1
    assert len(list((desk.shop.store.place("service") / "instances").iterdir())) == 1
    assert desk.answer(1)["product"] == 2


def test_the_log_is_followed(desk: Desk) -> None:
    desk.deploy()
    lines: list[str] = []

    def follow() -> None:
        lines.extend(service.follow_logs(desk.workspace, "service", lines=1, shop=desk.shop))

    reader = threading.Thread(target=follow)
    reader.start()
    until(lambda: len(lines) == 1, "the last line")
    desk.answer(7)
    until(lambda: any("POST /score 200" in line for line in lines), "a new line")
    desk.delete()
    reader.join(30)
    assert not reader.is_alive()


def test_a_damaged_record(desk: Desk) -> None:
    desk.deploy()
    path = desk.shop.store.place("service") / "service.json"
    path.write_text("{}")
    found = desk.find()
    assert found.state == "unknown"
    assert "edgepack service delete service" in found.reason
    kept = desk.shop.store.place("service") / "data" / "kept"
    kept.write_text("a year of it")
    for change in (desk.reload, desk.deploy):
        with pytest.raises(DamagedDataError, match="edgepack service delete service"):
            change()
    assert kept.exists()
    assert len(desk.pids()) == 3

    def make_image(*given: Any) -> Any:
        assert desk.shop.store.is_at_work("service")  # nobody else may change it now
        return make_fake_image(*given)

    desk.shop = replace(desk.shop, make_image=make_image)
    assert desk.deploy(overwrite=True).state == RUNNING
    desk.delete()
    assert desk.pids() == []


def test_the_holder_of_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert f"process {os.getpid()}" in str(holder_of(listener.getsockname()[1]))
