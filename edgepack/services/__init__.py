"""Local web services: processes or containers of this machine that serve a model by HTTP."""
