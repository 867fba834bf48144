"""The configuration of the joint queue: which turns are held back, and what their clients see of it."""

import msgspec

from paste_proxy.config_bounds import Seconds, SecondsOrNone


class ScheduleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When LLM turns go to the backend."""

    max_hold_s: Seconds = 300.0
    """How long a turn may be held back at most: half of the 600 s that the OpenAI and Anthropic SDKs wait."""
    keepalive_s: SecondsOrNone = 0.0
    """How often a streaming client is told that its turn is held. 0: never, since its reply then begins before
    the backend's, and with another head."""
