"""All there is to find in a document, and in a bundle."""

import os
from collections.abc import Callable, Iterator
from functools import partial

from pyruntime.cli.context import Context
from pyruntime.cli.names import numbered
from pyruntime.config import validate as rules
from pyruntime.config.jsontext import load, parse
from pyruntime.config.rules import process as process_rules
from pyruntime.config.rules import resources as resource_rules
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError, Error, explain_oserror
from pyruntime.look.explain import REFUSED, Explained, explain
from pyruntime.look.lint import doubts, finding, schema, words
from pyruntime.look.lint.finding import ERROR, NOTE, Finding
from pyruntime.look.lint.places import lines


class Report:
    """The findings about one file, and the lines of its paths."""

    def __init__(self, file: str, found: "list[Finding]", places: "dict[str, int]") -> None:
        self.file = file
        self.found = found
        self.places = places


def document(file: str) -> Report:
    """Check a configuration file and nothing around it. Raises Error when it can't be read."""
    try:
        data = load(file, file)
    except OSError as error:
        raise Error(f"check: {explain_oserror(error)}; name a bundle, or a file with --config") from None
    try:
        value = parse(data, file)
        if not isinstance(value, dict):
            raise ConfigError(file, "expected a JSON object")
    except ConfigError as error:
        return Report(file, [finding.error("", error.text)], {})
    return Report(file, of(value), lines(data.decode()))


def of(value: "dict[str, object]") -> "list[Finding]":
    """What is to be said of a configuration that was parsed: every error, and doubts where its form is right."""
    found = schema.read(value)
    if any(item.level == ERROR for item in found):
        return found
    config = Config.read(value, "")
    return [*found, *_ruled(config), *words.read(config), *doubts.read(config)]


def _ruled(config: Config) -> "Iterator[Finding]":
    """What the rules of `create` say, each of them; where one has parts, each part."""
    for rule in rules.RULES:
        for check in _parts(rule, config):
            try:
                check()
            except ConfigError as error:
                yield finding.error(error.path, error.text.removeprefix(f"{error.path}: "))


def _parts(rule: "Callable[[Config], None]", config: Config) -> "list[Callable[[], None]]":
    process, resources = config.process, config.linux.resources
    if rule is rules.process_given and process is not None:
        return [partial(part, process, "process") for part in process_rules.RULES]
    if rule is rules.resources_sound and resources is not None:
        return [partial(part, resources, "linux.resources") for part in resource_rules.RULES]
    return [partial(rule, config)]


def bundle(context: Context, folder: str) -> Report:
    """Check a bundle: its configuration, and what that names in it and on this host. Raises Error."""
    report = document(os.path.join(folder, "config.json"))
    _number_names(report)
    if any(item.level == ERROR for item in report.found):
        return report
    known = {item.path for item in report.found}
    try:
        more = list(_around(explain(context, folder)))
    except ConfigError as error:
        more = [finding.error(error.path, error.text.removeprefix(f"{error.path}: "))]
    except Error as error:
        more = [finding.error("", error.text)]
    report.found += [item for item in more if item.path not in known]
    return report


def _number_names(report: Report) -> None:
    for item in report.found:
        if item.level == ERROR and item.path.startswith("process.user."):
            wrong = ConfigError(item.path, item.problem)
            item.problem = numbered(wrong, report.file).text.removeprefix(f"{item.path}: ")


def _around(explained: Explained) -> "Iterator[Finding]":
    """The warnings of `explain` that are about this host or the bundle's files."""
    for text in explained.warnings:
        if text.startswith(REFUSED):
            path, colon, problem = text.removeprefix(REFUSED).partition(": ")
            plain = colon and " " not in path
            told = problem if plain else text.removeprefix(REFUSED)
            yield Finding(ERROR if path == "root.path" else NOTE, path if plain else "", told)
