"""MQTT 3.1.1: packets (values), encoding and reading (bytes), session and connection (sans-IO server side)."""
