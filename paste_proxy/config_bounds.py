"""What numbers and names of a configuration may be: a value that would do something else is an error."""

from typing import Annotated, TypeVar

import msgspec

T = TypeVar("T")

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""Of things of which there must be one at least. The upper bounds here catch typing errors, no more."""
CountOrNone = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Hint = Annotated[int, msgspec.Meta(ge=0, le=10)]
"""Steps upwards of a priority: SGLang pre-empts beyond a distance of 10."""
Bytes = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)]
"""Above 0, since a timeout of 0 lets nothing pass; up to 30 days, in effect none."""
SecondsOrNone = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Money = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1000)]
"""Weights of each against the others; one of 0 would never be served."""
PolicyName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(fcfs|length|plas|paste|joint|semaphore:[1-9][0-9]{0,5})\Z",
        description="fcfs, joint, length, paste, plas, or semaphore:N with N from 1 to 999999",
    ),
]
"""As `schedule/policies.py` has them."""
HostName = Annotated[str, msgspec.Meta(min_length=1)]
"""Not empty: that would open every address of the machine."""
HostPattern = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\*|(\*\.)?[^\s/*:@\[\]]*[^\s/*:@\[\].]|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\Z",
        description="a host alone, as docs.python.org; *.python.org for all below it; or * for any",
    ),
]
"""What has more in it, an address or a port, would name no host."""
Scope = Annotated[str, msgspec.Meta(min_length=1)]
"""One without a name would be nobody's."""

AllIfEmpty = Annotated[tuple[T, ...], msgspec.Meta(description="some, or [] for all")]
"""What was left out, as where all entries are commented out, is no way to say all."""

TENANT_NAME = r"^[A-Za-z0-9_.-]{1,64}\Z"
TenantName = Annotated[str, msgspec.Meta(pattern=TENANT_NAME)]
"""Stands in labels of metrics, logs and the store."""
BackendName = Annotated[str, msgspec.Meta(pattern=TENANT_NAME)]
"""The same, of a backend."""
