"""Everything that can be refused, and how.

HealError
├── InvalidError                 422  a value that is well formed and still makes no sense
│   └── PipelineFileError        422  a pipeline file, with file, line and reason
├── UnauthenticatedError         401  no credential, or one that does not count
├── ForbiddenError               403  known, and not allowed to
│   └── SeparationOfDutiesError  403  had a hand in the plan, so cannot decide on it
├── NotFoundError                404  unknown or another org's; nobody can tell which
├── ConflictError                409
│   ├── ApprovalClosedError      409  expired, decided, or about another plan
│   ├── StalePlanError           409  the world is no longer what the plan was made for
│   ├── GrantUsedError           409  a grant counts once
│   ├── StoppedError             409  a kill switch is engaged
│   └── LeaseLostError           409  another worker holds the target now
├── PreconditionFailedError      412  If-Match names an older version
├── QuotaExceededError           429  retry later
│   └── OverloadedError          429  nobody's quota: as much as is taken in at once
└── UnavailableError             503  retry later: database, policy engine or workflow engine out of reach
"""


class HealError(Exception):
    """A refusal with a code for machines and a sentence for people."""

    code = "internal"
    status = 500
    retryable = False


class InvalidError(HealError):
    code, status = "invalid", 422

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class PipelineFileError(InvalidError):
    code = "pipeline_file"


class UnauthenticatedError(HealError):
    code, status = "unauthenticated", 401


class ForbiddenError(HealError):
    code, status = "forbidden", 403


class SeparationOfDutiesError(ForbiddenError):
    code = "separation_of_duties"


class NotFoundError(HealError):
    code, status = "not_found", 404


class ConflictError(HealError):
    code, status = "conflict", 409


class ApprovalClosedError(ConflictError):
    code = "approval_closed"


class StalePlanError(ConflictError):
    code = "stale_plan"


class GrantUsedError(ConflictError):
    code = "grant_used"


class StoppedError(ConflictError):
    code = "stopped"


class LeaseLostError(ConflictError):
    code, retryable = "lease_lost", True


class PreconditionFailedError(HealError):
    code, status = "precondition_failed", 412


class QuotaExceededError(HealError):
    code, status, retryable = "quota_exceeded", 429, True


class OverloadedError(QuotaExceededError):
    code = "overloaded"


class UnavailableError(HealError):
    code, status, retryable = "unavailable", 503, True
