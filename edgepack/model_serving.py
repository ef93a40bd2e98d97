"""What serves a model without a script: a module of the agent, the packages, and what the module is told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.resolve.package_requests import PackageRequests

ONNX_MODULE = "device_agent.onnx_script"
MODEL_MODULE = "device_agent.model_script"
ONNX_REQUIREMENTS = ("onnxruntime>=1.20", "numpy>=1.26")


@dataclass(frozen=True, slots=True)
class Serving:
    """`module` with `requests`; `told` becomes the variable EDGEPACK_SERVED_MODEL; `source` names what asked for it."""

    module: str
    requests: PackageRequests
    source: str
    told: Mapping[str, Any] = field(default_factory=dict)


def onnx_serving(source: str) -> Serving:
    """An ONNX file, served by onnxruntime; its module finds it and reads its inputs itself."""
    return Serving(ONNX_MODULE, PackageRequests(tuple(sorted(ONNX_REQUIREMENTS))), source)
