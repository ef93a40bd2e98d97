"""Stand-ins that speak the real formats and protocols: Debian archives, Python indexes, and a server for both."""
