"""`python -m device_agent`: the agent with this process's arguments and environment."""

import sys

if __name__ == "__main__":
    sys.dont_write_bytecode = sys.pycache_prefix is None  # the agent writes no file, but where it is told a place
    if not sys.flags.safe_path:
        # -m puts the working directory first, where a script's files could hide the standard library
        sys.path.append(sys.path.pop(0))

    from device_agent.command_line import main

    sys.exit(main(sys.argv[1:]))
