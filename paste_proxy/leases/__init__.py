"""Tools that are wrapped in the processes of agents: their connections, and the executor that leases runs."""
