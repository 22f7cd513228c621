"""Who may do what, and get which events: what the schema's directives demand, then one hook of the application.

The hook is asked when an operation arrives, over any transport, and twice more for every event: before its resolvers
run, and in the same synchronous step that sends it; so it sees who the connection speaks for now, and must not wait.
Whatever is not a plain yes is a refusal. What the directives demand is looked at wherever the hook is asked, before it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, OperationType

from gqlink.auth import Identity
from gqlink.errors import LoginRequired, PermissionDenied
from gqlink.server.logbook import log_event
from gqlink.server.requirements import NOTHING_REQUIRED, Requirements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql import DocumentNode, SelectionSetNode

    from gqlink.server.operation import Operation

__all__ = ("Policy", "PolicyEvent", "PolicyOperation", "authorize", "check_policy", "describe", "question")


@dataclass(frozen=True, slots=True)
class PolicyOperation:
    """What somebody asks for.

    Args:
        kind: Of which type its root fields are.
        name: The operation's own name, which its author has chosen; None where it has none.
        fields: The names of its root fields, each once, in the order of the document: those in fragments included,
            aliases resolved, `@skip` and `@include` taken no notice of. `__typename`, `__schema` and `__type` are
            among them.
        query: The whole document's text.
        variables: As they were sent, neither checked nor with defaults.
        requirements: What the schema's directives demand for it; whoever is asked about has it.
    """

    kind: Literal["query", "mutation", "subscription"]
    name: str | None = None
    fields: tuple[str, ...] = ()
    query: str = field(default="", repr=False)
    variables: Mapping[str, object] = field(default_factory=dict, repr=False)
    requirements: Requirements = NOTHING_REQUIRED


@dataclass(frozen=True, slots=True)
class PolicyEvent:
    """One event of a subscription, about to be resolved, or about to be sent.

    Args:
        operation: The subscription.
        data: What its source yielded: what the topic published, before any field was resolved.
    """

    operation: PolicyOperation
    data: object = field(default=None, repr=False)


Policy = Callable[[Identity, PolicyOperation | PolicyEvent], bool]
"""May this identity do this operation, or get this event? True is yes; False, `PermissionDenied` and `LoginRequired`
are no, and so is everything else."""


def check_policy(policy: Policy | None, identity: Identity, what: PolicyOperation | PolicyEvent) -> None:
    """See whether somebody has what the directives demand; then ask the policy, if there is one.

    Args:
        policy: The application's own; without one everything else is allowed.
        identity: Who asks, or would be told.
        what: What for.

    Raises:
        PermissionDenied: Scopes are missing, or the policy said no, or failed: a hook that crashes lets nobody through.
        LoginRequired: A login is missing, or the policy said so.
    """
    operation = what.operation if isinstance(what, PolicyEvent) else what
    try:
        operation.requirements.check(identity)
        allowed: object = True if policy is None else policy(identity, what)
    except (PermissionDenied, LoginRequired):
        raise
    # It cannot wait, so a cancellation is no more than another exception of its own.
    except (Exception, asyncio.CancelledError) as exc:
        log_event("policy_failed", "the policy failed, and so refuses", exc_info=True)
        raise PermissionDenied from exc
    if allowed is True:
        return
    if allowed is not False:
        # A coroutine above all, which would pass for true.
        log_event("policy_failed", "the policy returned %s, not a bool, and so refuses", type(allowed).__name__)
        if inspect.iscoroutine(allowed):
            allowed.close()
    raise PermissionDenied


def authorize(policy: Policy | None, identity: Identity, operation: Operation) -> bool:
    """Look at an operation that was prepared; see `check_policy`.

    Returns:
        Whether there was anything to look at; if not, nothing has happened meanwhile.

    Raises:
        PermissionDenied: Scopes are missing, or the policy said no, or failed.
        LoginRequired: A login is missing, or the policy said so.
    """
    asked = question(policy, operation)
    if asked is None:
        return False
    check_policy(policy, identity, asked)
    return True


def question(policy: Policy | None, operation: Operation) -> PolicyOperation | None:
    """Return what to ask about an operation; None where there is neither a policy nor anything demanded."""
    return describe(operation) if policy is not None or operation.requirements else None


def describe(operation: Operation) -> PolicyOperation:
    """Say of an operation what a policy needs to know, in time proportional to the document."""
    node = operation.node
    request = operation.request
    return PolicyOperation(
        kind=_KINDS[node.operation],
        name=None if node.name is None else node.name.value,
        fields=tuple(dict.fromkeys(_root_fields(node.selection_set, operation.document))),
        query=request.query,
        variables=MappingProxyType(dict(request.variables or {})),
        requirements=operation.requirements,
    )


_KINDS: Mapping[OperationType, Literal["query", "mutation", "subscription"]] = {
    OperationType.QUERY: "query",
    OperationType.MUTATION: "mutation",
    OperationType.SUBSCRIPTION: "subscription",
}


def _root_fields(selected: SelectionSetNode, document: DocumentNode) -> Iterable[str]:
    """Walk all selections on the root, each fragment once; with a stack, because fragments may nest deeply."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    waiting = list(reversed(selected.selections))
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            waiting += reversed(node.selection_set.selections)
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments.pop(node.name.value, None)
            waiting += reversed(fragment.selection_set.selections if fragment else ())
