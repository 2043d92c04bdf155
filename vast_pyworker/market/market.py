"""The market: everything a caller, an operator or the clock may do to the world.

One lock, plain data in and out. It knows no HTTP and no keys; whoever calls has settled whose
account it is. What Vast answers with 200 comes back as the object of the answer, also where it
says ``success: false``; what is refused raises ``MarketRefusal`` and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import passing
from .accounts.accounts import Accounts
from .accounts.billing import units
from .faults import blows
from .faults.book import FaultBook
from .gate import Gate
from .instances import actions, inside, launch_body, launching
from .offers.catalogue import Catalogue
from .offers.search import search
from .reports import instance_rows, listing, money_rows, summary
from .runtime import Runtime
from .supply.machines import Machine
from .world import keeping
from .world.clock import Clock
from .world.world import World

Answer = dict[str, Any]
Template = Mapping[str, Any] | None
Keys = Sequence[str]


class Market:
    """``account`` is always an account's id. Time is that of ``clock``, money is US dollars.

    The credit an account was opened with is read when it first appears; from then on the market
    writes ``account.credit`` whenever it looks at the clock, and ``add_credit`` changes it.
    ``template`` is the row of the template that a body names, which the caller has looked up.
    """

    def __init__(
        self,
        machines: Iterable[Machine],
        clock: Clock,
        runtime: Runtime,
        *,
        accounts: Accounts,
        seed: int = 0,
        faults: FaultBook | None = None,
        loading_median_s: float = 30.0,
    ) -> None:
        self.clock = clock
        self.accounts = accounts
        self.faults = FaultBook(seed) if faults is None else faults
        catalogue, now = Catalogue(machines), clock.now()
        world = World(catalogue, runtime, accounts, seed, loading_median_s, now)
        self._gate = Gate(world, clock, self.faults)

    def search(self, body: object) -> list[Answer]:
        """Offer rows for the body of a search."""
        with self._gate.call("search") as world:
            return search(world, body, world.now)

    def create(
        self,
        account: int,
        ask_id: int,
        body: object,
        *,
        template: Template = None,
        ssh_keys: Keys = (),
    ) -> Answer:
        """``{success, new_contract, instance_api_key}``; success false: it exists, but stands
        still. ``ssh_keys`` are put on it."""
        order = launch_body.read_order(body, template)
        with self._gate.creating("create", account) as (world, faults):
            return launching.create(world, account, ask_id, order, faults, ssh_keys)

    def bulk_create(
        self, account: int, body: object, *, template: Template = None, ssh_keys: Keys = ()
    ) -> Answer:
        """``{success, results, created, failed, elapsed}`` for up to 64 ``ids``."""
        with self._gate.creating("bulk_create", account) as (world, faults):
            return launching.bulk_create(world, account, body, template, faults, ssh_keys)

    def launch(
        self, account: int, body: object, *, template: Template = None, ssh_keys: Keys = ()
    ) -> Answer:
        """Search by ``q`` and create the first that can be had."""
        with self._gate.creating("launch", account) as (world, faults):
            return launching.launch(world, account, body, template, faults, ssh_keys)

    def list_instances(
        self,
        account: int,
        *,
        select_filters: object = None,
        order_by: object = None,
        limit: object = None,
        after_token: object = None,
        select_cols: object = None,
    ) -> Answer:
        """The whole envelope of GET /api/v1/instances/, arguments as decoded from its query."""
        with self._gate.call("list", account) as world:
            asked = listing.Asked(select_filters, order_by, limit, after_token, select_cols)
            return listing.list_page(world, account, asked)

    def all_instances(self, account: int) -> list[Answer]:
        """Every full row, by id; for the old v0 list."""
        with self._gate.call("list", account) as world:
            return [instance_rows.instance_row(world, each) for each in world.of_account(account)]

    def instance_filters(self, account: int) -> list[Answer]:
        """Distinct ``{actual_status, verification, gpu_name}``."""
        with self._gate.call("other", account) as world:
            return listing.distinct(world, account)

    def show(self, account: int, instance_id: int) -> Answer | None:
        """The full row; None for what is unknown, gone or another's."""
        with self._gate.call("show", account, instance_id) as world:
            contract = world.mine(account, instance_id)
            return instance_rows.instance_row(world, contract) if contract else None

    def logs(
        self,
        account: int,
        instance_id: int,
        *,
        tail: object = None,
        filter: object = None,
        daemon: bool = False,
    ) -> str:
        """The newest output; the daemon's ends with the fingerprint of the SSH host key."""
        last, pattern = inside.log_filter(tail, filter)
        with self._gate.call("logs", account, instance_id) as world:
            contract = inside.for_logs(world, account, instance_id)
        text = world.runtime.logs(contract.id, daemon=daemon)
        return inside.cut_log(text + inside.host_key_line(contract, daemon), last, pattern)

    def execute(self, account: int, instance_id: int, command: object) -> str:
        """The output of ls, rm or du in a stopped instance's directory."""
        with self._gate.call("execute", account, instance_id) as world:
            checked = inside.for_command(world, account, instance_id, command)
        return world.runtime.execute(instance_id, checked)

    def set_state(self, account: int, instance_id: int, state: object) -> Answer:
        call = "start" if state == "running" else "stop"
        with self._gate.call(call, account, instance_id) as world:
            return actions.set_state(world, account, instance_id, state)

    def set_state_many(self, account: int, ids: object, state: object) -> Answer:
        with self._gate.call("bulk_state", account) as world:
            return actions.set_state_many(world, account, ids, state)

    def set_label(self, account: int, instance_id: int, label: object) -> Answer:
        with self._gate.call("label", account, instance_id) as world:
            return actions.set_label(world, account, instance_id, label)

    def reboot(self, account: int, instance_id: int) -> Answer:
        with self._gate.call("reboot", account, instance_id) as world:
            return actions.reboot(world, account, instance_id)

    def recycle(self, account: int, instance_id: int) -> Answer:
        with self._gate.call("recycle", account, instance_id) as world:
            return actions.recycle(world, account, instance_id)

    def change_bid(self, account: int, instance_id: int, price: object) -> Answer:
        with self._gate.call("bid", account, instance_id) as world:
            return actions.change_bid(world, account, instance_id, price)

    def prepay(self, account: int, instance_id: int, amount: object) -> Answer:
        with self._gate.call("other", account, instance_id) as world:
            return actions.prepay(world, account, instance_id, amount)

    def update_template(
        self, account: int, instance_id: int, body: object, *, template: Template = None
    ) -> Answer:
        with self._gate.call("other", account, instance_id) as world:
            return actions.update_template(world, account, instance_id, body, template)

    def destroy(self, account: int, instance_id: int) -> Answer:
        with self._gate.call("destroy", account, instance_id) as world:
            return actions.destroy(world, account, instance_id)

    def destroy_many(self, account: int, ids: object) -> Answer:
        with self._gate.call("bulk_destroy", account) as world:
            return actions.destroy_many(world, account, ids)

    def ssh_attach(self, account: int, instance_id: int, ssh_key: object) -> Answer:
        with self._gate.call("ssh_attach", account, instance_id) as world:
            return inside.ssh_attach(world, account, instance_id, ssh_key)

    def ssh_list(self, account: int, instance_id: int) -> Answer:
        """``{success, ssh_keys: <JSON text>}``."""
        with self._gate.call("ssh_list", account, instance_id) as world:
            return inside.ssh_list(world, account, instance_id)

    def ssh_detach(self, account: int, instance_id: int, key_id: int) -> Answer:
        with self._gate.call("ssh_detach", account, instance_id) as world:
            return inside.ssh_detach(world, account, instance_id, key_id)

    def balance(self, account: int, instance_id: int) -> Answer:
        """``{success, refundable_deposit, total_discount, discount_months}`` ("show deposit")."""
        with self._gate.call("balance", account, instance_id) as world:
            return actions.balance(world, account, instance_id)

    def credit(self, account: int) -> float:
        """What may be spent now, dollars; negative once only disks are billed."""
        with self._gate.call("user", account) as world:
            return money_rows.credit(world, account)

    def add_credit(self, account: int, usd: float, *, service: str = "transfer") -> None:
        """Dollars in, or out where below 0."""
        with self._gate.now() as world:
            world.purse(account).pay(units(usd), world.now, service)
            self._gate.caught_up()

    def spend_rate(self, account: int) -> Answer:
        """The object of GET /users/spend-rate/."""
        with self._gate.call("spend_rate", account) as world:
            return money_rows.spend_rate(world, account)

    def charges(
        self, account: int, *, since: float = 0.0, until: float | None = None
    ) -> list[Answer]:
        """``{contract_id, kind, start, end, quantity, rate, amount}`` for each charge, clipped to
        the time; kinds are gpu and storage (hours), upload and download (GB)."""
        with self._gate.call("charges", account) as world:
            return money_rows.charges(world, account, since, until)

    def payments(self, account: int) -> list[Answer]:
        """One row per credit: ``{id, when, amount, service}``, oldest first."""
        with self._gate.call("invoices", account) as world:
            return money_rows.payments(world, account)

    def bill(self, account: int) -> Answer:
        """``{paid, charged, credit, by_kind, by_instance}``; paid - charged is credit."""
        with self._gate.now() as world:
            return money_rows.bill(world, account)

    def price_increases(self, account: int) -> Answer:
        with self._gate.call("price_increases", account) as world:
            return money_rows.increases(world, account)

    def accept_price_increase(self, account: int, pending_id: object) -> Answer:
        with self._gate.call("price_increases", account) as world:
            return actions.accept_increase(world, account, pending_id)

    def reject_price_increase(self, account: int, pending_id: object) -> Answer:
        with self._gate.call("price_increases", account) as world:
            return actions.reject_increase(world, account, pending_id)

    def tick(self) -> None:
        """The ends of processes, and what time has made due, which every call here does by itself.
        To be called about twice a second."""
        with self._gate.now() as world:
            passing.reap(world)

    def advance(self, seconds: float) -> float:
        """Moves the clock on, does what became due, and returns the new time."""
        with self._gate.now():
            self.clock.advance(seconds)
            return self._gate.caught_up().now

    def strike(
        self,
        kind: object,
        instance_id: int | None = None,
        *,
        account: int | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """A world fault at once, or in ``params["after_s"]``; on any instance where none is named.
        ``{kind, instance_id, done}``: done is False where it does not fit, None for later."""
        with self._gate.now() as world:
            return blows.strike(world, kind, instance_id, account, params or {})

    def summary(self) -> Answer:
        """For the page: hosts, GPUs, instances by status, money."""
        with self._gate.now() as world:
            return summary.summary(world)

    def state(self) -> Answer:
        """Everything here as JSON values, for ``restore``."""
        with self._gate.now() as world:
            return keeping.dump(world)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what ``state`` was called on, its time included; only a fresh market can.
        SettingError for the state of another one."""
        with self._gate.now() as world:
            keeping.restore(world, state)
            self.clock.advance(max(world.now - self.clock.now(), 0.0))
            self._gate.caught_up()

    def close(self) -> None:
        """Ends the runtime. The state stays as it is."""
        self._gate.world.runtime.close()
