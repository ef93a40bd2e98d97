"""Run by the Python of the public service client's environment: its calls, in the order in which one deploys.

The manifest comes on standard input, the connection string from the environment; prints what the hub answered, as one
JSON document.
"""

import base64
import json
import os
import sys

from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from azure.iot.hub.protocol.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
)
from msrest.exceptions import HttpOperationError

connection = os.environ["CONNECTION_STRING"]
content = ConfigurationContent(modules_content=json.load(sys.stdin)["modulesContent"])
registry = IoTHubRegistryManager.from_connection_string(connection)
deployments = IoTHubConfigurationManager.from_connection_string(connection)
key = base64.b64encode(b"k" * 32).decode()
seen = {}


def refused(call, *arguments):
    try:
        call(*arguments)
    except HttpOperationError as error:
        return error.response.status_code
    return 0


device = registry.create_device_with_sas("new", key, key, "enabled", True)
seen["device"] = [
    device.device_id,
    device.capabilities.iot_edge,
    device.authentication.symmetric_key.primary_key == key,
]
seen["again"] = refused(registry.create_device_with_sas, "new", key, key, "enabled")
module = registry.create_module_with_sas("new", "mine", "me", key, key)
seen["module"] = [module.module_id, module.managed_by]
module = registry.update_module_with_sas("new", "mine", "you", module.etag, key, key)
seen["modules"] = [each.module_id for each in registry.get_modules("new")]
seen["managed_by"] = registry.get_module("new", "mine").managed_by

twin = registry.get_twin("new")
twin = registry.update_twin("new", Twin(tags={"site": "a"}, properties=TwinProperties(desired={"x": 1})), twin.etag)
seen["twin"] = [twin.tags, twin.properties.desired["x"], twin.properties.desired["$version"]]
seen["stale"] = refused(registry.update_twin, "new", Twin(tags={}), "AAAAAAAAAAE=")
seen["replaced"] = registry.replace_twin("new", Twin(tags={"site": "b"})).tags
change = Twin(properties=TwinProperties(desired={"z": {"y": 1}}))
seen["module_twin"] = registry.update_module_twin("new", "mine", change).properties.desired["z"]

page = registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), None, 2)
rest = registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), page.continuation_token, 2)
seen["pages"] = [[each.device_id for each in page.items], [each.device_id for each in rest.items]]
seen["no_query"] = refused(registry.query_iot_hub, QuerySpecification(query="SELECT"))

method = CloudToDeviceMethod(method_name="echo", payload={"a": 1}, response_timeout_in_seconds=10)
seen["method"] = registry.invoke_device_method("new", method).as_dict()
seen["module_method"] = registry.invoke_device_module_method("new", "mine", method).as_dict()
seen["absent"] = refused(registry.invoke_device_method, "new", CloudToDeviceMethod(method_name="absent"))
seen["slow"] = refused(registry.invoke_device_method, "new", CloudToDeviceMethod(method_name="slow"))

deployments.apply_configuration_on_edge_device("new", content)
seen["deployed"] = [each.module_id for each in registry.get_modules("new")]
configuration = deployments.create_configuration(
    Configuration(
        id="dep-1",
        content=content,
        target_condition="tags.site = 'b'",
        priority=3,
        labels={"made": "here"},
        metrics=ConfigurationMetrics(queries={"all": "SELECT deviceId FROM devices"}),
    )
)
seen["created"] = configuration.created_time_utc is not None
configuration = deployments.get_configuration("dep-1")
seen["metrics"] = [configuration.system_metrics.results, configuration.metrics.results]
configuration.priority = 5
seen["priority"] = deployments.update_configuration(configuration, configuration.etag).priority
seen["configurations"] = [each.id for each in deployments.get_configurations()]
tested = ConfigurationQueriesTestInput(target_condition="tags.a =", custom_metric_queries={"m": "nonsense"})
seen["tested"] = deployments.test_configuration_queries(tested).as_dict()
deployments.delete_configuration("dep-1")

seen["counts"] = registry.get_device_registry_statistics().as_dict()
seen["connected"] = registry.get_service_statistics().as_dict()
seen["disabled"] = registry.update_device_with_sas("new", "*", key, key, "disabled", iot_edge=True).status
registry.delete_module("new", "mine")
registry.delete_device("new")
seen["devices"] = [each.device_id for each in registry.get_devices()]
seen["gone"] = refused(registry.get_device, "new")
print(json.dumps(seen))
