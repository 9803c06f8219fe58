"""What must hold before anything is made: every rule of `rules/`, in the order a reader would want the errors."""

from pyruntime.config.resources import Resources
from pyruntime.config.rules import confine, files, namespaces, sysctl
from pyruntime.config.rules import resources as resource_rules
from pyruntime.config.rules.process import validate_process
from pyruntime.config.spec import Config
from pyruntime.errors import ConfigError


def process_given(config: Config) -> None:
    """There is a process, and it is sound."""
    if config.process is None:
        raise ConfigError("process", "process property must not be empty")
    validate_process(config.process, "process")


def resources_sound(config: Config) -> None:
    """The limits agree with each other."""
    if config.linux.resources is not None:
        validate_resources(config.linux.resources, "linux.resources")


RULES = (
    *files.RULES,
    process_given,
    *namespaces.RULES,
    *sysctl.RULES,
    resources_sound,
    *confine.RULES,
)


def validate(config: Config) -> None:
    """Check a whole configuration without looking at the host. Raises ConfigError with the first thing wrong."""
    for rule in RULES:
        rule(config)


def validate_resources(resources: Resources, path: str, update: bool = False) -> None:
    """Check limits; in an update an absent limit keeps its old value, so less can be said. Raises ConfigError."""
    for rule in resource_rules.RULES_OF_UPDATE if update else resource_rules.RULES:
        rule(resources, path)
