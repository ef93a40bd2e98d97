"""`edgepack manifest validate`: all problems of deployment manifests, with their places."""

import sys
from typing import NamedTuple

import click

from edgepack.cli.manifest_output import checks_document, checks_lines
from edgepack.cli.session import Session, pass_session
from edgepack.deployment.manifest_check import Finding, ManifestCheck, Span, check_text
from edgepack.errors import RemoteError

_STDIN = "-"


class _File(NamedTuple):
    name: str
    text: str
    refusal: ManifestCheck | None = None


@click.command("validate")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Exit code 2 also where there are only warnings.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "sarif"]),
    help="What is printed. Default: text; json with --json.",
)
@click.option("--sarif", "sarif_file", metavar="FILE", help="Write all problems as SARIF 2.1.0, too.")
@pass_session
def validate_command(
    session: Session, files: tuple[str, ...], strict: bool, output_format: str | None, sarif_file: str | None
) -> None:
    """Check each FILE (-: stdin): a deployment manifest, a layered deployment or a template.

    Exit code 2 when one of them has an error. docs/manifest-rules.md explains each rule.
    """
    checks = [(file.name, _check(file)) for file in map(_read, files)]
    if output_format == "sarif" or sarif_file is not None:
        from edgepack import __version__
        from edgepack.deployment.sarif import sarif_text

        sarif = sarif_text(checks, __version__)
        if sarif_file is not None:
            _write(sarif_file, sarif)
        if output_format == "sarif":
            click.echo(sarif)
    if output_format == "json" or (session.as_json and output_format is None):
        import json

        click.echo(json.dumps(checks_document(checks), indent=2))
    elif output_format != "sarif":
        for line in checks_lines(checks, with_excerpts=sys.stdout.isatty(), quiet=session.verbosity < 0):
            click.echo(line)
    if any(check.errors or (strict and check.findings) for _, check in checks):
        click.get_current_context().exit(2)


def _check(file: _File) -> ManifestCheck:
    return file.refusal or check_text(file.text, is_template=".template." in file.name)


def _read(name: str) -> _File:
    shown = "stdin" if name == _STDIN else name
    try:
        if name == _STDIN:
            content = sys.stdin.buffer.read()
        else:
            with open(name, "rb") as opened:  # noqa: PTH123 - pathlib takes longer to load than to read
                content = opened.read()
        return _File(shown, content.decode("utf-8-sig"))
    except OSError as error:
        return _File(shown, "", _refusal("unread", f"cannot be read: {error.strerror}"))
    except ValueError as error:
        if not isinstance(error, UnicodeDecodeError):
            return _File(shown, "", _refusal("unread", f"cannot be read: {error}"))
        before = content[: error.start]
        what = f"is not UTF-8 (byte {error.start} is 0x{content[error.start]:02x}): save it as UTF-8"
        return _File(shown, "", _refusal("none", what, before))


def _refusal(kind: str, text: str, before: bytes = b"") -> ManifestCheck:
    line = before.count(b"\n") + 1
    column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
    return ManifestCheck(kind, (Finding("error", "file", text, "", Span(line, column, line, column)),))


def _write(name: str, text: str) -> None:
    from pathlib import Path

    from edgepack.files import write_file

    try:
        write_file(Path(name), f"{text}\n".encode())
    except OSError as error:
        raise RemoteError(f"{name}: {error.strerror}", retryable=False) from error
