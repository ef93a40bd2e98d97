"""A built image tried out on this machine: started as a device would, asked, and what it answered."""
