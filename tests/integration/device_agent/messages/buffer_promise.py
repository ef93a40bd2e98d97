"""What buffer_child's words promise: the judge of what is in the buffer afterwards."""

from device_agent.messages.message import Message, key_number
from tests.integration.device_agent.messages.buffer_child import numbered_message


class Promise:
    """What the child's words promise: which messages must be there, may be there, must not be there."""

    def __init__(self) -> None:
        self.begun: set[int] = set()
        self.by_key: dict[int, int] = {}
        self.must: dict[int, int] = {}
        self.gone: set[int] = set()
        self.failed: set[int] = set()
        self.failures: list[str] = []
        self._numbers: list[int] = []
        self._removing: list[int] = []
        self._removed: set[int] = set()
        self._heard = 0

    def hear(self, said: bytes) -> None:
        """Take in the lines that are new."""
        end = said.rfind(b"\n") + 1
        lines = said[self._heard : end].decode().splitlines()
        self._heard = end
        for line in lines:
            kind, *words = line.split(" ")
            if kind == "a":
                self._numbers = [int(word) for word in words]
                self.begun.update(self._numbers)
            elif kind == "A":
                keys = [int(word) for word in words[0].split(",") if word]
                dropped = {int(word) for word in words[1].split(",") if word}
                self.by_key.update(zip(keys, self._numbers, strict=False))
                self.must.update(zip(keys, self._numbers, strict=False))
                self.gone |= dropped | self._removed | set(self._removing)
                for key in self.gone & self.must.keys():
                    del self.must[key]
                self._numbers = []
            elif kind == "F":
                self.failed.update(self._numbers)
                self.failures.append(" ".join(words))
                self._numbers = self._removing = []
            elif kind == "r":
                self._removing = [int(word) for word in words]
                for key in self._removing:
                    self.must.pop(key, None)
            elif kind == "R":
                self._removed.update(self._removing)
                self._removing = []

    def crash(self) -> None:
        """The process was killed: removals that had returned have been written."""
        self.gone |= self._removed
        self._removing = self._numbers = []
        self._heard = 0

    def check(self, found: dict[int, Message]) -> None:
        """Compare with what is there."""
        for key, number in self.must.items():
            assert found.get(key) == numbered_message(number), f"message {number} is not there"
        for key, message in found.items():
            number = int(message.message_id[3:])
            assert message == numbered_message(number)
            assert number in self.begun
            assert key not in self.gone, f"message {number} has come back"
        numbers = [
            int(message.message_id[3:]) for _, message in sorted(found.items(), key=lambda one: key_number(one[0]))
        ]
        assert numbers == sorted(numbers)
