"""What can go wrong in the agent, split by who has to act.

    AgentError
     +-- SettingsError     exit 2  a variable or argument is wrong: all problems are reported together
     +-- ScriptStartError  exit 3  the script cannot be imported, has no usable run(), or its init() failed
    BadInput (ValueError)          raised by an entry script: the caller's data is wrong; the answer is 400

`BadInput` is public (`from device_agent import BadInput`). It is no AgentError: it ends one request, never
the agent.
"""


class AgentError(Exception):
    """Root of all errors that end the agent on purpose."""

    exit_code = 70


class SettingsError(AgentError):
    """The settings cannot be used. `problems` holds one sentence each, never empty."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("\n".join(problems))


class ScriptStartError(AgentError):
    """The entry script did not start. `stage` is "import", "signature" or "init"."""

    exit_code = 3

    def __init__(self, stage: str, message: str) -> None:
        self.stage = stage
        super().__init__(message)


class BadInput(ValueError):
    """Raise this in `run()` when the request's data is wrong: the caller gets 400 with `{"message":
    str(error)}`.
    """
