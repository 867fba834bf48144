"""Token buckets. No clock: the time is passed in, and does not run backwards."""

from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Bucket:
    """Holds `size` at most. What is taken comes back evenly, a whole `size` in `period_s` seconds."""

    size: float
    period_s: float
    at: float
    """When it was last looked at; at first it is full."""
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.size

    def fill(self, now: float) -> float:
        """What is in it."""
        self.left = min(self.size, self.left + (now - self.at) * self.size / self.period_s)
        self.at = now
        return self.left

    def wait_s(self, amount: float) -> float:
        """Until so much is in it, from when it was last looked at."""
        return max(0.0, amount - self.left) * self.period_s / self.size
