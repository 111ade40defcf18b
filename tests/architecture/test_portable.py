"""A clone works anywhere: no file names a place that exists on one machine only."""

import re

from tests.architecture.sources import ROOT, kept_files

LARGEST = 4 * 1024 * 1024
PLACES = re.compile(rb"(?<![\w.$}~-])/(?:root|work|home/\w+|Users/\w+|opt/wheels)/[\w.-]")
REGISTRIES = re.compile(
    rb"pypi\.org|pythonhosted\.org|proxy\.golang\.org|registry\.npmjs\.org|yarnpkg\.com|ghcr\.io|quay\.io"
    rb"|(?:--(?:extra-)?index-url|--find-links|--trusted-host)\b"
)


def found(pattern: re.Pattern[bytes]) -> dict[str, bytes]:
    texts = (
        (path, path.read_bytes()) for path in kept_files() if path.name != "test_portable.py" and path.stat().st_size < LARGEST
    )
    return {str(path.relative_to(ROOT)): match.group() for path, text in texts if (match := pattern.search(text))}


def test_no_file_holds_a_path_of_one_machine() -> None:
    """No kept file names a folder below somebody's home."""
    assert found(PLACES) == {}


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the business of the machine that installs them."""
    assert found(REGISTRIES) == {}
