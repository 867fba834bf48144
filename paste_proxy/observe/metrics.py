"""What the proxy counts, as Prometheus metrics and as JSON. Read on demand: nothing is updated per event."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from paste_proxy.access.access import Access
from paste_proxy.broker.ledger import Ledger
from paste_proxy.core import Core
from paste_proxy.holds import BUCKETS, HoldLedger
from paste_proxy.observe.shadow import level_rows
from paste_proxy.pacing import Pacing
from paste_proxy.placing import Placing
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.warming import WarmLedger

OUTCOMES = ("reused", "joined", "promoted", "executed", "warmed", "decided")


def stats(core: Core) -> dict[str, Any]:
    """The figures of `/paste/v1/stats`. Every authoritative call is in exactly one of `hits`, or failed.

    What a client refused to give out is `executed` there, and its run unused.
    `used` = reused + joined of predicted runs; `unused` = predicted runs that were started and served
    nobody, those still staged not among them; sealed calls (`decided`) are counted apart.
    """
    ledger = core.broker.ledger
    used = ledger.used
    unused = ledger.unused["speculative"]
    return {
        "hits": {outcome: ledger.served_by(outcome) for outcome in OUTCOMES},
        "hits_refused": ledger.refused.total(),
        "calls_failed": ledger.calls_failed,
        "speculations": {
            "started": ledger.started["speculative"],
            "used": used,
            "unused": unused,
            "live": core.broker.live,
            "ended": dict(ledger.ended),
            "decided_started": ledger.started["decided"],
            "decided_unused": ledger.unused["decided"],
            "prepared_started": ledger.prepared["started"],
            "prepared_unused": ledger.prepared["unused"],
            "chained_started": ledger.chained["started"],
            "chained_claimed": ledger.chained["claimed"],
        },
        "unused_per_used": round(unused / used, 3) if used else None,
        "wasted_worker_s": round(ledger.wasted_worker_s, 3),
        "wasted_bytes": ledger.wasted_bytes,
        "wasted_price": round(ledger.wasted_price, 6),
        "tools": _by_tool(core),
        "saved_s": round(ledger.saved_s - ledger.refused_s, 3),
        "staged_bytes": core.broker.staging.total_bytes,
        "open_writes": core.broker.open_scopes,
        "turns": _turns(core),
        "warm_ups": asdict(core.warming.ledger),
        "sessions": len(core.turns.sessions),
        "predictor_failures": core.turns.expectations.failures,
        "kept_back": core.turns.expectations.kept_back,
    }


def _turns(core: Core) -> dict[str, Any]:
    """Those that are held now, and what became of those that were."""
    ledger = core.holds.ledger
    return {
        "held_now": core.holds.held,
        "admitted_at_once": ledger.admitted[0],
        "admitted_later": sum(ledger.admitted[1:]),
        "held_s": round(ledger.held_s, 3),
        "overdue": ledger.overdue,
        "superseded": ledger.superseded,
        "withdrawn": ledger.withdrawn,
        "refused": ledger.refused,
    }


def _by_tool(core: Core) -> dict[str, dict[str, Any]]:
    """Of each tool: unused runs, hits that were run again and that differed, and why it is put off."""
    unused, tallies = core.broker.ledger.unused_of, core.broker.sampling.tallies
    reasons = core.broker.permits.reasons()
    return {
        tool: {
            "unused": unused[tool],
            "sampled": tallies[tool].taken if tool in tallies else 0,
            "differed": tallies[tool].differed if tool in tallies else 0,
            "put_off": reasons.get(tool, ""),
        }
        for tool in sorted({*unused, *tallies, *reasons})
        if tool
    }


class ProxyCollector(Collector):
    """Exports the core's ledger and the relay's counters. Names are documented in docs/operations.md."""

    def __init__(self, runtime: Runtime, relay: RelayCounters, access: Access, lines: Lines) -> None:
        self._lines = lines
        self._runtime = runtime
        self._relay = relay
        self._access = access

    def collect(self) -> Iterator[Metric]:
        core = self._runtime.core
        yield from _broker_metrics(core.broker.ledger)
        yield from _tool_metrics(core)
        yield _gauge("paste_speculations_live", "Speculations queued, running or staged", core.broker.live)
        yield _gauge("paste_staged_bytes", "Bytes of staged results", core.broker.staging.total_bytes)
        yield _gauge("paste_open_writes", "Scopes with a write open on them", core.broker.open_scopes)
        yield _gauge("paste_turns_held", "Turns that wait for the backend now", core.holds.held)
        yield from _hold_metrics(core.holds.ledger)
        yield from _warm_metrics(core.warming.ledger)
        yield _gauge("paste_sessions", "Sessions remembered", len(core.turns.sessions))
        yield _gauge(
            "paste_core_failed", "1 after a bug in the core: all is served without it", self._runtime.failed
        )
        failures = core.turns.expectations.failures
        yield _counter("paste_predictor_failures", "Predictions lost to a bug", failures)
        kept_back = core.turns.expectations.kept_back
        yield _counter("paste_kept_back", "Candidates that the egress rule held back", kept_back)
        yield from _shadow_metrics(core)
        yield from _relay_metrics(self._relay)
        yield _refusals(self._access)
        yield from _backend_metrics(core.placing, self._lines)
        yield from _lease_metrics(core.pacing, self._lines)


def _hold_metrics(ledger: HoldLedger) -> Iterator[Metric]:
    sums = accumulate(ledger.admitted)
    yield HistogramMetricFamily(
        "paste_turn_held_seconds",
        "How long turns were held before they went to the backend",
        buckets=list(zip([*map(str, BUCKETS), "+Inf"], sums, strict=True)),
        sum_value=ledger.held_s,
    )
    yield _counter("paste_turns_overdue", "Turns admitted since they could be held no longer", ledger.overdue)
    yield _counter("paste_turns_superseded", "Held turns whose client asked again", ledger.superseded)
    yield _counter("paste_turns_withdrawn", "Held turns whose client left", ledger.withdrawn)
    yield _counter("paste_turns_refused", "Turns that could not be held any more", ledger.refused)


def _warm_metrics(ledger: WarmLedger) -> Iterator[Metric]:
    fates = ("started", "cancelled", "failed", "used", "unused")
    yield _counters(
        "paste_warm_ups",
        "Prefixes read ahead, and what became of them",
        "fate",
        ((fate, getattr(ledger, fate)) for fate in fates),
    )
    yield _counters(
        "paste_warm_up_tokens",
        "Tokens read ahead, and those of them that served nobody",
        "fate",
        (("read", ledger.read_tokens), ("unused", ledger.unused_tokens)),
    )


def _shadow_metrics(core: Core) -> Iterator[Metric]:
    rows = level_rows(core.turns.expectations.shadow.all)
    yield _counters(
        "paste_shadow_used",
        "Guesses of the shadow mode that were right, by what they rest on",
        "level",
        ((row.level, row.used) for row in rows),
    )
    yield _counters(
        "paste_shadow_unused",
        "Guesses of the shadow mode that nobody asked for",
        "level",
        ((row.level, row.unused) for row in rows),
    )
    yield _counters(
        "paste_shadow_saved_seconds",
        "What running ahead would have saved",
        "level",
        ((row.level, row.saved_s) for row in rows),
    )


def _broker_metrics(ledger: Ledger) -> Iterator[Metric]:
    yield _counters(
        "paste_tool_calls",
        "Authoritative calls answered, by how they were served",
        "outcome",
        ((name, ledger.hits[name]) for name in OUTCOMES),
    )
    yield _counters(
        "paste_hits_refused",
        "Of those, hits that a client did not give out, and ran the call itself",
        "outcome",
        ((name, ledger.refused[name]) for name in ("reused", "joined", "decided")),
    )
    yield _counter("paste_tool_calls_failed", "Authoritative calls answered with an error", ledger.calls_failed)
    yield _counters(
        "paste_runs_ahead_started", "Runs started ahead, by class", "run_class", ledger.started.items()
    )
    yield _counters(
        "paste_runs_ahead_unused", "Runs ahead that served nobody, by class", "run_class", ledger.unused.items()
    )
    yield _counters(
        "paste_runs_preparing",
        "Runs ahead that only prepare a call (effects warm, dry_run), started and unused",
        "fate",
        ((fate, ledger.prepared[fate]) for fate in ("started", "unused")),
    )
    yield _counters(
        "paste_chained_runs",
        "Predicted runs behind a staged result, started and claimed",
        "fate",
        ((fate, ledger.chained[fate]) for fate in ("started", "claimed")),
    )
    yield _counter("paste_saved_seconds", "Tool time that passed before the call came", ledger.saved_s)
    yield _counter("paste_refused_seconds", "Of those, the ones of refused hits", ledger.refused_s)
    yield _counter("paste_wasted_worker_seconds", "Time of unused runs", ledger.wasted_worker_s)
    yield _counter("paste_wasted_bytes", "Bytes of unused results", ledger.wasted_bytes)
    yield _counter("paste_wasted_price", "What unused runs and second looks cost", ledger.wasted_price)


def _tool_metrics(core: Core) -> Iterator[Metric]:
    """By tool: as many as there are."""
    tallies = core.broker.sampling.tallies
    yield _counters(
        "paste_samples",
        "Hits that were run again and compared",
        "tool",
        ((tool, tally.taken) for tool, tally in tallies.items()),
    )
    yield _counters(
        "paste_samples_differed",
        "Those that gave something else",
        "tool",
        ((tool, tally.differed) for tool, tally in tallies.items()),
    )
    family = GaugeMetricFamily("paste_put_off", "Tools that stay at home for now", labels=["tool", "reason"])
    for tool, reason in core.broker.permits.reasons().items():
        family.add_metric([tool or "*", reason], 1.0)
    yield family


def _relay_metrics(relay: RelayCounters) -> Iterator[Metric]:
    yield _counter("paste_requests", "Requests relayed", relay.requests)
    yield _counters("paste_turns", "Turns among them, by API", "api", relay.turns.items())
    yield _counter("paste_untapped_replies", "Replies to turns relayed unread", relay.untapped_replies)
    yield _counter("paste_events", "Events read from replies by the tap", relay.events)
    yield _counter("paste_unreadable_requests", "Turns relayed unread", relay.unreadable_requests)
    yield _counter("paste_client_disconnects", "Clients that left before the end", relay.client_disconnects)
    yield _counter("paste_aborts", "Abort requests sent to the backend", relay.aborts_sent)
    yield _counter("paste_closes", "Ends of sessions told to backends", relay.closes_sent)
    yield _counters("paste_tap_failures", "Failures of the tap, by cause", "cause", relay.tap_failures.items())
    yield _counters(
        "paste_backend_errors", "Our own error replies, by code", "code", relay.backend_errors.items()
    )


def _backend_metrics(placing: Placing, lines: Lines) -> Iterator[Metric]:
    """By backend: as many labels as the configuration has."""
    up = GaugeMetricFamily("paste_backend_up", "1 while the backend is well", labels=["backend"])
    live = GaugeMetricFamily("paste_backend_live", "Turns that wait or run there", labels=["backend"])
    for line in lines:
        up.add_metric([line.name], float(line.health.up))
        live.add_metric([line.name], placing.live(line.name))
    yield up
    yield live
    yield from _told_metrics(lines)
    counts = placing.counts.items()
    for name, help_text, values in (
        ("paste_backend_turns", "Turns sent to it", ((name, one.turns) for name, one in counts)),
        ("paste_backend_refused", "Turns it did not take", ((name, one.refused) for name, one in counts)),
        ("paste_backend_retries", "Those another refused", ((name, one.retries) for name, one in counts)),
        ("paste_backend_spills", "Sessions sent on to it", ((name, one.spills) for name, one in counts)),
    ):
        yield _counters(name, help_text, "backend", values)


def _lease_metrics(pacing: Pacing, lines: Lines) -> Iterator[Metric]:
    """Of the policy `joint`; 0 under others."""
    facts = [(line.name, pacing.facts_of(line.name)) for line in lines]
    for name, help_text, values in (
        ("paste_leases", "Sessions with a lease", ((name, one.leased) for name, one in facts)),
        ("paste_leased_tokens", "What these hold", ((name, one.leased_tokens) for name, one in facts)),
        ("paste_lease_budget_tokens", "What they may hold", ((name, one.budget) for name, one in facts)),
        ("paste_thrash", "Share of prompts read again", ((name, one.thrash) for name, one in facts)),
        ("paste_account_overruled", "1 while it has others", ((name, one.overruled) for name, one in facts)),
    ):
        family = GaugeMetricFamily(name, help_text, labels=["backend"])
        for backend, value in values:
            family.add_metric([backend], float(value))
        yield family
    parked = ((name, one.parked) for name, one in facts)
    yield _counters("paste_leases_lost", "Leases lost to other sessions", "backend", parked)
    endings = pacing.endings
    ends = (("expected_over", endings.expected_over), ("came_back", endings.came_back))
    yield _counters("paste_learnt_ends", "Sessions expected to be over, and those that came back", "fate", ends)


def _told_metrics(lines: Lines) -> Iterator[Metric]:
    """What backends say of themselves; nothing of one that does not."""
    load = GaugeMetricFamily("paste_backend_load", "Requests there, as it says", labels=["backend", "state"])
    tokens = GaugeMetricFamily("paste_backend_used_tokens", "Of its KV cache, as it says", labels=["backend"])
    held = GaugeMetricFamily("paste_backend_kv_tokens", "That its KV cache holds", labels=["backend"])
    priority = GaugeMetricFamily("paste_backend_priority", "1 where it gets priorities", labels=["backend"])
    for line in lines:
        control = line.control
        if (told := control.load) is not None:
            load.add_metric([line.name, "running"], told.running)
            load.add_metric([line.name, "waiting"], told.waiting)
            tokens.add_metric([line.name], told.used_tokens)
        if line.capacity.kv_tokens:
            held.add_metric([line.name], line.capacity.kv_tokens)
        priority.add_metric([line.name], float(control.abilities.band is not None))
    yield from (load, tokens, held, priority)
    failures = ((line.name, line.control.poller.failures if line.control.poller else 0) for line in lines)
    yield _counters("paste_backend_load_failures", "Questions for it without an answer", "backend", failures)


def _refusals(access: Access) -> Metric:
    """As many labels as the configuration has tenants."""
    family = CounterMetricFamily(
        "paste_refused", "Requests refused for their key or a limit", labels=["tenant", "code"]
    )
    for (tenant, code), count in access.refused.items():
        family.add_metric([tenant, code], count)
    return family


def _counters(name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_text, value=value)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=float(value))


def exposition(runtime: Runtime, relay: RelayCounters, access: Access, lines: Lines) -> bytes:
    """The text format of Prometheus, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(ProxyCollector(runtime, relay, access, lines))
    return generate_latest(registry)
