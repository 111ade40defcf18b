"""Which rules could find anything in a text: every hint is matched in one pass of RE2."""

from collections.abc import Sequence

import re2

_MEMORY = 16 * 1024 * 1024


class Prefilter:
    """An empty hint stands behind the others: it is in every answer but that of a set which ran out of memory."""

    def __init__(self, hints: Sequence[str]) -> None:
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        self._count = len(hints)
        for hint in (*hints, ""):
            self._set.Add(hint)
        self._set.Compile()

    def hits(self, text: str) -> Sequence[int]:
        """The places of the hints that the text holds, in no order."""
        return places(self._set.Match(text.encode("utf-8", "surrogatepass")), hints=self._count)


def places(answer: list[int] | None, *, hints: int) -> Sequence[int]:
    """Those in the answer but the empty hint's; all of them when that one is missing, for then it is no answer."""
    if answer is None or hints not in answer:
        return range(hints)
    answer.remove(hints)
    return answer
