"""How far a deployment is: the hub's own metrics and those that it was given, as queries and their results. Pure."""

from collections.abc import Mapping
from typing import Any

from simulator.cloud.configurations import Configuration
from simulator.cloud.query import Documents, parse_query, run_query
from simulator.cloud.query_text import QueryError


def system_queries(configuration: Configuration) -> dict[str, str]:
    """The queries that every edge deployment has: targeted, applied, reported success, reported failure."""
    condition = configuration.target_condition.strip()
    narrower = "" if condition == "*" else f" AND ({condition})"
    applied = (
        "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' "  # noqa: S608 - no database hears of it
        f"AND configurations.[[{configuration.id}]].status = 'Applied'"
    )
    reported = f"{applied} AND properties.desired.$version = properties.reported.lastDesiredVersion"
    return {
        "targetedCount": f"SELECT deviceId FROM devices WHERE capabilities.iotEdge = true{narrower}",  # noqa: S608
        "appliedCount": applied,
        "reportedSuccessfulCount": f"{reported} AND properties.reported.lastDesiredStatus.code = 200",
        "reportedFailedCount": f"{reported} AND properties.reported.lastDesiredStatus.code != 200",
    }


def metrics_document(queries: Mapping[str, str], documents: Documents) -> dict[str, Any]:
    """The queries, and of each the number of rows. Raises QueryError."""
    return {"results": {name: _rows(text, documents) for name, text in queries.items()}, "queries": dict(queries)}


def metric_errors(queries: Mapping[str, str]) -> dict[str, str]:
    """By name, what is wrong with the queries that cannot be read."""
    errors = {}
    for name, text in queries.items():
        try:
            parse_query(text)
        except QueryError as error:
            errors[name] = error.text
    return errors


def _rows(text: str, documents: Documents) -> int:
    return len(run_query(parse_query(text), documents))
