"""Where the `edgepack` command begins: `manifest validate FILE...` of files in which nothing is wrong is answered here.

Editors and hooks run it all the time, and the command line library takes longer to load than the check. Whatever is to
be told, and every other command, is for `edgepack.cli.main`.
"""

import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command line and exit."""
    lines = quick_lines(sys.argv[1:])
    if lines is None:
        from edgepack.cli.main import main as whole_command_line

        whole_command_line()
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def quick_lines(arguments: Sequence[str]) -> list[str] | None:
    """What `manifest validate FILE...` prints; None where it is another command, has options, or finds something."""
    names = arguments[2:]
    if list(arguments[:2]) != ["manifest", "validate"] or not names or any(name.startswith("-") for name in names):
        return None
    from edgepack.deployment.manifest_check import check_text, summary

    lines = []
    for name in names:
        try:
            with open(name, encoding="utf-8-sig") as opened:  # noqa: PTH123 - pathlib takes longer to load than to read
                check = check_text(opened.read(), is_template=".template." in name)
        except (OSError, ValueError):
            return None
        if check.findings:
            return None
        lines.append(summary(name, check))
    return lines
