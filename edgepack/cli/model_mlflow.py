"""`edgepack model register --from-mlflow`: the request completed by what the MLflow model says of itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from edgepack.models.request import RegisterRequest


@contextmanager
def mlflow_request(request: RegisterRequest, source: str | None) -> Iterator[RegisterRequest]:
    """The request with files, framework, properties and sample of the MLflow model `source`; None: as it is.

    What the command line says of samples and properties wins.

    Raises:
        InputError, RemoteError: see `open_mlflow`.
    """
    if source is None:
        yield request
        return
    from edgepack.models.mlflow_source import open_mlflow

    with open_mlflow(source) as found:
        framework, version = found.framework
        yield replace(
            request,
            model_path=found.folder,
            framework=framework,
            framework_version=request.framework_version or version,
            properties={**found.model.properties, **request.properties},
            sample_input=request.sample_input or found.sample_input,
        )
