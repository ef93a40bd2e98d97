"""The data folder that collectors write to in a test."""

from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, with collection turned on for v1 and v2."""
    for name in ("AML_MODEL_DC_DEBUG", "AML_MODEL_DC_BOUNDARY", "AZUREML_MDC_CONFIG_PATH", "SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    monkeypatch.setenv("EDGEPACK_DATA_PATH", str(folder))
    monkeypatch.setenv("AML_APP_ROOT", str(tmp_path))
    monkeypatch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
    monkeypatch.setenv("AZUREML_MDC_ENABLED", "true")
    return folder
