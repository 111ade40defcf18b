"""Use cases with their invariants; one call, one transaction, one audit entry."""
