"""What a process counts about itself: numbers that the hot path raises, and the form in which Prometheus reads them.

Counting takes no lock and calls nothing: `metrics.deliveries += 1`, `metrics.sends["ok"] += 1`,
`metrics.ack_seconds.observe(s)`. All of it belongs to the Trio thread. The names that others see are a contract: they
are added, never changed.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MEMBERS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Histogram:
    """How often a value fell into each bucket; `bounds` are the buckets' greatest values, rising."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds: Final = tuple(bounds)
        self.counts: Final = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """The upper bound of each bucket as text, and how many values were at most that."""
        sums, so_far = [], 0
        for bound, count in zip((*map(str, map(float, self.bounds)), "+Inf"), self.counts):
            so_far += count
            sums.append((bound, float(so_far)))
        return sums


class Histograms(defaultdict[tuple[str, str], Histogram]):
    """A histogram for each pair of labels, made at its first use. Who labels bounds how many there can be."""

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(lambda: Histogram(bounds))


class Metrics:
    """The counts of one process: a number, or where there is a label a dict by the label's value."""

    __slots__ = (
        "ack_seconds", "append_seconds", "behind", "connections", "deliveries", "errors", "fanout_members",
        "http_seconds", "invariant_violations", "lease_changes", "outbox_bytes", "peer_link_up", "push_attempts",
        "queue_depth", "replayed", "rpc_seconds", "sends", "shed", "slots_owned",
    )  # fmt: skip

    def __init__(self) -> None:
        # Gauges: what is.
        self.connections = 0
        self.outbox_bytes = 0
        self.slots_owned = 0
        self.peer_link_up: defaultdict[str, int] = defaultdict(int)
        self.queue_depth: dict[str, Callable[[], int]] = {}
        """By queue: how long it is, asked only when someone looks."""

        # Counters: what was.
        self.deliveries = 0
        self.behind = 0
        self.replayed = 0
        self.lease_changes = 0
        self.sends: defaultdict[str, int] = defaultdict(int)
        """By result: `ok`, `duplicate`, or the `code` of the error."""
        self.shed: defaultdict[str, int] = defaultdict(int)
        self.invariant_violations: defaultdict[str, int] = defaultdict(int)
        self.push_attempts: defaultdict[str, int] = defaultdict(int)
        self.errors: defaultdict[str, int] = defaultdict(int)
        """By the part of the process where something of ours failed that should not."""

        # Histograms: how much, how long.
        self.append_seconds: Final = Histogram(SECONDS)
        self.ack_seconds: Final = Histogram(SECONDS)
        self.fanout_members: Final = Histogram(MEMBERS)
        self.rpc_seconds: Final = Histograms(SECONDS)
        self.http_seconds: Final = Histograms(SECONDS)


class Exposition:
    """Shows `Metrics` to prometheus_client, which asks for them at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator["Metric"]:
        """All metrics as they are now."""
        metrics = self._metrics
        yield _gauge("connections", "Live WebSocket connections.", metrics.connections)
        yield _gauge("outbox_bytes", "Bytes that wait for clients to take them.", metrics.outbox_bytes)
        yield _gauge("slots_owned", "Slots whose lease this node holds.", metrics.slots_owned)
        yield _gauge("peer_link_up", "1 where the link to a peer stands.", metrics.peer_link_up, "peer")
        depths = {queue: depth() for queue, depth in metrics.queue_depth.items()}
        yield _gauge("queue_depth", "Items that wait in a queue.", depths, "queue")

        yield _counter("deliveries", "Entries given to connections.", metrics.deliveries)
        yield _counter("behind", "Times a slow connection was marked behind.", metrics.behind)
        yield _counter("replayed", "Entries given in replays.", metrics.replayed)
        yield _counter("lease_changes", "Slots taken or given up.", metrics.lease_changes)
        yield _counter("sends", "Sends by result.", metrics.sends, "result")
        yield _counter("shed", "Frames left out for slow connections.", metrics.shed, "kind")
        yield _counter("invariant_violations", "Must stay 0.", metrics.invariant_violations, "invariant")
        yield _counter("push_attempts", "Attempts to push a notification.", metrics.push_attempts, "result")
        yield _counter("errors", "Failures of ours.", metrics.errors, "part")

        yield _histogram("append_seconds", "An append, from call to outcome.", metrics.append_seconds)
        yield _histogram("ack_seconds", "A send, from frame in to ack out.", metrics.ack_seconds)
        yield _histogram("fanout_members", "Members that an entry goes to.", metrics.fanout_members)
        yield _histogram("rpc_seconds", "A call to a service.", metrics.rpc_seconds, ("service", "method"))
        yield _histogram("http_seconds", "A request, without its transfer.", metrics.http_seconds, ("service", "route"))


def registry_of(metrics: Metrics) -> "CollectorRegistry":
    """A registry of its own for one process's metrics, so that tests and several routers in one process do not meet."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Exposition(metrics))
    return registry


# prometheus_client takes 50 ms to import, and only who serves /metrics needs it.


def _gauge(name: str, says: str, value: float | dict[str, int], label: str | None = None) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"trimaran_{name}", says, labels=[label] if label else None)
    for labels, number in _samples(value):
        family.add_metric(labels, number)
    return family


def _counter(name: str, says: str, value: float | dict[str, int], label: str | None = None) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"trimaran_{name}", says, labels=[label] if label else None)
    for labels, number in _samples(value):
        family.add_metric(labels, number)
    return family


def _samples(value: float | dict[str, int]) -> Iterator[tuple[list[str], float]]:
    if isinstance(value, dict):
        yield from (([labelled], number) for labelled, number in sorted(value.items()))
    else:
        yield [], value


def _histogram(name: str, says: str, value: Histogram | Histograms, labels: Sequence[str] = ()) -> "Metric":
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(f"trimaran_{name}", says, labels=labels)
    for key, histogram in sorted(value.items()) if isinstance(value, Histograms) else [((), value)]:
        family.add_metric(list(key), histogram.buckets(), histogram.total)
    return family
