"""The demo, see scripts/demo: every step is a command that a user would type, but for running the built image."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from simulator.module_runner import run_module

EDGEPACK = Path(sys.executable).with_name("edgepack")


def step(folder: Path, *arguments: str) -> None:
    """Show a command and run it."""
    print(f"\n$ edgepack {' '.join(arguments)}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    subprocess.run([EDGEPACK, *arguments], cwd=folder, env=environment, check=True)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main(folder: Path, example: str) -> None:
    """Make the project anew, keep its cache, build, run, score."""
    started = time.monotonic()
    project = folder / example
    cache = project / ".edgepack" / "cache"
    kept = folder / f"cache-{example}"
    if cache.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        cache.rename(kept)
    shutil.rmtree(project, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    step(folder, "init", example, "--example", example)
    if kept.is_dir():
        kept.rename(cache)
    step(project, "model", "list")
    step(project, "build", "-t", f"registry.example.com/demo/{example}:1.0")
    step(project, "verify", "dist")

    print("\nThe built image, run as a process of this machine:", flush=True)
    request = (project / "sample-request.json").read_bytes()
    with (
        (folder / "module.log").open("wb") as log,
        run_module(project / "dist" / "image", folder / "roots", free_port(), log=log, ready_s=60) as module,
    ):
        call = urllib.request.Request(f"{module.url}/score", request, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310
            answer = json.loads(response.read())
            print(f"POST {module.url}/score -> {response.status} {json.dumps(answer)}")
    print(
        f"\nimage       {project}/dist/image\ndeployment  {project}/dist/deployment.json\n"
        f"module log  {folder}/module.log\ndone in {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
