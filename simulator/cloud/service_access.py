"""Who may do what at the service interface. Pure.

A service signs in with the key of a policy. Two kinds of callers sign in with their own keys: a device, to read and
make its modules; and a module, which names itself in `x-ms-edge-moduleId`, to call methods of its device, of the other
modules there, and of the devices below it.
"""

from simulator.cloud.hub_error import HubError
from simulator.cloud.service_request import Hub, Policy, Request
from simulator.cloud.tokens import Refusal, parse_token, verify_token

REGISTRY_READ, REGISTRY_WRITE, SERVICE = "RegistryRead", "RegistryWrite", "ServiceConnect"
DEVICE = "DeviceConnect"
OWN_DEVICE, OWN_MODULE = "device", "module"
"""Who may make a call with its own key, besides services."""

RIGHTS = {
    "iothubowner": frozenset({REGISTRY_READ, REGISTRY_WRITE, SERVICE, DEVICE}),
    "service": frozenset({SERVICE}),
    "registryRead": frozenset({REGISTRY_READ}),
    "registryReadWrite": frozenset({REGISTRY_READ, REGISTRY_WRITE}),
    "device": frozenset({DEVICE}),
}
"""What the policies that every hub has allow."""


def policies_of(keys: dict[str, tuple[bytes, bytes]]) -> dict[str, Policy]:
    """Policies by name, with these keys. Raises KeyError for a name that no hub has."""
    return {name: Policy(pair, RIGHTS[name]) for name, pair in keys.items()}


def check_access(hub: Hub, request: Request, right: str, own: str, device_id: str) -> None:
    """Whether the caller may do what needs this right; `own` says who may do it at `device_id` with its own key.

    Raises:
        HubError: 401, with the reason.
    """
    text, now_s = request.headers.get("authorization", ""), request.now_s
    if not text:
        raise HubError(401, "the header Authorization is missing")
    token = parse_token(text)
    if isinstance(token, Refusal):
        raise HubError(401, f"the token is not taken: {token.reason}")
    if token.policy:
        _check_policy(hub, text, token.policy, right, now_s)
    elif own == OWN_DEVICE:
        _check_own(hub, text, device_id, now_s)
    elif own == OWN_MODULE:
        caller = request.headers.get("x-ms-edge-moduleid", "")
        if "/" not in caller:
            raise HubError(401, "a module that calls a method names itself in x-ms-edge-moduleId, as DEVICE/MODULE")
        _check_own(hub, text, caller, now_s)
        _check_reach(hub, caller.partition("/")[0], device_id)
    else:
        raise HubError(401, f"this needs a policy (skn) with the right {right}")


def _check_policy(hub: Hub, text: str, name: str, right: str, now_s: float) -> None:
    policy = hub.policies.get(name)
    if policy is None:
        raise HubError(401, f"there is no policy {name[:80]!r}")
    found = verify_token(text, hosts=hub.hosts, client_id="", policy=name, keys=policy.keys, now_s=now_s)
    if isinstance(found, Refusal):
        raise HubError(401, f"the token is not taken: {found.reason}")
    if right not in policy.rights:
        raise HubError(401, f"the policy {name} lacks the right {right}")


def _check_own(hub: Hub, text: str, client_id: str, now_s: float) -> None:
    identity = hub.registry.identity(client_id)
    if identity is None or not identity.enabled:
        raise HubError(401, f"{client_id[:260]} does not exist or is disabled")
    found = verify_token(text, hosts=hub.hosts, client_id=client_id, keys=identity.keys, now_s=now_s)
    if isinstance(found, Refusal):
        raise HubError(401, f"the token is not taken: {found.reason}")


def _check_reach(hub: Hub, from_device: str, to_device: str) -> None:
    target = hub.registry.identity(to_device)
    if to_device != from_device and (target is None or target.parent != from_device):
        raise HubError(401, f"modules of {from_device} reach it and the devices below it, not {to_device[:130]}")
