"""`setup`: tell an engine of us, or show what there is to tell."""

import os

from pyruntime.cli.context import Context, write_out
from pyruntime.errors import UsageError
from pyruntime.look.setup.places import ENGINES, Plan, program
from pyruntime.look.setup.snippets import RUNTIME_CLASS


def run(context: Context) -> int:
    """setup ENGINE."""
    options = context.options
    name, write, undo = context.arguments[0], options.flag("write"), options.flag("undo")
    if name == "k8s":
        write_out(RUNTIME_CLASS)
        return 0
    if name not in ENGINES:
        raise UsageError(f"setup {name}: expected one of {', '.join(ENGINES)} or k8s")
    if write and undo:
        raise UsageError("setup: --write and --undo are each other's opposite")
    host = (options.text("host") or "").rstrip("/")
    if host and not os.path.isdir(host):
        raise UsageError(f"setup --host {host}: no such directory; name the place where the host's root is mounted")
    plan = ENGINES[name](host, options.text("program") or program())
    if undo:
        return _undo(plan)
    return _write(plan) if write else _show(plan)


def _show(plan: Plan) -> int:
    write_out(
        f"# {plan.found}\n# would {plan.change.verb()} {plan.change.path}      (do it: --write; take it back: --undo)\n"
        f"{plan.change.shown}# then: {plan.then}\n"
    )
    return 0


def _write(plan: Plan) -> int:
    verb = {"make": "made", "add to": "added to"}[plan.change.verb()]
    plan.change.write()
    write_out(f"{plan.found}\n{verb} {plan.change.path}\nthen: {plan.then}\n")
    return 0


def _undo(plan: Plan) -> int:
    done = plan.change.undo()
    write_out(f"{plan.change.path}: {'as it was before' if done else 'nothing of ours was there'}\n")
    return 0
