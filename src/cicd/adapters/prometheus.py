"""Queries of a Prometheus server, by its HTTP API. It is asked and never needed: what is wrong with it is told."""

import json
from dataclasses import dataclass

from cicd.adapters.http import Late, exchange
from cicd.core.conditions import number_of


@dataclass(frozen=True)
class Prometheus:
    """A server.

    Attributes:
        url: its root, such as `http://127.0.0.1:9090`.
        within: seconds for each answer.
        token: bearer token; empty for none.
    """

    url: str
    within: float
    token: str = ""

    def ask(self, query: str) -> tuple[float | None, str]:
        """The one number that a query gives now, and why there is none; both empty where there is no data yet.

        Asked with POST, as long queries want: https://prometheus.io/docs/prometheus/latest/querying/api/.
        """
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {self.token}"} if self.token else {})
        form = {"query": query, "timeout": f"{self.within:g}s"}
        url = f"{self.url.rstrip('/')}/api/v1/query"
        try:
            answer = exchange("POST", url, headers, form=form, timeout=self.within)
            if answer.status in (401, 403):
                return None, f"Prometheus refuses us ({answer.status}): give CICD_PROMETHEUS_TOKEN"
            return number_of(json.loads(answer.body))
        except Late:
            return None, f"Prometheus did not answer within {self.within:g} s"
        except OSError as error:
            return None, f"Prometheus did not answer: {type(error).__name__}"
        except ValueError:
            return None, f"it does not answer as Prometheus does (status {answer.status})"
