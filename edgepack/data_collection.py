"""Data collection as deployment files of SDK v1 and v2 ask for it -> variables of the agent. Pure.

    dataCollection: {storageEnabled: true}                             v1: what scripts collect is kept
    data_collector: {collections: {request: {enabled: true}, response: {enabled: true}}, sampling_rate: 0.1}
                                                                       v2 (also `modelDataCollection`): `request` and
                                                                       `response` by the agent, all others by the script

The agent keeps requests together with their answers: either collection turns both on.
"""

import math
from collections.abc import Mapping
from typing import Any

from edgepack.key_reading import FLAG, NUMBER, OBJECT, TEXT, KeyReading

COLLECTION_KEYS = {"dataCollection": OBJECT, "data_collector": OBJECT, "modelDataCollection": OBJECT}
_COLLECTOR = {"collections": OBJECT, "sampling_rate": NUMBER, "rolling_rate": TEXT, "request_logging": OBJECT}
_ONE = {"enabled": (FLAG, TEXT), "data": OBJECT, "client_id": TEXT}
_STORAGE = "AML_MODEL_DC_STORAGE_ENABLED"
_BY_THE_AGENT = {"request", "response"}


def collection_variables(reading: KeyReading, found: Mapping[str, Any]) -> dict[str, str]:
    """The variables that the members COLLECTION_KEYS of a deployment come to; problems go to `reading`."""
    variables: dict[str, str] = {}
    if reading.part(found, "dataCollection", {"storageEnabled": FLAG}).get("storageEnabled"):
        variables[_STORAGE] = "true"
    both = "data_collector" in found and "modelDataCollection" in found
    reading.need(not both, "`data_collector` and `modelDataCollection` are the same: give one")
    key = "data_collector" if "data_collector" in found else "modelDataCollection"
    collector = reading.part(found, key, _COLLECTOR)
    rate = collector.get("sampling_rate", 1)
    percent = round(rate * 100) if 0 <= rate <= 1 else -1
    fits = percent >= 0 and math.isclose(percent, rate * 100)
    reading.need(fits, f"`{key}.sampling_rate` is {rate}, not 0 or one of 0.01 to 1: shares are whole percents here")
    rolling = collector.get("rolling_rate", "hour")
    reading.need(rolling == "hour", f"`{key}.rolling_rate` is {rolling!r}: there are files by the hour alone")
    headers = collector.get("request_logging")
    reading.need(not headers, f"`{key}.request_logging`: headers are never kept here, as they hold keys; leave it out")
    collections = collector.get("collections", {}).items()
    names = {name for name, one in collections if _is_enabled(reading, one, f"{key}.collections.{name}")}
    if names & _BY_THE_AGENT:
        variables["EDGEPACK_CAPTURE_PERCENT"] = str(percent)
    if names - _BY_THE_AGENT:
        variables |= {"AZUREML_MDC_ENABLED": "true", "AZUREML_MDC_SAMPLE_RATE": str(percent)}
    return variables


def with_storage(variables: Mapping[str, str], is_on: bool) -> dict[str, str]:
    """The variables with v1's data collection on or off, as `--collect-model-data` says."""
    others = {name: value for name, value in variables.items() if name != _STORAGE}
    return {**others, _STORAGE: "true"} if is_on else others


def _is_enabled(reading: KeyReading, one: Any, place: str) -> bool:
    """Whether a collection is on; v2 wrote `enabled` as a text, too."""
    reading.need(isinstance(one, dict), f"`{place}` must be {OBJECT}")
    enabled = reading.keys(one, _ONE, f"{place}.").get("enabled", False) if isinstance(one, dict) else False
    if isinstance(enabled, str):
        reading.need(enabled.lower() in ("true", "false"), f"`{place}.enabled` is {enabled!r}, not true or false")
        return enabled.lower() == "true"
    return bool(enabled)
