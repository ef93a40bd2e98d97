"""`edgepack model`: register models, look at them, change, copy out, delete and check them.

The flags of `az ml model register` work; those that only make sense in a cloud workspace are accepted and
named as ignored.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from edgepack.cli.az_options import AzGroup, Command, ignored_options, named, yes_option
from edgepack.cli.model_mlflow import completed_request
from edgepack.cli.model_output import copying, records_table
from edgepack.cli.session import Session, pass_session
from edgepack.errors import DamagedDataError, InputError
from edgepack.files import write_file
from edgepack.models.display import human_bytes, record_text
from edgepack.models.naming import ModelReference, parse_filter, parse_model_reference, parse_pairs
from edgepack.models.record import RecordChange, ResourceConfiguration, record_document
from edgepack.models.registry import ModelRegistry, filtered
from edgepack.models.request import RegisterRequest, look_for_files, value_problems

_OF_A_RUN = (
    ("--asset-path",),
    ("--experiment-name",),
    ("--run-id", "-r"),
    ("--run-metadata-file", "-f"),
    ("--sample-input-dataset-id",),
    ("--sample-output-dataset-id",),
)
_named = named("model", "MODEL", "model", ("-i", "--model-id"), ("-n", "--model-name"))


@click.group(cls=AzGroup, later={"deploy": "edgepack.cli.model_deploy"})
def model_command() -> None:
    """Register models, look at them, deploy them. MODEL is NAME (the latest version) or NAME:VERSION."""


def _figures(command: Command) -> Command:
    for option in (
        click.option("--gc", "--gpu-cores", "gpu", type=int, help="GPUs the model needs."),
        click.option("--gb", "--memory-gb", "memory_in_gb", type=float, help="Memory the model needs."),
        click.option("--cc", "--cpu-cores", "cpu", type=float, help="CPU cores the model needs."),
    ):
        command = option(command)
    return command


@model_command.command("register")
@click.option("-n", "--name", help="The model's name.")
@click.option("-p", "--model-path", "--path", help="The file or folder to register.")
@click.option("--from-mlflow", "mlflow", metavar="PATH|URI", help="An MLflow model: a folder, or models:/NAME/1, ...")
@click.option("-d", "--description", help="Free text.")
@click.option("--tag", "tags", multiple=True, metavar="K=V", help="A label that can be changed; repeatable.")
@click.option("--property", "properties", multiple=True, metavar="K=V", help="A label for good; repeatable.")
@click.option("--child-path", "child_paths", multiple=True, metavar="P", help="Take only this; repeatable.")
@click.option("--model-framework", "framework", help="Such as Onnx or ScikitLearn.")
@click.option("--model-framework-version", "framework_version", help="The framework's version.")
@_figures
@click.option("--sample-input", metavar="FILE", help="A sample request, kept with the model.")
@click.option("--sample-output", metavar="FILE", help="The result for the sample request.")
@click.option("-t", "--output-metadata-file", metavar="FILE", help="Write the new version as JSON.")
@ignored_options(_OF_A_RUN, "edgepack keeps its models on this machine")
@pass_session
def register(
    session: Session,
    /,
    name: str | None,
    model_path: str | None,
    mlflow: str | None,
    description: str | None,
    tags: tuple[str, ...],
    properties: tuple[str, ...],
    child_paths: tuple[str, ...],
    framework: str | None,
    framework_version: str | None,
    cpu: float | None,
    memory_in_gb: float | None,
    gpu: int | None,
    sample_input: str | None,
    sample_output: str | None,
    output_metadata_file: str | None,
) -> None:
    """Register a file or folder as a new version of a model, and print NAME:VERSION."""
    collected = _Problems()
    request = RegisterRequest(
        name=name or "",
        model_path=Path(model_path or "."),
        child_paths=child_paths,
        description=description,
        tags=collected.of(parse_pairs, tags, "--tag") or {},
        properties=collected.of(parse_pairs, properties, "--property") or {},
        framework=framework,
        framework_version=framework_version,
        resources=ResourceConfiguration(cpu, memory_in_gb, gpu),
        sample_input=Path(sample_input) if sample_input else None,
        sample_output=Path(sample_output) if sample_output else None,
    )
    if not model_path and not mlflow:
        collected.texts.append("nothing to register: name a file or folder with -p PATH")
    if mlflow and (model_path or framework):
        collected.texts.append("--from-mlflow names the model and its framework: leave out -p and --model-framework")
    collected.texts += _output_problems(output_metadata_file)
    if collected.texts:
        found = look_for_files(request, session.workspace)[1] if model_path else ()
        InputError.raise_if_any((*value_problems(request), *collected.texts, *found))
    with completed_request(request, mlflow) as whole, copying(session) as on_bytes:
        record = ModelRegistry(session.workspace).register(whole, on_bytes=on_bytes)
    document = record_document(record)
    if output_metadata_file:
        write_file(Path(output_metadata_file), (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    count = len(record.files)
    session.say(f"registered {count} file{'' if count == 1 else 's'}, {human_bytes(record.size_bytes)}")
    session.result(document, record.id)


@model_command.command("list")
@click.argument("model", required=False)
@click.option("-n", "--model-name", "--model-id", "-i", help="The same as MODEL.")
@click.option("--tag", "tags", multiple=True, metavar="K[=V]", help="Only with this tag; repeatable.")
@click.option("--property", "properties", multiple=True, metavar="K[=V]", help="Only with this; repeatable.")
@click.option("--model-framework", "framework", help="Only of this framework.")
@click.option("-l", "--latest", is_flag=True, help="Only the latest version of each model.")
@ignored_options((("--run-id", "-r"), ("--dataset-id",)), "there are no runs and data sets here")
@pass_session
def list_models(
    session: Session,
    model: str | None,
    model_name: str | None,
    tags: tuple[str, ...],
    properties: tuple[str, ...],
    framework: str | None,
    latest: bool,
) -> None:
    """List the registered versions."""
    if model and model_name:
        raise click.UsageError("Which models? Give NAME, or -n NAME, not both.")
    wanted = model or model_name
    reference = parse_model_reference(wanted) if wanted else None
    listing = ModelRegistry(session.workspace).listing(reference.name if reference else None)
    records = filtered(
        listing.records,
        tags=list(map(parse_filter, tags)),
        properties=list(map(parse_filter, properties)),
        framework=framework,
        latest=latest,
    )
    if reference and reference.version:
        records = tuple(record for record in records if record.version == reference.version)
    if records:
        text = records_table(records)
    elif listing.records:
        text = "no registered model matches"
    else:
        text = (
            f"no models in {session.workspace}: register one with\n  edgepack model register -n NAME -p FILE_OR_FOLDER"
        )
    session.result([record_document(record) for record in records], text)
    if listing.damage:
        raise DamagedDataError("\n".join(text for _, text in listing.damage))


@model_command.command("show")
@_named
@pass_session
def show(session: Session, model: str) -> None:
    """Show one version and its files."""
    reference = parse_model_reference(model)
    record = ModelRegistry(session.workspace).get(reference.name, reference.version)
    session.result(record_document(record), record_text(record))


@model_command.command("download")
@_named
@click.option("-t", "--target-dir", default=".", metavar="DIR", help="Where to write; default: here.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@pass_session
def download(session: Session, model: str, target_dir: str, overwrite: bool) -> None:
    """Write the files of one version into a folder, each checked, and print where."""
    reference = parse_model_reference(model)
    registry = ModelRegistry(session.workspace)
    record = registry.get(reference.name, reference.version)
    path = registry.download(record, Path(target_dir), exist_ok=overwrite)
    session.result({"id": record.id, "path": str(path), "files": len(record.files)}, str(path))


@model_command.command("update")
@_named
@click.option("-d", "--description", help="The new description.")
@click.option("--tag", "--add-tag", "tags", multiple=True, metavar="K=V", help="Add or replace; repeatable.")
@click.option("--remove-tag", "removed", multiple=True, metavar="K", help="Remove; repeatable.")
@click.option("--property", "--add-property", "properties", multiple=True, metavar="K=V", help="Add; repeatable.")
@_figures
@pass_session
def update(
    session: Session,
    model: str,
    description: str | None,
    tags: tuple[str, ...],
    removed: tuple[str, ...],
    properties: tuple[str, ...],
    cpu: float | None,
    memory_in_gb: float | None,
    gpu: int | None,
) -> None:
    """Change the description, tags and resources of one version, or add properties (which never change again)."""
    collected = _Problems()
    reference = collected.of(parse_model_reference, model) or ModelReference("")
    change = RecordChange(
        description=description,
        add_tags=collected.of(parse_pairs, tags, "--tag") or {},
        remove_tags=removed,
        add_properties=collected.of(parse_pairs, properties, "--property") or {},
    )
    figures = {"cpu": cpu, "memory_in_gb": memory_in_gb, "gpu": gpu}
    given = {name: value for name, value in figures.items() if value is not None}
    if change == RecordChange() and not given and not collected.texts:
        collected.texts.append("nothing to change: give -d, --tag, --remove-tag, --property, --cc, --gb or --gc")
    InputError.raise_if_any(collected.texts)
    registry = ModelRegistry(session.workspace)
    before = registry.get(reference.name, reference.version)
    if given:
        change = replace(change, resources=replace(before.resources, **given))  # type: ignore[arg-type]
    for key in removed:
        if key not in before.tags:
            session.warn(f"{before.id} has no tag {key}")
    record = registry.update(before.name, before.version, change)
    session.result(record_document(record), record_text(record))


@model_command.command("delete")
@_named
@click.option("--all", "all_versions", is_flag=True, help="Delete all versions of NAME.")
@yes_option
@pass_session
def delete(session: Session, model: str, all_versions: bool) -> None:
    """Delete one version; NAME alone must have only one, or needs --all. Numbers are never given again."""
    reference = parse_model_reference(model)
    registry = ModelRegistry(session.workspace)
    versions = registry.versions(reference.name)
    if reference.version is None and len(versions) > 1 and not all_versions:
        known = ", ".join(f"{reference.name}:{version}" for version in versions)
        raise InputError(f"{model} has several versions: name one of {known}, or delete them all with --all")
    deletion = registry.delete(reference.name, None if all_versions else reference.version)
    deleted = [str(each) for each in deletion.deleted]
    session.say(f"freed {human_bytes(deletion.freed_bytes)}")
    session.result(
        {"deleted": deleted, "freed_bytes": deletion.freed_bytes},
        "\n".join(f"deleted {each}" for each in deleted),
    )


@model_command.command("verify")
@click.argument("model", required=False)
@pass_session
def verify(session: Session, model: str | None) -> None:
    """Recompute the hash of every stored file of a version, or (without VERSION, or MODEL) of all."""
    reference = parse_model_reference(model) if model else None
    registry = ModelRegistry(session.workspace)
    found = registry.verify(reference.name, reference.version) if reference else registry.verify()
    document = {
        "versions": found.records,
        "files": found.files,
        "size_bytes": found.size_bytes,
        "problems": list(found.problems),
    }
    checked = f"{found.records} versions, {found.files} files, {human_bytes(found.size_bytes)}"
    session.result(document, f"{checked}: {len(found.problems) or 'no'} problems")
    if found.problems:
        raise DamagedDataError("\n".join(found.problems))


class _Problems:
    """Problems of several inputs, to be reported together."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def of(self, parse: Callable[..., Any], *arguments: Any) -> Any:
        """What `parse` returns; None when it raises InputError, whose problems are kept."""
        try:
            return parse(*arguments)
        except InputError as error:
            self.texts += error.problems
            return None


def _output_problems(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    folder = Path(path).absolute().parent
    if not path or Path(path).is_dir():
        return (f"-t {path!r} is no file name: name the file to write",)
    if not folder.is_dir() or not os.access(folder, os.W_OK, effective_ids=True):
        return (f"-t {path}: the folder {folder} does not exist or cannot be written",)
    return ()
