"""Counting: cheap for who counts, and shown under the names of the contract."""

import re

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from core.base.metrics import Histogram, Metrics, registry_of


def shown(metrics: Metrics) -> dict[str, float]:
    """What a scrape sees: the sample with its labels -> its value."""
    text = generate_latest(registry_of(metrics)).decode()
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_what_was_counted() -> None:
    metrics = Metrics()
    metrics.connections += 3
    metrics.deliveries += 7
    metrics.sends["ok"] += 2
    metrics.sends["rate_limited"] += 1
    metrics.queue_depth["inbox"] = lambda: 5
    metrics.peer_link_up["n2"] = 0
    metrics.errors["http"] += 1
    samples = shown(metrics)
    assert samples["trimaran_connections"] == 3
    assert samples["trimaran_deliveries_total"] == 7
    assert samples["trimaran_sends_total{result=ok}"] == 2
    assert samples["trimaran_sends_total{result=rate_limited}"] == 1
    assert samples["trimaran_queue_depth{queue=inbox}"] == 5
    assert samples["trimaran_peer_link_up{peer=n2}"] == 0
    assert samples["trimaran_errors_total{part=http}"] == 1


def test_a_histogram_counts_each_value_in_every_bucket_that_holds_it() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.0006, 0.3, 99.0):
        metrics.ack_seconds.observe(seconds)
    metrics.http_seconds["user", "/user-service/users/me"].observe(0.02)
    samples = shown(metrics)
    assert samples["trimaran_ack_seconds_bucket{le=0.0005}"] == 1
    assert samples["trimaran_ack_seconds_bucket{le=0.001}"] == 2
    assert samples["trimaran_ack_seconds_bucket{le=0.5}"] == 3
    assert samples["trimaran_ack_seconds_bucket{le=+Inf}"] == 4
    assert samples["trimaran_ack_seconds_count"] == 4
    assert abs(samples["trimaran_ack_seconds_sum"] - 99.3011) < 1e-9
    assert samples["trimaran_http_seconds_count{route=/user-service/users/me}{service=user}"] == 1


def test_a_bucket_holds_its_own_bound() -> None:
    histogram = Histogram((1, 2))
    for value in (0, 1, 1.5, 2, 3):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]


def test_every_metric_of_the_contract_is_there() -> None:
    text = generate_latest(registry_of(Metrics())).decode()
    names = set(re.findall(r"^# TYPE trimaran_(\w+) ", text, re.M))
    assert names >= {
        "connections", "sends_total", "deliveries_total", "append_seconds", "ack_seconds", "fanout_members",
        "outbox_bytes", "shed_total", "behind_total", "replayed_total", "slots_owned", "lease_changes_total",
        "peer_link_up", "invariant_violations_total", "rpc_seconds", "http_seconds", "queue_depth",
        "push_attempts_total",
    }  # fmt: skip


def test_every_count_is_shown() -> None:
    families = {re.sub("_total$", "", family.name) for family in registry_of(Metrics()).collect()}
    assert families == {f"trimaran_{name}" for name in Metrics.__slots__}


def test_two_processes_in_one_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.connections = 1
    assert shown(one)["trimaran_connections"] == 1
    assert shown(other)["trimaran_connections"] == 0
