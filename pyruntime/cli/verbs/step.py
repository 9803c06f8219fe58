"""`step`: make a container one step at a time, and look at it in between."""

import os
import sys

from pyruntime.cli.context import Context
from pyruntime.cli.grammar import parse
from pyruntime.cli.verbs import run as run_verb
from pyruntime.errors import Error, StepError, UsageError, explain_oserror
from pyruntime.look.step.session import LEFT, Session
from pyruntime.look.step.talk import Talk
from pyruntime.look.step.whatif import change_of
from pyruntime.pathtext import absolute


def run(context: Context) -> int:
    """step BUNDLE ID."""
    options = context.options
    folder, container_id = context.arguments
    change = change_of(options.text("what-if"))
    script = _script(options.text("script"))
    auto = options.flag("auto")
    if not auto and not script and not sys.stdin.isatty():
        raise UsageError("step: there is no terminal to ask; give --auto, or --script FILE")
    talk = Talk(container_id, absolute(folder), script, auto)
    asked = parse(["pyruntime", "run", "--bundle", folder, "--", container_id])
    asked.globals = context.globals
    context.config_file = f"{absolute(folder)}/config.json"
    try:
        return run_verb.run(Context(asked, context.log, Session(talk.decide, change)))
    except StepError as error:
        if error.text.startswith(LEFT):
            return 0
        raise


def _script(file: "str | None") -> "list[str]":
    """The lines of a script, without comments; an empty line is Enter. Raises Error."""
    if file is None:
        return []
    try:
        with open(os.path.abspath(file), encoding="utf-8") as text:
            return [line.partition("#")[0].strip() for line in text.read().splitlines() if not line.startswith("#")]
    except OSError as error:
        raise Error(f"step --script: {explain_oserror(error)}") from None
