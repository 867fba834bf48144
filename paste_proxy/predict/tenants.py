"""The predictor of many tenants: one `PatternPredictor` for each, over its own ledger."""

from collections.abc import Iterable, Sequence

from paste_proxy.predict.model import Call, Candidate, History, TurnPredictor
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.tables import Tables


class TenantPredictor:
    """Implements `Predictor`; whose a session is says its history."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._predictors: dict[str, PatternPredictor] = {}

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        self._of(history.tenant).learn(history, calls)

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self._of(history.tenant).predict(history, tools, limit)

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        return self._of(history.tenant).begin(history, tools)

    def _of(self, tenant: str) -> PatternPredictor:
        ledger, predictor = self._tables.of(tenant), self._predictors.get(tenant)
        if predictor is None or predictor.ledger is not ledger:
            predictor = self._predictors[tenant] = PatternPredictor(ledger)
            for gone in self._predictors.keys() - self._tables.tenants:
                del self._predictors[gone]
        return predictor
