from __future__ import annotations

import dataclasses

import pytest

from gqlink.server import Limits

DEFAULTS = {
    "message_bytes": 65_536,
    "operation_id_bytes": 128,
    "init_seconds": 10.0,
    "authentications": 64,
    "sockets": 10_000,
    "sockets_per_address": 250,
    "sockets_per_identity": 100,
    "requests": 1_000,
    "operations_per_socket": 100,
    "messages_per_second": 200,
    "document_bytes": 8_192,
    "document_lines": 500,
    "document_tokens": 400,
    "document_operations": 10,
    "depth": 16,
    "aliases": 30,
    "directives": 50,
    "fragments": 50,
    "root_fields": 20,
    "repeated_fields": 10,
    "cost": 2_500,
    "variables_bytes": 32_768,
    "variables_values": 1_000,
    "execution_seconds": 30.0,
    "send_buffer_bytes": 262_144,
    "stall_seconds": 10.0,
    "documents": 1_000,
    "documents_characters": 262_144,
}


def test_the_defaults_are_these() -> None:
    """They are safe, and published: whoever changes one changes the reference too."""
    assert dataclasses.asdict(Limits()) == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_is_greater_than_nothing(name: str, value: int) -> None:
    """A bound that lets nothing through is a mistake, and its name is told."""
    with pytest.raises(ValueError, match=rf"Limits\.{name} must be greater than 0"):
        dataclasses.replace(Limits(), **{name: value})


def test_limits_cannot_be_changed() -> None:
    """What is in force was chosen at the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().documents = 5  # type: ignore[misc]


def test_every_limit_is_described() -> None:
    """Its name stands in the docstring."""
    for field in dataclasses.fields(Limits):
        assert f"    {field.name}: " in (Limits.__doc__ or "")
