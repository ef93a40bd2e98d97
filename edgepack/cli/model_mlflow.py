"""`edgepack model register --from-mlflow`: the request completed by what the MLflow model says of itself."""

from contextlib import AbstractContextManager, nullcontext

from edgepack.models.request import RegisterRequest


def completed_request(request: RegisterRequest, source: str | None) -> AbstractContextManager[RegisterRequest]:
    """The request for the MLflow model `source`; None: as it is, and what reads MLflow models is not imported."""
    if source is None:
        return nullcontext(request)
    from edgepack.models.mlflow_source import mlflow_request

    return mlflow_request(request, source)
