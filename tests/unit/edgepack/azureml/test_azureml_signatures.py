"""Names, order and defaults of the arguments are those of SDK v1; what is added can be given by name only."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from edgepack.azureml import core
from edgepack.azureml.core import conda_dependencies, environment, model, resource_configuration, webservice

PLACES: dict[str, Any] = {
    "CondaDependencies": conda_dependencies.CondaDependencies,
    "Environment": environment.Environment,
    "InferenceConfig": model.InferenceConfig,
    "LocalWebservice": webservice.LocalWebservice,
    "AciWebservice": webservice.AciWebservice,
    "AksWebservice": webservice.AksWebservice,
    "Model": core.Model,
    "ModelPackage": model.ModelPackage,
    "ResourceConfiguration": resource_configuration.ResourceConfiguration,
    "Webservice": core.Webservice,
    "Workspace": core.Workspace,
}
V1 = {
    "Workspace.from_config": "path=None, auth=None, _logger=None, _file_name=None",
    "Workspace.get": (
        "name, auth=None, subscription_id=None, resource_group=None, location=None, cloud='AzureCloud', id=None"
    ),
    "Workspace.get_details": "self",
    "Workspace.write_config": "self, path=None, file_name=None",
    "Model.__init__": (
        "self, workspace, name=None, id=None, tags=None, properties=None, version=None, run_id=None, "
        "model_framework=None, expand=True, **kwargs"
    ),
    "Model.register": (
        "workspace, model_path, model_name, tags=None, properties=None, description=None, datasets=None, "
        "model_framework=None, model_framework_version=None, child_paths=None, sample_input_dataset=None, "
        "sample_output_dataset=None, resource_configuration=None"
    ),
    "Model.list": (
        "workspace, name=None, tags=None, properties=None, run_id=None, latest=False, dataset_id=None, expand=True, "
        "page_count=255, model_framework=None"
    ),
    "Model.update": (
        "self, tags=None, description=None, sample_input_dataset=None, sample_output_dataset=None, "
        "resource_configuration=None"
    ),
    "Model.add_tags": "self, tags",
    "Model.remove_tags": "self, tags",
    "Model.add_properties": "self, properties",
    "Model.download": "self, target_dir='.', exist_ok=False, exists_ok=None",
    "Model.delete": "self",
    "Model.serialize": "self",
    "Model.get_sas_urls": "self",
    "Model.get_model_path": "model_name, version=None, _workspace=None",
    "Model.deploy": (
        "workspace, name, models, inference_config=None, deployment_config=None, deployment_target=None, "
        "overwrite=False, show_output=False"
    ),
    "Model.package": (
        "workspace, models, inference_config=None, generate_dockerfile=False, image_name=None, image_label=None"
    ),
    "Model.update_tags_properties": "self, add_tags=None, remove_tags=None, add_properties=None",
    "ModelPackage.get_container_registry": "self",
    "ModelPackage.serialize": "self",
    "ModelPackage.update_creation_state": "self",
    "ModelPackage.get_logs": "self, decode=True, offset=0",
    "ModelPackage.wait_for_creation": "self, show_output=False",
    "ModelPackage.pull": "self",
    "ModelPackage.save": "self, output_directory",
    "InferenceConfig.__init__": (
        "self, entry_script, runtime=None, conda_file=None, extra_docker_file_steps=None, source_directory=None, "
        "enable_gpu=None, description=None, base_image=None, base_image_registry=None, cuda_version=None, "
        "environment=None"
    ),
    "ResourceConfiguration.__init__": "self, cpu=None, memory_in_gb=None, gpu=None",
    "Environment.__init__": "self, name, **kwargs",
    "Environment.from_conda_specification": "name, file_path",
    "Environment.from_pip_requirements": "name, file_path, pip_version=None",
    "Environment.from_existing_conda_environment": "name, conda_environment_name",
    "Environment.from_docker_image": (
        "name, image, container_registry=None, conda_specification=None, pip_requirements=None"
    ),
    "Environment.from_dockerfile": "name, dockerfile, conda_specification=None, pip_requirements=None",
    "Environment.add_private_pip_wheel": "workspace, file_path, exist_ok=False",
    "Environment.get_image_details": "self, workspace",
    "Environment.load_from_directory": "path",
    "Environment.save_to_directory": "self, path, overwrite=False",
    "Environment.register": "self, workspace",
    "Environment.get": "workspace, name, version=None, label=None",
    "Environment.list": "workspace",
    "Environment.clone": "self, new_name",
    "CondaDependencies.__init__": "self, conda_dependencies_file_path=None, _underlying_structure=None",
    "CondaDependencies.create": (
        "pip_indexurl=None, pip_packages=None, conda_packages=None, python_version='3.10.18', pin_sdk_version=True"
    ),
    "CondaDependencies.add_conda_package": "self, conda_package",
    "CondaDependencies.remove_conda_package": "self, conda_package",
    "CondaDependencies.add_pip_package": "self, pip_package",
    "CondaDependencies.remove_pip_package": "self, pip_package",
    "CondaDependencies.add_channel": "self, channel",
    "CondaDependencies.remove_channel": "self, channel",
    "CondaDependencies.set_python_version": "self, version",
    "CondaDependencies.set_pip_requirements": "self, pip_requirements",
    "CondaDependencies.set_pip_index_url": "self, index_url",
    "CondaDependencies.set_pip_option": "self, pip_option",
    "CondaDependencies.remove_pip_option": "self, pip_option",
    "CondaDependencies.add_tensorflow_pip_package": "self, core_type='cpu', version=None",
    "CondaDependencies.get_default_number_of_packages": "self",
    "CondaDependencies.serialize_to_string": "self",
    "CondaDependencies.save_to_file": "self, base_directory, conda_file_path=None",
    "CondaDependencies.save": "self, path=None",
    "CondaDependencies.as_dict": "self",
    "Webservice.__init__": "self, workspace, name",
    "Webservice.list": (
        "workspace, compute_type=None, image_name=None, image_id=None, model_name=None, model_id=None, tags=None, "
        "properties=None, image_digest=None"
    ),
    "Webservice.update_deployment_state": "self",
    "LocalWebservice.__init__": "self, workspace, name, must_exist=True",
    "LocalWebservice.deploy_configuration": "port=None",
    "LocalWebservice.run": "self, input_data",
    "LocalWebservice.get_logs": "self, num_lines=5000, raw=False",
    "LocalWebservice.reload": "self, wait=False",
    "LocalWebservice.update": (
        "self, models=None, image_config=None, deployment_config=None, wait=False, inference_config=None"
    ),
    "LocalWebservice.list": "workspace, model_name=None, model_id=None, all=None",
    "LocalWebservice.deserialize": "workspace, webservice_payload",
    "LocalWebservice.update_deployment_state": "self, must_exist=False",
    "LocalWebservice.delete": "self, delete_cache=True, delete_image=False, delete_volume=True",
    "LocalWebservice.get_keys": "self",
    "LocalWebservice.regen_key": "self, key, set_key=None",
    "AciWebservice.deploy_configuration": (
        "cpu_cores=None, memory_gb=None, tags=None, properties=None, description=None, location=None, "
        "auth_enabled=None, ssl_enabled=None, enable_app_insights=None, ssl_cert_pem_file=None, "
        "ssl_key_pem_file=None, ssl_cname=None, dns_name_label=None, primary_key=None, secondary_key=None, "
        "collect_model_data=None, cmk_vault_base_url=None, cmk_key_name=None, cmk_key_version=None, vnet_name=None, "
        "subnet_name=None"
    ),
    "AksWebservice.deploy_configuration": (
        "autoscale_enabled=None, autoscale_min_replicas=None, autoscale_max_replicas=None, "
        "autoscale_refresh_seconds=None, autoscale_target_utilization=None, collect_model_data=None, "
        "auth_enabled=None, cpu_cores=None, memory_gb=None, enable_app_insights=None, scoring_timeout_ms=None, "
        "replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, primary_key=None, "
        "secondary_key=None, tags=None, properties=None, description=None, gpu_cores=None, period_seconds=None, "
        "initial_delay_seconds=None, timeout_seconds=None, success_threshold=None, failure_threshold=None, "
        "namespace=None, token_auth_enabled=None, compute_target_name=None, cpu_cores_limit=None, "
        "memory_gb_limit=None, blobfuse_enabled=None"
    ),
}
MORE = {
    "LocalWebservice.run": ["input_data=None"],  # or `data=`
}


def shown(function: Callable[..., Any]) -> str:
    """The arguments as v1's documentation writes them, without those that can be given by name only."""
    signature = inspect.signature(function)
    kept = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    return ", ".join(map(str, kept))


@pytest.mark.parametrize("name", V1)
def test_signature(name: str) -> None:
    place, _, member = name.partition(".")
    expected = V1[name]
    for addition in MORE.get(name, ()):
        expected = expected.replace(addition.partition("=")[0], addition)
    assert shown(getattr(PLACES[place], member)) == expected


def test_the_names_are_in_the_modules_of_v1() -> None:
    from edgepack.azureml.core.environment import CondaDependencies as Exported

    assert Exported is conda_dependencies.CondaDependencies
    assert model.Model is core.Model
    assert core.Environment is environment.Environment
    assert core.VERSION == "1.61.0"


def test_edgepack_itself_offers_them() -> None:
    import edgepack

    for name in ("Model", "Environment", "CondaDependencies", "InferenceConfig", "LocalWebservice", "Workspace"):
        assert getattr(edgepack, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Modell'"):
        _ = edgepack.Modell
