"""Runs what edgepack builds on this machine, without Azure and without Docker.

Today: `module_runner` runs a built image as a process of its own. The hub, edgeHub and fleets of devices are to follow.
"""
