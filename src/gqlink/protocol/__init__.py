"""What is said on the wire: both subprotocols as tables, no I/O, no clock.

`tables` holds the rules, `dialects` the two ways to spell them, `server` and `client` the two halves of a
conversation, `closing` the close codes with the verdict a client draws from each, `additions` what gqlink adds.
"""

from gqlink.protocol.additions import (
    AckAddition,
    Renewal,
    RenewalOutcome,
    ack_payload,
    outcome_payload,
    read_ack,
    read_outcome,
    read_renewal,
    renewal_payload,
)
from gqlink.protocol.client import ClientConnection
from gqlink.protocol.closing import (
    CLOSINGS,
    CloseCode,
    Closing,
    Verdict,
    clip_reason,
    closing_verdict,
    handshake_verdict,
    is_sendable,
)
from gqlink.protocol.dialects import DIALECTS, LEGACY, TRANSPORT_WS, Dialect, choose_dialect
from gqlink.protocol.frames import (
    AckReceived,
    Close,
    Closed,
    CompleteReceived,
    ErrorReceived,
    Event,
    ExecutionResult,
    Frame,
    InitReceived,
    KeepAliveReceived,
    NextReceived,
    PingReceived,
    PongReceived,
    RefusalReceived,
    Request,
    SubscribeReceived,
    Text,
)
from gqlink.protocol.redaction import describe_token, redact, redact_text
from gqlink.protocol.server import ConnectionLimits, ServerConnection
from gqlink.protocol.tables import AFTER, Kind, Phase, Side

__all__ = (
    "AFTER",
    "CLOSINGS",
    "DIALECTS",
    "LEGACY",
    "TRANSPORT_WS",
    "AckAddition",
    "AckReceived",
    "ClientConnection",
    "Close",
    "CloseCode",
    "Closed",
    "Closing",
    "CompleteReceived",
    "ConnectionLimits",
    "Dialect",
    "ErrorReceived",
    "Event",
    "ExecutionResult",
    "Frame",
    "InitReceived",
    "KeepAliveReceived",
    "Kind",
    "NextReceived",
    "Phase",
    "PingReceived",
    "PongReceived",
    "RefusalReceived",
    "Renewal",
    "RenewalOutcome",
    "Request",
    "ServerConnection",
    "Side",
    "SubscribeReceived",
    "Text",
    "Verdict",
    "ack_payload",
    "choose_dialect",
    "clip_reason",
    "closing_verdict",
    "describe_token",
    "handshake_verdict",
    "is_sendable",
    "outcome_payload",
    "read_ack",
    "read_outcome",
    "read_renewal",
    "redact",
    "redact_text",
    "renewal_payload",
)
