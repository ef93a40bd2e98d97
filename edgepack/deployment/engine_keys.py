"""What the engine's container-create body may hold, as createOptions carry it: keys and the shapes of their values.

Pure. From the public description of the engine's interface (versions 1.41 to 1.51). A shape is a `str` (`text`,
`number`, `bool`, `any`, `texts`: a list of texts, `command`: a text or a list of texts), a `dict` (an object with
these keys), or a `Many` of a shape.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Many(NamedTuple):
    """Any number of values of one shape: a list, or (`by_name`) the members of an object."""

    of: "Shape"
    by_name: bool = False


Shape = str | Many | Mapping[str, "Shape"]


def _keys(shape: Shape, names: str) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), shape)


_TEXT_BY_NAME = Many("text", by_name=True)
_EMPTY_BY_NAME = Many({}, by_name=True)
_DEVICE_RATES = Many({"Path": "text", "Rate": "number"})

_MOUNT: dict[str, Shape] = {
    **_keys("text", "Target Source Type Consistency"),
    "ReadOnly": "bool",
    "BindOptions": {
        "Propagation": "text",
        **_keys("bool", "NonRecursive CreateMountpoint ReadOnlyNonRecursive ReadOnlyForceRecursive"),
    },
    "VolumeOptions": {
        "NoCopy": "bool",
        "Labels": _TEXT_BY_NAME,
        "DriverConfig": {"Name": "text", "Options": _TEXT_BY_NAME},
        "Subpath": "text",
    },
    "ImageOptions": {"Subpath": "text"},
    "TmpfsOptions": {"SizeBytes": "number", "Mode": "number", "Options": "any"},
    "ClusterOptions": {},
}

HOST_CONFIG: dict[str, Shape] = {
    **_keys(
        "number",
        "CpuShares Memory BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime KernelMemory "
        "KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness NanoCpus PidsLimit CpuCount CpuPercent "
        "IOMaximumIOps IOMaximumBandwidth OomScoreAdj ShmSize DiskQuota",
    ),
    **_keys(
        "text",
        "CgroupParent CpusetCpus CpusetMems ContainerIDFile NetworkMode VolumeDriver CgroupnsMode IpcMode Cgroup "
        "PidMode UTSMode UsernsMode Runtime Isolation",
    ),
    **_keys("bool", "OomKillDisable Init AutoRemove Privileged PublishAllPorts ReadonlyRootfs"),
    **_keys(
        "texts",
        "Binds VolumesFrom CapAdd CapDrop Capabilities Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links SecurityOpt "
        "MaskedPaths ReadonlyPaths DeviceCgroupRules",
    ),
    **_keys(_TEXT_BY_NAME, "StorageOpt Tmpfs Sysctls Annotations"),
    **_keys(_DEVICE_RATES, "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps"),
    "BlkioWeightDevice": Many({"Path": "text", "Weight": "number"}),
    "Devices": Many(_keys("text", "PathOnHost PathInContainer CgroupPermissions")),
    "DeviceRequests": Many(
        {
            "Driver": "text",
            "Count": "number",
            "DeviceIDs": "texts",
            "Capabilities": Many("texts"),
            "Options": _TEXT_BY_NAME,
        }
    ),
    "Ulimits": Many({"Name": "text", "Soft": "number", "Hard": "number"}),
    "LogConfig": {"Type": "text", "Config": _TEXT_BY_NAME},
    "PortBindings": Many(Many({"HostIp": "text", "HostPort": "text"}), by_name=True),
    "RestartPolicy": {"Name": "text", "MaximumRetryCount": "number"},
    "Mounts": Many(_MOUNT),
    "ConsoleSize": Many("number"),
}

_NETWORK: dict[str, Shape] = {
    "IPAMConfig": {"IPv4Address": "text", "IPv6Address": "text", "LinkLocalIPs": "texts"},
    **_keys("texts", "Links Aliases DNSNames"),
    **_keys("text", "NetworkID EndpointID Gateway IPAddress IPv6Gateway GlobalIPv6Address MacAddress"),
    **_keys("number", "IPPrefixLen GlobalIPv6PrefixLen GwPriority"),
    "DriverOpts": _TEXT_BY_NAME,
}

CREATE_BODY: dict[str, Shape] = {
    **_keys("text", "Hostname Domainname User WorkingDir MacAddress StopSignal Image Name"),
    **_keys("bool", "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce ArgsEscaped NetworkDisabled"),
    **_keys("texts", "Env OnBuild"),
    **_keys("command", "Cmd Entrypoint Shell"),
    **_keys(_EMPTY_BY_NAME, "ExposedPorts Volumes"),
    "Labels": _TEXT_BY_NAME,
    "StopTimeout": "number",
    "Healthcheck": {"Test": "command", **_keys("number", "Interval Timeout Retries StartPeriod StartInterval")},
    "HostConfig": HOST_CONFIG,
    "NetworkingConfig": {"EndpointsConfig": Many(_NETWORK, by_name=True)},
}


def known_key(key: str, shape: Mapping[str, Shape]) -> str:
    """The engine's spelling of a key, which agent and engine read in any case; "" for one that they do not know."""
    return key if key in shape else next((each for each in shape if each.lower() == key.lower()), "")


def in_engine_spelling(value: Any, shape: Shape = CREATE_BODY) -> Any:
    """createOptions with the engine's spelling of all keys that it knows."""
    if isinstance(shape, Many):
        if isinstance(value, list) and not shape.by_name:
            return [in_engine_spelling(item, shape.of) for item in value]
        if isinstance(value, dict) and shape.by_name:
            return {name: in_engine_spelling(member, shape.of) for name, member in value.items()}
    elif isinstance(shape, Mapping) and isinstance(value, dict):
        known = {key: known_key(key, shape) for key in value}
        return {
            known[key] or key: in_engine_spelling(member, shape.get(known[key], "any")) for key, member in value.items()
        }
    return value
