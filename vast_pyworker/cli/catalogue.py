"""The table of commands: what there is, where it stands, and its sentence in the help.

The sentences are the first lines of the commands' own help, so that ``--help`` imports none of
them.
"""

from __future__ import annotations

from .lazy import Entry

WORKER = "Worker"
RENTING = "Renting at Vast.ai"
SERVERLESS = "Serverless and account"
CONTROLLER = "Controller"
MARKET = "Trying without an account"

COMMANDS = (
    Entry("serve", WORKER, "worker:serve", "Be the worker of BACKEND, in the foreground."),
    Entry("dev", WORKER, "worker:dev", "Be the worker of BACKEND at a desk, anew on each change."),
    Entry("init", WORKER, "worker:init", "Write a new backend NAME, to change from there."),
    Entry("check", WORKER, "worker:check", "Put BACKEND through the contract suite."),
    Entry("routes", WORKER, "worker:routes", "List the routes of BACKEND, and the worker's own."),
    Entry("doctor", WORKER, "worker:doctor", "Look at everything that a worker needs."),
    Entry("settings", WORKER, "worker:settings", "List every setting: name, type, default."),
    Entry("offers", RENTING, "offers:offers", "Search what can be rented."),
    Entry("rent", RENTING, "rent:rent", "Rent an offer by its number, or the best by a query."),
    Entry("instances", RENTING, "instances:instances", "List what is rented."),
    Entry("show", RENTING, "instances:show", "Show one instance in full."),
    Entry("start", RENTING, "acting:start", "Start stopped instances."),
    Entry("stop", RENTING, "acting:stop", "Stop instances; their disks stay and are billed."),
    Entry("reboot", RENTING, "acting:reboot", "Stop and start the containers of instances."),
    Entry("recycle", RENTING, "acting:recycle", "Make the containers of instances anew."),
    Entry("label", RENTING, "acting:label", "Label an instance."),
    Entry("bid", RENTING, "acting:bid", "Change the bid of an interruptible instance."),
    Entry("destroy", RENTING, "destroying:destroy", "Destroy instances, with their data."),
    Entry("logs", RENTING, "inside:logs", "Print the log of an instance."),
    Entry("execute", RENTING, "inside:execute", "Run ls, rm or du on a stopped instance."),
    Entry("ssh-keys", RENTING, "ssh_keys:ssh_keys", "Keys of the account and of instances."),
    Entry(
        "templates", SERVERLESS, "templates:templates", "Templates: list, create, update, delete."
    ),
    Entry("endpoints", SERVERLESS, "endpoints:endpoints", "Endpoints of Vast's own autoscaler."),
    Entry(
        "workergroups", SERVERLESS, "workergroups:workergroups", "Groups of workers of an endpoint."
    ),
    Entry(
        "balance",
        SERVERLESS,
        "balance:balance",
        "Credit, spending per hour, and how long it lasts.",
    ),
    Entry("plan", CONTROLLER, "controlling:plan", "Print what would be done now, and its cost."),
    Entry("controller", CONTROLLER, "controlling:controller", "Be the controller of groups.toml."),
    Entry("import", CONTROLLER, "controlling:import_", "Turn a magister.toml into a groups.toml."),
    Entry(
        "status",
        CONTROLLER,
        "watching:status",
        "Show every group of a controller: wanted, ready, load, cost.",
    ),
    Entry("ps", CONTROLLER, "watching:ps", "List the instances of a controller, or of one GROUP."),
    Entry(
        "scale",
        CONTROLLER,
        "commanding:scale",
        "Hold a GROUP at N instances; auto gives it back to its policy.",
    ),
    Entry(
        "drain",
        CONTROLLER,
        "commanding:drain",
        "Give instances no new requests, then destroy them.",
    ),
    Entry(
        "hold",
        CONTROLLER,
        "commanding:hold",
        "Have nothing done to instances until they are released.",
    ),
    Entry("release", CONTROLLER, "commanding:release", "End the hold of instances."),
    Entry(
        "drop",
        CONTROLLER,
        "commanding:drop",
        "Destroy instances now, and avoid their machines for a while.",
    ),
    Entry(
        "spend",
        CONTROLLER,
        "watching:spend",
        "Show what a controller has spent, against its limits.",
    ),
    Entry(
        "why",
        CONTROLLER,
        "watching:why",
        "Explain the last decision about a GROUP by what it was made from.",
    ),
    Entry("events", CONTROLLER, "watching:events", "Follow what a controller says, as it says it."),
    Entry("keys", CONTROLLER, "commanding:keys", "Keys of a controller: list, create, revoke."),
    Entry("market", MARKET, "market:market", "Be a marketplace on this machine."),
)
