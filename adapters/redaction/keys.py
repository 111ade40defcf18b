"""Keys and tokens that are known by their looks: JWTs, PEM blocks, keys of clouds, access tokens by family."""

import base64
import json
import re

from adapters.redaction.rule import Rule, Span


def _json_token(match: re.Match[str]) -> Span | None:
    """A token may stand anywhere in its run: after a separator it is taken at its word, inside a word it must decode."""
    run = match.group().rstrip(".")
    at = run.find("eyJ")
    while at >= 0 and not (_stands_alone(run, at) or is_json_header(run[at : at + _LONGEST_HEADER].partition(".")[0])):
        at = run.find("eyJ", at + 3)
    return (match.start() + at, match.start() + len(run)) if at >= 0 and "." in run[at:] else None


def _stands_alone(run: str, at: int) -> bool:
    return at == 0 or not run[at - 1].isalnum()


def is_json_header(part: str) -> bool:
    """Whether it is base64url for a JSON object, as the first part of a JWT is."""
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))), dict)
    except (ValueError, RecursionError):
        return False


_LONGEST_HEADER = 1024

JWT = Rule("JWT", r"eyJ[A-Za-z0-9_-]*\.", re.compile(r"(?<![\w.-])[\w.-]{7,}+", re.ASCII), _json_token)

# A block whose end was cut off is taken out to the end of the text.
PEM = Rule(
    "PEM",
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
    re.compile(
        r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----)[\s\S])*+(?:-----END [A-Z0-9 ]{0,64}-----)?",
        re.ASCII,
    ),
)

CLOUD_KEY = Rule(
    "CLOUD_KEY",
    r"A[A-Z]{2}A[A-Z0-9]{16}|AIza[\w-]{20}|ya29\.|GOCSPX-|LTAI\w{12}|do[opr]_v1_|hv[sbr]\.[\w-]|dapi[a-f0-9]{20}|AGE-SECRET-KEY-1",
    re.compile(
        r"""(?<![A-Za-z0-9])(?:
            (?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16,}+
            | AIza[\w-]{30,}+
            | ya29\.[\w.-]{10,}+
            | GOCSPX-[\w-]{16,}+
            | LTAI[A-Za-z0-9]{12,}+
            | do[opr]_v1_[a-f0-9]{32,}+
            | hv[sbr]\.[\w-]{16,}+
            | dapi[a-f0-9]{32,}+(?:-\d)?
            | AGE-SECRET-KEY-1[A-Z0-9]{20,}+
        )""",
        re.ASCII | re.VERBOSE,
    ),
)

PAT = Rule(
    "PAT",
    r"gh[opsru]_\w{16}|github_pat_\w|gl[a-z]{2,5}-[\w.-]{16}|xox[a-z]-|xapp-\d|hooks\.slack\.com/services/|[rsp]k_(?:live|test)_"
    r"|sk-[\w-]{16}|npm_\w{20}|pypi-[\w-]{16}|SG\.[\w-]{16}|SK[0-9a-f]{32}|sq0[a-z]{3}-|shp[a-z]{2}_|lin_api_|ATATT3|dckr_[op]at_"
    r"|hf_\w{20}|glsa_\w|glc_[\w+/=-]|NRAK-|PMAK-|dp\.[a-z]{2,5}\.|\.atlasv1\.|:AA[\w-]{30}|sut_[\w-]|whsec_[\w+/=-]",
    re.compile(
        r"""(?<![A-Za-z0-9])(?:
            gh[opsru]_\w{16,}+ | github_pat_\w{16,}+
            | gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas|ffct)-[\w.-]{16,}+
            | xox[a-z]-[\w-]{8,}+ | xapp-\d[\w-]{8,}+
            | hooks\.slack\.com/services/[\w/]{8,}+
            | [rsp]k_(?:live|test)_\w{8,}+
            | sk-(?=[\w-]{0,64}\d)[\w-]{16,}+
            | npm_\w{20,}+ | pypi-[\w-]{16,}+
            | SG\.[\w-]{16,}+\.[\w-]{16,}+
            | SK[0-9a-f]{32}
            | sq0[a-z]{3}-[\w-]{16,}+ | shp(?:at|ca|pa|ss)_\w{16,}+
            | lin_api_\w{16,}+ | ATATT3[\w=-]{16,}+ | dckr_[op]at_[\w-]{16,}+ | hf_\w{20,}+
            | glsa_\w{16,}+ | glc_[\w+/=-]{16,}+ | NRAK-\w{16,}+ | PMAK-[\w-]{16,}+
            | dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.]{16,}+
            | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{16,}+
            | \d{8,10}:AA[\w-]{30,}+
            | sut_[\w-]++ | whsec_[\w+/=-]++
        )""",
        re.ASCII | re.VERBOSE,
    ),
)

KEYS = (PEM, JWT, CLOUD_KEY, PAT)
