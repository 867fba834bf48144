"""The workloads that the lab knows by name."""

from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.experiment import LabWorkload
from paste_proxy.lab.virtual.research import Research


def load_lab_workload(name: str) -> LabWorkload:
    """Raises `ConfigError`."""
    if name == "research":
        return Research()
    raise ConfigError(f"there is no workload {name!r}; known: research", param="workload")
