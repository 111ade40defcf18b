"""Which rules could find anything in a text: every hint is matched in one pass of RE2."""

from collections.abc import Sequence

import re2

_MEMORY = 64 * 1024 * 1024


class Prefilter:
    """An empty hint stands last among the others: an answer without it is that of a set which ran out of memory."""

    def __init__(self, hints: Sequence[str]) -> None:
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        self._canary = len(hints)
        for hint in (*hints, ""):
            self._set.Add(hint)
        self._set.Compile()

    def hits(self, text: str) -> Sequence[int]:
        """The places of the hints that the text holds, in no order; every place when the set gives no answer."""
        found: list[int] = self._set.Match(text.encode("utf-8", "surrogatepass")) or []
        if self._canary not in found:
            return range(self._canary)
        found.remove(self._canary)
        return found
