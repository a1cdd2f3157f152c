"""A registry on a real file, and two workers that say what a test has them say."""

from pathlib import Path

from sqlalchemy import Connection, text

from registry import promotion
from registry.fleet import JOINING, IsLive, WorkerRow
from registry.ledger import RouteLedger
from registry.promotion import PromotionOrder
from registry.route import ModelState, OpenSwitch
from registry.sql_store import SqlRegistryStore
from registry.switches import Cause, Report, Switch
from registry.wire import CreateModel, CreateVersion
from tracking.clock import now_ms
from tracking.database import Database, open_database

WORKERS = ("w0", "w1")
TIMEOUT_MS = 60_000


class FleetOfTwo:
    """Two serving workers over one database; the dead are not live."""

    def __init__(self, database: Database, *, versions: int = 3) -> None:
        self.database = database
        self.dead: set[str] = set()
        self.ledger = RouteLedger(database, switch_timeout_s=TIMEOUT_MS / 1000)
        self.store = SqlRegistryStore(database, seal=lambda _model, _version: None, actor="ann")
        self.store.create_model(CreateModel(name="A"))
        for _ in range(versions):
            self.add_version()
        for index, worker in enumerate(WORKERS):
            self.ledger.join(worker_row(worker, index), self.is_live)
            self.ledger.start_serving(worker, {"A": self.state.epoch}, self.is_live)

    @property
    def state(self) -> ModelState:
        return self.ledger.states()["A"]

    @property
    def open_switch(self) -> OpenSwitch:
        switch = self.state.switch
        if switch is None:
            raise LookupError("no switch is open")
        return switch

    @property
    def is_live(self) -> IsLive:
        return lambda row: row.id not in self.dead

    @property
    def stages(self) -> dict[int, str]:
        return {number: record.stage for number, record in self.state.records.items()}

    def add_version(self, *, is_sealed: bool = True) -> int:
        source = "s3://bucket/m"
        made = self.store.create_version(CreateVersion(name="A", source=source))
        if is_sealed:
            seal = text("UPDATE model_version SET digest = 'd' || version WHERE version = :v")
            self.database.write(lambda c: c.execute(seal, {"v": int(made.version)}) and None)
        return int(made.version)

    def promote(self, order: PromotionOrder) -> Switch:
        def work(connection: Connection) -> Switch:
            plan = promotion.plan_promotion(connection, order)
            cause = Cause("ann", "better", now_ms())
            return promotion.promote(connection, plan, cause, timeout_ms=TIMEOUT_MS)

        return self.database.write(work)

    def say(self, worker: str, failures: dict[int, str] | None = None) -> None:
        report = Report(switch=self.open_switch.seq, worker=worker, failures=failures or {})
        self.ledger.report(report, self.is_live)

    def all_prepared(self) -> None:
        for worker in WORKERS:
            self.say(worker)


def fleet_on_file(folder: Path) -> FleetOfTwo:
    return FleetOfTwo(open_database(f"sqlite:///{folder / 'registry.db'}"))


def worker_row(worker: str, index: int) -> WorkerRow:
    at = now_ms()
    return WorkerRow(worker, "here", index, 1, JOINING, at, at)
