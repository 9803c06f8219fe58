"""The host made of folders, for every test here."""

from tests.look.doctor.facts import host

__all__ = ["host"]
