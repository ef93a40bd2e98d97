"""Whatever is deployed and however modules end: never two copies, always in order, and what is wanted is reached."""

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.edge_agent.deployment import Deployment, WantedModule
from simulator.edge_agent.module_state import ModuleState, ended, not_started
from simulator.edge_agent.plan import Action, after, next_due_s, plan, settle
from simulator.edge_agent.restart import MOST_RESTARTS, next_start

_modules = st.builds(
    WantedModule,
    st.sampled_from("abcd"),
    st.sampled_from(["image:1", "image:2"]),
    st.sampled_from(["running", "stopped"]),
    st.sampled_from(["never", "on-failure", "on-unhealthy", "always"]),
    st.integers(0, 3),
)
_deployments = st.lists(_modules, max_size=4, unique_by=lambda module: module.name).map(
    lambda modules: Deployment(tuple(sorted(modules, key=lambda module: module.order)))
)
_events = st.one_of(
    _deployments,
    st.tuples(st.just("end"), st.sampled_from("abcd"), st.sampled_from([0, 1, 137])),
    st.tuples(st.just("wait"), st.floats(0.0, 2000.0)),
)


class _World:
    """Modules, and the processes that stand for them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.deployment = Deployment()
        self.states: dict[str, ModuleState] = {}
        self.processes: set[str] = set()

    def reconcile(self, fails_to_start: frozenset[str] = frozenset()) -> None:
        steps = plan(self.deployment, self.states, self.now_s)
        self.states = settle(self.deployment, self.states, self.now_s)
        order = {module.name: place for place, module in enumerate(self.deployment.modules)}
        begun = [order[step.module] for step in steps if step.action in (Action.START, Action.RESTART)]
        assert begun == sorted(begun)
        for step in steps:
            name = step.module
            if step.action in (Action.START, Action.RESTART):
                if name in fails_to_start:
                    self.states[name] = not_started(self.states[name], "no", self.now_s, may_retry=True)
                    continue
                assert name not in self.processes, "two copies"
                self.processes.add(name)
            elif step.action is Action.STOP:
                self.processes.remove(name)
            else:
                assert name not in self.processes, "changed while it runs"
            changed = after(step, self.states.get(name), self.now_s)
            if changed is None:
                del self.states[name]
            else:
                self.states[name] = changed

    def check(self) -> None:
        """What is there is what is wanted, and nothing is left to do now."""
        assert plan(self.deployment, self.states, self.now_s) == ()
        wanted = {module.name: module for module in self.deployment.modules}
        assert self.states.keys() == wanted.keys()
        assert self.processes == {name for name, state in self.states.items() if state.is_running}
        for name, state in self.states.items():
            assert state.wanted == wanted[name]
            assert state.restarts <= MOST_RESTARTS
            if not wanted[name].is_wanted_running:
                assert not state.is_running
            elif not state.is_running:
                due = next_start(state)
                assert due is None or due.at_s > self.now_s


@settings(deadline=None)
@given(st.lists(st.tuples(_events, st.frozensets(st.sampled_from("abcd"), max_size=1)), max_size=30))
def test_any_sequence_of_deployments_and_ends(events: list[tuple[object, frozenset[str]]]) -> None:
    world = _World()
    for event, failing in events:
        match event:
            case Deployment():
                world.deployment = event
            case ("end", str(name), int(code)) if name in world.processes:
                world.processes.remove(name)
                world.states[name] = ended(world.states[name], code, world.now_s)
            case ("wait", float(seconds)):
                world.now_s += seconds
        world.reconcile(failing)
        world.check()
    due_s = next_due_s(world.deployment, world.states)
    if due_s is not None:
        world.now_s = max(world.now_s, due_s)
        assert plan(world.deployment, world.states, world.now_s) != ()
