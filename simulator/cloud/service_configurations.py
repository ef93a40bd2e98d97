"""Calls about deployments: to one device, and at scale by configurations. Pure but for the state they change."""

import re
from typing import Any

from simulator.cloud.configurations import Configuration, parse_target_condition
from simulator.cloud.content import check_desired, desired_of, is_layer, parse_content, put_on_device
from simulator.cloud.hub_error import HubError
from simulator.cloud.metrics import metric_errors, metrics_document, system_queries
from simulator.cloud.query import Documents
from simulator.cloud.service_identities import known
from simulator.cloud.service_request import (
    Hub,
    Reply,
    Request,
    check_etag,
    etag_header,
    if_match,
    member,
    read_object,
    require_etag,
    texts,
    whole_number,
)
from simulator.cloud.service_twins import documents_of
from simulator.cloud.twin import utc_text

_ID = re.compile(r"[a-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_HIGHEST_PRIORITY = 2**31 - 1


def post_content(hub: Hub, request: Request, device_id: str) -> Reply:
    """Deploy to one edge device: a whole manifest."""
    if not known(hub, device_id).is_edge:
        raise HubError(400, f"{device_id} is no edge device", "DeviceNotEdge")
    modules = parse_content(read_object(request))
    if is_layer(modules):
        raise HubError(400, "a deployment to one device needs properties.desired of $edgeAgent and of $edgeHub")
    desired = desired_of([modules])
    check_desired(desired)
    put_on_device(hub.registry, device_id, desired, only_changed=False)
    return Reply(204)


def get_configurations(hub: Hub, request: Request) -> Reply:
    """All configurations, at most `top`."""
    top = whole_number(request.query.get("top", 100), "top", 1, 100)
    documents = documents_of(hub)
    return Reply(200, [_document(each, documents) for each in hub.configurations.all()[:top]])


def get_configuration(hub: Hub, request: Request, configuration_id: str) -> Reply:
    """One configuration with its metrics."""
    found = _known(hub, configuration_id)
    return Reply(200, _document(found, documents_of(hub)), etag_header(found.etag))


def put_configuration(hub: Hub, request: Request, configuration_id: str) -> Reply:
    """Create a configuration, or, with If-Match, change all of it but id and content."""
    body = read_object(request)
    if not _ID.fullmatch(configuration_id):
        raise HubError(
            400, f"{configuration_id[:130]!r} is no id: 1 to 128 lower-case letters, digits, -:.+%_#*?!(),=@;$"
        )
    if member(body, "id", str, configuration_id) != configuration_id:
        raise HubError(400, f"id in the body is not that of the path, {configuration_id!r}")
    before = hub.configurations.find(configuration_id)
    if not if_match(request):
        if before is not None:
            raise HubError(409, f"there is a configuration {configuration_id} already", "ConfigurationAlreadyExists")
    else:
        before = _known(hub, configuration_id)
        check_etag(request, before.etag)
    hub.configurations.put(_configuration(body, configuration_id, before, request.now_s))
    return get_configuration(hub, request, configuration_id)


def delete_configuration(hub: Hub, request: Request, configuration_id: str) -> Reply:
    """Forget a configuration."""
    require_etag(request, _known(hub, configuration_id).etag)
    hub.configurations.remove(configuration_id)
    return Reply(204)


def post_test_queries(hub: Hub, request: Request) -> Reply:
    """What is wrong with a target condition and with metrics."""
    body = read_object(request)
    condition_error = None
    try:
        parse_target_condition(member(body, "targetCondition", str, ""))
    except HubError as error:
        condition_error = error.text
    errors = metric_errors(texts(body, "customMetricQueries"))
    return Reply(200, {"targetConditionError": condition_error, "customMetricQueryErrors": errors})


def _known(hub: Hub, configuration_id: str) -> Configuration:
    found = hub.configurations.find(configuration_id)
    if found is None:
        raise HubError(404, f"there is no configuration {configuration_id[:130]!r}", "ConfigurationNotFound")
    return found


def _configuration(
    body: dict[str, Any], configuration_id: str, before: Configuration | None, now_s: float
) -> Configuration:
    given = member(body, "content", dict, None)
    content = before.content if before is not None and given is None else parse_content(given)
    if before is not None and content != before.content:
        raise HubError(400, f"the content of {configuration_id} cannot change: create another configuration")
    if before is None and not is_layer(content):
        check_desired(desired_of([content]))
    metrics = texts(member(body, "metrics", dict, {}), "queries")
    errors = metric_errors(metrics)
    if errors:
        raise HubError(400, "; ".join(f"metrics.queries.{name[:80]}: {text}" for name, text in errors.items()))
    return Configuration(
        id=configuration_id,
        content=content,
        target_condition=member(body, "targetCondition", str, ""),
        priority=whole_number(body.get("priority") or 0, "priority", 0, _HIGHEST_PRIORITY),
        labels=texts(body, "labels"),
        metrics=metrics,
        created_s=now_s if before is None else before.created_s,
        updated_s=now_s,
    )


def _document(configuration: Configuration, documents: Documents) -> dict[str, Any]:
    return {
        "id": configuration.id,
        "schemaVersion": "2.0",
        "labels": configuration.labels,
        "content": {"modulesContent": configuration.content},
        "targetCondition": configuration.target_condition,
        "createdTimeUtc": utc_text(configuration.created_s),
        "lastUpdatedTimeUtc": utc_text(configuration.updated_s),
        "priority": configuration.priority,
        "systemMetrics": metrics_document(system_queries(configuration), documents),
        "metrics": metrics_document(configuration.metrics, documents),
        "etag": configuration.etag,
    }
