"""edgeAgent: brings the modules of a deployment to run on this machine, keeps them running, reports how they do.

deployment.py module_state.py restart.py plan.py reported.py      pure: what is wanted, what is, what to do
agent.py                          the loop that carries plans out and sees modules end
runner.py                         the one interface to what runs a module
process_runner.py docker_runner.py      a process of this machine, or a container
"""
