"""What the hub refuses, and how it says so. Pure.

The document of an error is `{"Message": "ErrorCode:NAME;TEXT", "ExceptionMessage": "Tracking ID:..."}`; clients read
the name and show the text.
"""

CODES = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "OperationNotAllowedInCurrentState",
    404: "DeviceNotFound",
    405: "InvalidOperation",
    409: "DeviceAlreadyExists",
    412: "PreconditionFailed",
    413: "MessageTooLarge",
    415: "ArgumentInvalid",
    429: "ThrottlingException",
    502: "InvalidDeviceResponse",
    504: "GatewayTimeout",
}
"""The name that goes with a status unless a refusal has its own."""


class HubError(Exception):
    """A refusal: an HTTP status, one sentence, and the hub's name for it."""

    def __init__(self, status: int, text: str, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code or CODES[status]
