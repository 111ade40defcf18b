"""What HTTP itself refuses, before any use case is asked.

HealError
├── MalformedError            400  the bytes are not what they claim to be
├── SlowBodyError             408  the body did not arrive in time
├── TooLargeError             413  the body is larger than the route takes
├── TargetTooLongError        414  path or query
├── UnsupportedMediaError     415  Content-Type or Content-Encoding
├── PreconditionRequiredError 428  a document that two people edit needs If-Match
├── HeadersTooLargeError      431
├── KeyRunningError           409  the first request with this Idempotency-Key is still being served
├── InvalidError
│   ├── CursorError           422  forged, or made for another list
│   └── KeyReusedError        422  the Idempotency-Key belongs to another request
└── UnavailableError
    ├── BusyError             503  too much in flight
    └── SlowAnswerError       503  no answer within the deadline
"""

from domain.errors import ConflictError, HealError, InvalidError, UnavailableError


class MalformedError(HealError):
    code, status = "malformed", 400

    def __init__(self, message: str, *, pointer: str = "", flaw: str = "malformed") -> None:
        super().__init__(message)
        self.pointer = pointer
        self.flaw = flaw


class SlowBodyError(HealError):
    code, status, retryable = "slow_body", 408, True


class TooLargeError(HealError):
    code, status = "too_large", 413


class TargetTooLongError(HealError):
    code, status = "target_too_long", 414


class UnsupportedMediaError(HealError):
    code, status = "unsupported_media", 415


class PreconditionRequiredError(HealError):
    code, status = "precondition_required", 428


class HeadersTooLargeError(HealError):
    code, status = "headers_too_large", 431


class KeyRunningError(ConflictError):
    code, retryable = "idempotency_key_running", True


class CursorError(InvalidError):
    code = "cursor"


class KeyReusedError(InvalidError):
    code = "idempotency_key_reused"


class BusyError(UnavailableError):
    code = "busy"


class SlowAnswerError(UnavailableError):
    code = "slow_answer"
