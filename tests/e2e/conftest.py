"""Fixtures of the end-to-end tests."""

from tests.e2e.command_line import cli, demo_copy, demo_home

__all__ = ["cli", "demo_copy", "demo_home"]
