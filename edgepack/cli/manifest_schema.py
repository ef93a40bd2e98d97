"""`edgepack manifest schema`: the JSON Schema of a manifest, for editors."""

import json

import click

from edgepack.deployment.manifest_schema import manifest_schema


@click.command("schema")
def schema_command() -> None:
    """Print a JSON Schema (draft-07) of deployment manifests, layers and templates.

    Write it to a file and name it in the editor's settings; `edgepack manifest validate` finds more.
    """
    click.echo(json.dumps(manifest_schema(), indent=2))
