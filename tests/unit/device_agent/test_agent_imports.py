"""What the agent imports: nothing of the packager, and in each process no more than it needs."""

import ast
import subprocess
import sys
from pathlib import Path

import device_agent

PACKAGE = Path(device_agent.__file__).parent
THIRD_PARTY = {"httptools", "uvloop"}
OF_RAW_SCRIPTS = {"flask", "werkzeug"}

OF_THE_ONNX_SCRIPT = {"numpy", "onnxruntime"}
MORE = {"onnx_script.py": OF_THE_ONNX_SCRIPT, "aml_classes.py": OF_RAW_SCRIPTS, "raw_http.py": OF_RAW_SCRIPTS}
MORE["telemetry.py"] = {"opentelemetry"}
MORE |= {"model_script.py": {"numpy", "pandas", "joblib", "skops"}, "mlflow_model.py": {"mlflow"}}
MORE |= {"array_input.py": {"numpy"}, "tensor_request.py": {"numpy"}}
MORE |= {"h11_parser.py": {"h11"}, "parquet_pieces.py": {"pyarrow"}}
OF_MQTT = {"paho"}
OF_THE_AZURE_SDK = {"azure"}
MORE |= dict.fromkeys(("mqtt_transport.py", "paho_connection.py", "paho_pipe.py", "publish_properties.py"), OF_MQTT)
MORE |= dict.fromkeys(("azure_sdk.py", "azure_account.py"), OF_THE_AZURE_SDK)


def _imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


def test_no_file_imports_more_than_it_may() -> None:
    for file in PACKAGE.rglob("*.py"):
        allowed = THIRD_PARTY | {"device_agent"} | MORE.get(file.name, set())
        foreign = {name for name in _imported(file) if name not in sys.stdlib_module_names} - allowed
        assert not foreign, f"{file} imports {foreign}"


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; sys.path.append({str(PACKAGE.parent)!r})\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_settings_need_only_the_standard_library() -> None:
    tops = {name.partition(".")[0] for name in _modules_after("import device_agent.settings")}
    assert not tops & (THIRD_PARTY | OF_THE_ONNX_SCRIPT)


def test_the_scripts_process_stays_small() -> None:
    loaded = _modules_after("import device_agent.child")
    unwanted = {"asyncio", "numpy", "http", "argparse", "device_agent.http"} | THIRD_PARTY | OF_RAW_SCRIPTS
    assert not loaded & unwanted
