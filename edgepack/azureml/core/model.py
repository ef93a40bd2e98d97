"""`Model`: a registered version of a model, and what is done with it: deploy it, package it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edgepack.azureml.cloud_only import refuse
from edgepack.azureml.core import model_registration
from edgepack.azureml.core.inference_config import InferenceConfig
from edgepack.azureml.core.model_package import ModelPackage, start_package
from edgepack.azureml.core.resource_configuration import ResourceConfiguration
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import WebserviceException, told_as
from edgepack.models.record import ModelRecord, RecordChange
from edgepack.models.registry import ModelRegistry

if TYPE_CHECKING:
    from edgepack.azureml.core.webservice import LocalWebservice
    from edgepack.azureml.core.webservice.deployment import DeploymentConfiguration

__all__ = ["InferenceConfig", "Model", "ModelPackage"]

Pairs = Sequence[str | Sequence[str]]
Models = list["Model"]
Named = Sequence["Model | str"]
_PAGE_COUNTS = range(20, 256)


class Model:
    """A registered model. Its fields are those of the moment in which it was looked up or changed."""

    class Framework:
        """What a model was made with."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        tags: Pairs | None = None,
        properties: Pairs | None = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
        **kwargs: Any,
    ) -> None:
        """Look up a model: by its id, or the latest version of a name that answers all the filters.

        Raises:
            ModelNotFoundException: there is none.
            WebserviceException: neither name nor id is given, or the id is none.
        """
        self.workspace = workspace
        if kwargs.get("_record") is not None:
            self._take(kwargs["_record"])
            return
        name, version = model_registration.name_and_version(name, id, version)
        filters = {"tags": tags, "properties": properties, "run_id": run_id, "model_framework": model_framework}
        self._take(model_registration.look_up(workspace.folder, name, version, filters))

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str,
        model_name: str,
        tags: dict[str, str] | None = None,
        properties: dict[str, str] | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, Any]] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> "Model":
        """Register a file or folder as the next version of a model. Samples are paths of files here.

        Raises:
            FileNotFoundError: there is nothing at `model_path`.
            WebserviceException: all else that is wrong.
        """
        request = model_registration.request(
            model_path,
            model_name,
            tags,
            properties,
            description,
            datasets,
            model_framework,
            model_framework_version,
            child_paths,
            (sample_input_dataset, sample_output_dataset),
            resource_configuration,
        )
        print(f"Registering model {model_name}")
        with told_as(WebserviceException):
            return Model(workspace, _record=ModelRegistry(workspace.folder).register(request))

    @staticmethod
    def list(
        workspace: Workspace,
        name: str | None = None,
        tags: Pairs | None = None,
        properties: Pairs | None = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> Models:
        """All versions that answer the filters, each a `key` or `[key, value]`; there are no runs and data sets here.

        Raises:
            WebserviceException: `page_count` is not 20 to 255.
        """
        if page_count not in _PAGE_COUNTS:
            raise WebserviceException(f"page_count must be 20 to 255, not {page_count}")
        if run_id is not None:
            return []
        with told_as(WebserviceException):
            records = ModelRegistry(workspace.folder).list(
                name,
                tags=model_registration.filters(tags),
                properties=model_registration.filters(properties),
                framework=model_framework,
                latest=latest,
            )
        models = [Model(workspace, _record=record) for record in records]
        return [model for model in models if dataset_id is None or dataset_id in model._dataset_ids()]

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Named,
        inference_config: InferenceConfig | None = None,
        deployment_config: "DeploymentConfiguration | None" = None,
        deployment_target: Any = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> "LocalWebservice":
        """Build and start a service; `wait_for_deployment` of what comes back waits until it is ready.

        Raises:
            WebserviceException: something given cannot be used, is not there, or is for Azure alone.
        """
        from edgepack.azureml.core.webservice.deployment import deploy_models

        return deploy_models(
            workspace, name, models, inference_config, deployment_config, deployment_target, overwrite, show_output
        )

    @staticmethod
    def package(
        workspace: Workspace,
        models: Named,
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> ModelPackage:
        """Begin to build an image for all platforms, or what a Dockerfile needs; `wait_for_creation` of it waits."""
        references = model_registration.references(workspace.folder, models)
        return start_package(workspace, references, inference_config, generate_dockerfile, image_name, image_label)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Where the one file or folder of a registered model can be read, on this machine.

        Entry scripts in a service or module have a `Model` of their own, which finds the models beside them.

        Raises:
            ModelNotFoundException: there is no such model.
            WebserviceException: there is no such version, or it is no int.
        """
        folder = (_workspace or Workspace()).folder
        return model_registration.readable_path(folder, model_name, version)

    @staticmethod
    def profile(*_args: Any, **_kwargs: Any) -> NoReturn:
        """Not here.

        Raises:
            WebserviceException: always.
        """
        refuse(
            "Model.profile", "deploy with LocalWebservice, and see /metrics beside its scoring URI", WebserviceException
        )

    def update(
        self,
        tags: dict[str, str] | None = None,
        description: str | None = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> None:
        """Replace tags, description or resources; what is empty stays.

        Raises:
            WebserviceException: it is not allowed.
        """
        if sample_input_dataset or sample_output_dataset:
            raise WebserviceException("samples are part of a version: register the model again with them")
        model_registration.check_pairs(tags, "tags")
        resources = resource_configuration.resources() if resource_configuration else None
        self._change(RecordChange(description or None, tags or None, resources=resources))

    def add_tags(self, tags: dict[str, str]) -> None:
        """Add tags, or replace those of the same key."""
        model_registration.check_pairs(tags, "tags")
        self._change(RecordChange(add_tags=tags))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove tags by their keys; an unknown one is only reported."""
        for key in tags:
            if key not in self.tags:
                print(f"Tag with key {key} not found.")
        self._change(RecordChange(remove_tags=tuple(tags)))

    def add_properties(self, properties: dict[str, str]) -> None:
        """Add properties, for good.

        Raises:
            WebserviceException: it has one of them.
        """
        model_registration.check_pairs(properties, "properties")
        taken = sorted(set(properties) & set(self.properties))
        if taken:
            raise WebserviceException(
                f"properties are immutable, the following keys cannot be added/modified: {', '.join(taken)}"
            )
        self._change(RecordChange(add_properties=properties))

    def update_tags_properties(
        self,
        add_tags: dict[str, str] | None = None,
        remove_tags: Sequence[str] | None = None,
        add_properties: dict[str, str] | None = None,
    ) -> None:
        """`add_properties`, `add_tags` and `remove_tags` in one."""
        self.add_properties(add_properties or {})
        self.add_tags(add_tags or {})
        self.remove_tags(remove_tags or [])

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Write the model's files below a folder by the names they were registered under; returns their common path.

        `exists_ok` is the older name of `exist_ok`.

        Raises:
            WebserviceException: a file is there, and `exist_ok` is not given.
        """
        replace = exist_ok if exists_ok is None else exists_ok
        with told_as(WebserviceException):
            return str(ModelRegistry(self.workspace.folder).download(self._record, Path(target_dir), exist_ok=replace))

    def delete(self) -> None:
        """Delete this version."""
        with told_as(WebserviceException):
            ModelRegistry(self.workspace.folder).delete(self.name, self.version)

    def get_sas_urls(self) -> NoReturn:
        """Not here: the files are on this machine.

        Raises:
            WebserviceException: always.
        """
        raise WebserviceException("there are no URLs: the files of a model are in the workspace's folder; use download")

    def serialize(self) -> dict[str, Any]:
        """The model as v1 wrote it; what only Azure knew is None."""
        return model_registration.serialized(self._record)

    def _take(self, record: ModelRecord) -> None:
        self._record = record
        self.name, self.version, self.id = record.name, record.version, record.id
        self.description = record.description
        self.tags, self.properties = dict(record.tags), dict(record.properties)
        self.model_framework, self.model_framework_version = record.framework, record.framework_version
        self.created_time = datetime.fromisoformat(record.created_utc)
        figures = record.resources
        self.resource_configuration = ResourceConfiguration(figures.cpu, figures.memory_in_gb, figures.gpu)
        self.mime_type, self.unpack = model_registration.MIME_TYPE, False
        self.datasets = model_registration.datasets_of(record)
        self.created_by = self.url = self.run_id = self.run = self.experiment_name = self.parent_id = None
        self.sample_input_dataset = self.sample_output_dataset = None  # samples are files: edgepack model show

    def _change(self, change: RecordChange) -> None:
        with told_as(WebserviceException):
            self._take(ModelRegistry(self.workspace.folder).update(self.name, self.version, change))

    def _dataset_ids(self) -> set[str]:
        return {str(each["id"]) for each in model_registration.datasets_of(self._record)}

    def __repr__(self) -> str:
        """As v1 wrote it."""
        return (
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )
