"""`edgepack manifest`: deployment manifests, checked, described, rendered; each command is loaded when it runs."""

import click

from edgepack.cli.lazy_group import LazyGroup

COMMANDS = {
    "validate": ("edgepack.cli.manifest_validate", "Check manifests, layers and templates: all problems at once."),
    "render": ("edgepack.cli.manifest_render", "Render a template for one platform."),
    "schema": ("edgepack.cli.manifest_schema", "Print the JSON Schema of a manifest, for editors."),
}


@click.group("manifest", cls=LazyGroup, table=COMMANDS)
def manifest_command() -> None:
    """Check deployment manifests, render templates."""
