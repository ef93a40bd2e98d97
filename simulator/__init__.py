"""IoT Hub, IoT Edge and a fleet of devices on one machine, without Azure and without Docker.

mqtt/            MQTT 3.1.1: packets as values, bytes to packets and back (pure)
hub/             IoT Hub and edgeHub as one endpoint: sessions, routes, store and forward, links; server.py is the shell
cloud/           identities, twins, tokens, configurations, queries, and the service interface
edge_agent/      deployments to plans to steps; modules as processes or in an engine, restarts, reports
devices/         what devices send, their sessions, and the fleet process
dashboard/       the web page, a process of its own;  terminal_view.py

world.py gateway.py              what stands, and how its parts know each other
simulation.py command.py         one run, from options to report;  run_folder.py scenario.py steps.py
faults.py ledger.py report.py recount.py      what is broken, and what became of every message
views.py snapshot.py control_server.py control_client.py      what a run looks like, and who asks
workload_api.py workload_rules.py     the security daemon's interface for modules
"""
