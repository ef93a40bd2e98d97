"""Environments kept in a workspace and in folders, as scripts of SDK v1 did it."""

import os

from azureml.core import Environment, Workspace
from azureml.core.conda_dependencies import CondaDependencies

ws = Workspace.from_config()

with open("conda.yml", "w") as handle:
    handle.write("name: training\nchannels:\n- conda-forge\ndependencies:\n- python=3.11\n- numpy\n- pip:\n  - joblib\n")
with open("requirements.txt", "w") as handle:
    handle.write("joblib\nnumpy<3\n")

from_conda = Environment.from_conda_specification(name="from-conda", file_path="conda.yml")
from_pip = Environment.from_pip_requirements(name="from-pip", file_path="requirements.txt")
from_conda.docker.enabled = True
from_conda.register(ws)
from_pip.register(workspace=ws)

restored = Environment.get(workspace=ws, name="from-conda")
restored.python.conda_dependencies.add_pip_package("requests")
print(restored.version, restored.register(ws).version)

for name, environment in Environment.list(ws).items():
    print(name, environment.version, environment.python.conda_dependencies.serialize_to_string())

restored.save_to_directory("saved", overwrite=True)
loaded = Environment.load_from_directory("saved")
assert list(loaded.python.conda_dependencies.pip_packages) == ["joblib", "requests"]

dependencies = CondaDependencies.create(conda_packages=["numpy"], pip_packages=["joblib"], python_version="3.11")
dependencies.save_to_file(os.getcwd(), "myenv.yml")
assert CondaDependencies(conda_dependencies_file_path="myenv.yml").get_python_version() == "3.11"
