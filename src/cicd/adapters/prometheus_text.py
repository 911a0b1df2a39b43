"""Metrics as Prometheus reads them: as text, and served over HTTP. The only user of prometheus_client."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cicd.core.metrics import Family


class _Families(Collector):
    """What a function gives at each scrape."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return map(_metric, self._families())

    def describe(self) -> Iterable[Metric]:
        return []  # else it is collected once when it is registered


def _metric(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    names = list(family.samples[0].labels) if family.samples else []
    made = kind(family.name, family.about, labels=names)
    for sample in family.samples:
        made.add_metric([sample.labels[name] for name in names], sample.value)
    return made


def text(families: Sequence[Family]) -> str:
    """Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Families(lambda: families))
    return generate_latest(registry).decode()


@contextmanager
def served(host: str, port: int, families: Callable[[], Iterable[Family]]) -> Iterator[int]:
    """Answer scrapes until the block ends; gives the port. Raises OSError when the address cannot be had."""
    registry = CollectorRegistry()
    registry.register(_Families(families))
    server, thread = start_http_server(port, host, registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
