"""The scenarios that come with the simulator: `edgepack simulate --scenario NAME`. Data only."""
