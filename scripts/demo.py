"""The demo, see scripts/demo: every step is a command that a user would type."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

EDGEPACK = Path(sys.executable).with_name("edgepack")


def step(folder: Path, *arguments: str) -> None:
    """Show a command and run it."""
    print(f"\n$ edgepack {' '.join(arguments)}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "EDGEPACK_WORKSPACE"}
    subprocess.run([EDGEPACK, *arguments], cwd=folder, env=environment, check=True)


def main(folder: Path, example: str) -> None:
    """Make the project anew, keep its cache, build, run it with devices and without a network."""
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

    report = folder / "report.json"
    step(
        project,
        *("simulate", "dist/deployment.json", "--scenario", "tunnel", "--source", "sample-request.json"),
        *("--port", "0", "--ui", "0", "--report", str(report.resolve())),
    )
    figures = json.loads(report.read_bytes())
    print(
        f"\nlost: {figures['lost']} of {figures['sent']} messages, {figures['offline_s']:.0f} s without a network"
        f"\nimage       {project}/dist/image\ndeployment  {project}/dist/deployment.json\nreport      {report}"
        f"\ndashboard   cd {project} && edgepack simulate dist/deployment.json --source sample-request.json"
        f"\ndone in {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
