"""The web page of a run: a process of its own, which asks the simulation through its control socket once a second.

    python -m simulator.dashboard --control RUN/control.sock --listen 127.0.0.1:0

Pure: access (who may read the page), fault_forms and twin_text (what was typed -> what is asked for). The rest is
NiceGUI: page.py ties the panels together, each panel is one file. Everything on the page comes from this process.
"""
