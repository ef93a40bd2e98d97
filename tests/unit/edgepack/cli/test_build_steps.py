"""The order of what `edgepack build` does with an image: nothing that failed its check is signed or handed on."""

from pathlib import Path
from typing import Any

import pytest

from edgepack.attachments import read_attachments
from edgepack.cli import build_steps
from edgepack.cli.build_steps import BuildSteps, take_steps
from edgepack.cli.session import Session
from edgepack.errors import InputError
from edgepack.oci.artifact import COSIGN_SIGNATURE
from tests.fakes.signed_output import NAME, Output, new_key, write_output


def signatures(output: Output) -> int:
    attached = read_attachments(output.folder / "attachments")
    assert attached is not None
    return len(attached.of_type(COSIGN_SIGNATURE))


@pytest.mark.parametrize("is_good", [True, False])
def test_an_image_is_signed_when_its_check_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_good: bool
) -> None:
    output = write_output(tmp_path / "dist")
    report = {"image": f"{NAME}:1", "digest": "sha256:0", "platforms": {"linux/amd64": {}}}
    found: list[int] = []

    def check(*_arguments: Any) -> dict[str, Any]:
        found.append(signatures(output))
        if not is_good:
            raise InputError("it answers otherwise")
        return {"linux/amd64": "passed"}

    def steps() -> dict[str, Any]:
        session = Session(tmp_path / "workspace")
        return take_steps(BuildSteps(check=True, load=not is_good), report, output.folder, session, new_key())

    monkeypatch.setattr(build_steps, "check_images", check)
    if is_good:
        assert list(steps()) == ["check", "sign"]
    else:
        with pytest.raises(InputError, match="it answers otherwise"):
            steps()
    assert found == [0]
    assert signatures(output) == (1 if is_good else 0)
