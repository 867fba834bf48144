"""What goes into the core and what comes out: `handle(event, now) -> decisions` (DESIGN section 3).

All frozen; ids are opaque strings made by the shell; times are seconds of the shell's clock.
"""

from typing import TypeAlias

import msgspec

from paste_proxy.config import Config
from paste_proxy.errors import PasteError
from paste_proxy.grammar.events import GrammarEvent, Usage
from paste_proxy.grammar.requests import ChatRequest, MessageCall
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.tools.ports import Output, Progress, Run
from paste_proxy.tools.spec import ToolSpec


class Identity(msgspec.Struct, frozen=True):
    """What a request's headers and fields say of its session; empty strings where they say nothing."""

    tenant: str = "default"
    session: str = ""
    parent: str = ""
    source: str = ""
    """The header or field that named the session, for explanations."""
    final: bool = False
    """The client says that this is the session's last request."""
    priority: int = 0
    """How urgent the request is, as the client says and its tenant may (`sessions/hints.py`); higher is sooner,
    0 where it says nothing."""
    output_hint: int = 0
    """Tokens that the client expects of the reply; 0 where it does not say."""


class Attempt(msgspec.Struct, frozen=True):
    """What a request says of its sending."""

    patience_s: float = 0.0
    """How long its client waits; 0 where it does not say."""
    number: int = 0
    """Its client has asked so often before."""
    key: str = ""
    """The same for the same request (`Idempotency-Key`)."""


UNSAID = Attempt()


# -- events -----------------------------------------------------------------------------------------------


class TurnRequested(msgspec.Struct, frozen=True):
    """An LLM request of `size` bytes was read. `request` is None where it is no readable one: admitted too."""

    turn: str
    identity: Identity
    request: ChatRequest | None
    attempt: Attempt = UNSAID
    size: int = 0


class TurnSent(msgspec.Struct, frozen=True):
    """The request is on its way to the backend, or to another that it goes on to. The first time is the moment
    for predictions, off the request's own path."""

    turn: str


class TurnBegan(msgspec.Struct, frozen=True):
    """The reply's first bytes are there: the backend has read the prompt."""

    turn: str


class TurnStreamed(msgspec.Struct, frozen=True):
    """The reply said something. `text` events need not be sent one by one."""

    turn: str
    event: GrammarEvent


class TurnClosed(msgspec.Struct, frozen=True):
    """The reply is over. `complete` is false where it failed or the client left."""

    turn: str
    complete: bool
    unread: bool = False
    """The client got a reply that the tap did not read, or not to its end."""


class TurnRefused(msgspec.Struct, frozen=True):
    """The turn's backend could not be reached, or failed before the reply's first byte went on."""

    turn: str


class BackendUp(msgspec.Struct, frozen=True):
    """A backend is there, new or again, or more is known of it."""

    backend: str
    capacity: BackendCapacity = BackendCapacity()


class BackendDown(msgspec.Struct, frozen=True):
    """It serves nobody for now."""

    backend: str


class BackendTold(msgspec.Struct, frozen=True):
    """It says how busy it is."""

    backend: str
    load: BackendLoad | None
    """None: not any more."""


class BackendDraining(msgspec.Struct, frozen=True):
    """No session shall come to it (any more); those that are there may stay."""

    backend: str
    on: bool


class BackendRemoved(msgspec.Struct, frozen=True):
    """It is no longer configured."""

    backend: str


class ConfigChanged(msgspec.Struct, frozen=True):
    """From now on this holds, where it can change while the proxy runs."""

    config: Config


class CallRequested(msgspec.Struct, frozen=True):
    """An authoritative call reached the gateway. `arguments` is the raw JSON text."""

    call: str
    identity: Identity
    tool: str
    arguments: bytes
    tool_call_id: str = ""
    fingerprint: bytes | None = None
    """Of what the call would read, taken on arrival; None where the tool has no fingerprint."""
    client: str = ""
    """The client whose wrapped tool was called, and who runs it."""


class CallAbandoned(msgspec.Struct, frozen=True):
    """The caller left before the answer."""

    call: str


class RunBegan(msgspec.Struct, frozen=True):
    """The tool's function begins. Until then a run waits, for a slot or for a worker process."""

    run: str


class RunProgressed(msgspec.Struct, frozen=True):
    """The run's tool says how far it is."""

    run: str
    progress: Progress


class RunEnded(msgspec.Struct, frozen=True):
    """A run that was started has really ended, after a `CancelRun` too: with an output, or with an error."""

    run: str
    output: Output | None
    error: PasteError | None = None
    fingerprint: bytes | None = None
    """Of what the run read, taken just before it started."""


class ToolsOffered(msgspec.Struct, frozen=True):
    """From now on these, and no others, are the tools that a source offers: a server, a client."""

    source: str
    specs: tuple[ToolSpec, ...]


class SpeculationSwitched(msgspec.Struct, frozen=True):
    """The operator switches running ahead off or on, of one tool or (empty) of all."""

    on: bool
    tool: str = ""


class ClientOffered(msgspec.Struct, frozen=True):
    """A client came, with the tools that are wrapped in its process."""

    client: str
    tenant: str
    specs: tuple[ToolSpec, ...]
    ran: tuple[str, ...] = ()
    """Of its tools that write, those that it ran while nobody here could know of it."""


class ClientGone(msgspec.Struct, frozen=True):
    """The connection to a client is lost: what it ran ahead is lost with it."""

    client: str


class HitRefused(msgspec.Struct, frozen=True):
    """A client did not give out the result that its call was to get: it was no hit."""

    client: str
    run: str


class WarmEnded(msgspec.Struct, frozen=True):
    """A prefix was read ahead, or could not be (`ok` is false)."""

    warm_up: str
    ok: bool
    usage: Usage | None = None
    """As the backend counts it, where it does."""


class ProxyStopping(msgspec.Struct, frozen=True):
    """No turn may be held any more: what is not sent now won't be."""


class TimePassed(msgspec.Struct, frozen=True):
    """`next_deadline()` has come."""


Event: TypeAlias = (
    TurnRequested
    | TurnSent
    | TurnBegan
    | TurnStreamed
    | TurnClosed
    | TurnRefused
    | BackendUp
    | BackendDown
    | BackendTold
    | BackendDraining
    | BackendRemoved
    | ConfigChanged
    | CallRequested
    | CallAbandoned
    | RunBegan
    | RunProgressed
    | RunEnded
    | SpeculationSwitched
    | ToolsOffered
    | ClientOffered
    | ClientGone
    | HitRefused
    | WarmEnded
    | ProxyStopping
    | TimePassed
)

# -- decisions --------------------------------------------------------------------------------------------


class AdmitTurn(msgspec.Struct, frozen=True):
    """Send the request to that backend now."""

    turn: str
    backend: str = ""
    """Its name in the configuration; "" where there is one only."""
    priority: int | None = None
    """As the backend counts; None: say nothing of it."""
    held_s: float | None = None
    """How long it was held; None where it was not."""
    session: str = ""
    """Whose turn it is, as far as that is known."""


class AccountOverruled(msgspec.Struct, frozen=True):
    """A backend tells of other users, so nothing is held for its memory; or it does no longer."""

    backend: str
    overruled: bool


class SessionOver(msgspec.Struct, frozen=True):
    """No turn of the session will come any more: its last one was, or it was silent for too long."""

    session: str


class LetGo(msgspec.Struct, frozen=True):
    """The session will hardly come again: what backends keep of it may go. Nothing else of it ends."""

    session: str


class FailTurn(msgspec.Struct, frozen=True):
    """The turn is not sent: its client is told why."""

    turn: str
    error: PasteError


class WarmPrefix(msgspec.Struct, frozen=True):
    """Have the backend read what the session's next request begins with: the request of `turn`, and the reply
    to it as clients send it back."""

    warm_up: str
    turn: str
    backend: str
    session: str
    text: str
    calls: tuple[MessageCall, ...]
    priority: int | None = None
    """As the backend counts; None: say nothing of it."""


class CancelWarm(msgspec.Struct, frozen=True):
    warm_up: str


class StartRun(msgspec.Struct, frozen=True):
    run: Run


class PromoteRun(msgspec.Struct, frozen=True):
    """A running speculation was joined by its call."""

    run: str


class CancelRun(msgspec.Struct, frozen=True):
    run: str


class DropResult(msgspec.Struct, frozen=True):
    """The result of a run ahead that its client keeps is not wanted any more."""

    run: str
    client: str


class TellClient(msgspec.Struct, frozen=True):
    """What becomes of a wrapped tool's call, told to its client at once: it holds the run, or runs it now.

    `outcome`: reused (the result of `run` is the call's), joined (it will be), promoted or executed (the client
    runs the call itself, as `run`).
    """

    call: str
    outcome: str
    run: str
    session: str


class TellProgress(msgspec.Struct, frozen=True):
    """Of the run that serves this call."""

    call: str
    progress: Progress


class AnswerCall(msgspec.Struct, frozen=True):
    """`outcome` is reused | joined | promoted | executed."""

    call: str
    outcome: str
    output: Output
    service_s: float
    """How long the run took."""
    saved_s: float
    """How much of it passed before the call was issued."""


class FailCall(msgspec.Struct, frozen=True):
    call: str
    outcome: str
    error: PasteError


Decision: TypeAlias = (
    AdmitTurn
    | FailTurn
    | AccountOverruled
    | SessionOver
    | LetGo
    | WarmPrefix
    | CancelWarm
    | StartRun
    | PromoteRun
    | CancelRun
    | DropResult
    | TellClient
    | TellProgress
    | AnswerCall
    | FailCall
)
