"""The configuration of the joint queue: in which order turns go, and what clients see of those held back."""

from typing import Literal

import msgspec

from paste_proxy.config_bounds import PolicyName, Seconds, SecondsOrNone


class ScheduleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When LLM turns go to the backend."""

    policy: PolicyName = "joint"
    """Holds nothing while what sessions have in the engine's memory fits there, and is the fastest beyond."""
    max_hold_s: Seconds = 1800.0
    """How long a turn may be held back at most. What its client says that it waits is nearer, nearly always: an
    hour is the longest that is seen, and who says nothing is held for 150 s."""
    keepalive_s: SecondsOrNone = 0.0
    """How often a streaming client is told that its turn is held. 0: never, since its reply then begins before
    the backend's, and with another head."""
    warm_up: Literal["off", "on"] = "off"
    """Whether what a session's next request begins with is read ahead while its agent runs tools, where the
    engine has forgotten it and has little else to do. Off: nobody asked for that work, and it seldom pays."""
    close_sessions: Literal["told", "learnt"] = "learnt"
    """When a backend hears that a session is over: if its client says so or it was silent for long; or also
    after a reply without a call, where sessions of its application were seen to stay away after one. To be
    wrong costs one prompt, and only where memory is short."""
