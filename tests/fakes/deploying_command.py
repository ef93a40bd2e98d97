"""A command that deploys the service of a desk, as a process of its own that can be killed: FOLDER NAME [overwrite]."""

import sys
from pathlib import Path

from tests.fakes.service_desk import Desk

if __name__ == "__main__":
    desk = Desk(Path(sys.argv[1]), is_set_up=True)
    desk.deploy(sys.argv[2], overwrite="overwrite" in sys.argv[3:])
