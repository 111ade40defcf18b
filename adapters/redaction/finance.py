"""Numbers of accounts: IBANs by country, length and remainder; cards by issuer, length and check digit."""

import re

from adapters.redaction.rule import Rule, Span

_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18,
    "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
    "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29,
    "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def _account(match: re.Match[str]) -> Span | None:
    """As long as the country's are, in one piece or in fours; in small letters only when told so."""
    begins = match.group(1)
    end = _end_of(begins, _LENGTHS.get(begins[:2].upper(), 0))
    written = begins[:end]
    is_told = written.isupper() or _ACCOUNT_NEAR.search(match.string[max(0, match.start() - _SEEN_BEFORE) : match.start()])
    if not end or not is_told or begins[end : end + 1].isalnum() or not _WRITTEN.fullmatch(written):
        return None
    return (match.start(1), match.start(1) + end) if is_iban(plain(written)) else None


_WRITTEN = re.compile(r"[A-Za-z0-9]{1,34}|(?:[A-Za-z0-9]{4}[ -]){2,8}[A-Za-z0-9]{1,4}")
_ACCOUNT_NEAR = re.compile(r"\b(?:iban|account)\b", re.IGNORECASE)
_SEEN_BEFORE, _SEEN_BEHIND = 48, 24


def _end_of(written: str, length: int) -> int:
    """Where that many letters and digits end; 0 when there are fewer."""
    seen = 0
    for at, each in enumerate(written):
        seen += each.isalnum()
        if seen == length:
            return at + 1
    return 0


def is_iban(account: str) -> bool:
    """Whether it leaves 1 when divided by 97, letters counted from 10."""
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1


def plain(number: str) -> str:
    return re.sub(r"[ .-]", "", number).upper()


IBAN = Rule(
    "IBAN",
    rf"(?i)\b(?:{'|'.join(_LENGTHS)})\d{{2}}[ \-]?[A-Z0-9]{{4}}[ \-]?[A-Z0-9]{{4}}",
    re.compile(r"(?<![A-Za-z0-9])(?=([A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,31}))[A-Za-z]{2}\d\d", re.ASCII),
    _account,
    plain,
)

_ISSUED = re.compile(
    r"""4\d{12}(?:\d{3})?                                      # Visa
        | (?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}  # Mastercard
        | 3[47]\d{13}                                          # American Express
        | 3(?:0[0-5]|[689]\d)\d{11}                            # Diners
        | (?:6011|64[4-9]\d|65\d\d)\d{12}                      # Discover
        | 35(?:2[89]|[3-8]\d)\d{12} | (?:1800|2131)\d{11}      # JCB
        | 62\d{14,17}                                          # UnionPay""",
    re.VERBOSE,
)
_CARD_WORD = r"\b(?:cards?|cc|credit|debit|visa|master ?card|amex|american express|maestro|pan)\b"
_CARD_NEAR = re.compile(_CARD_WORD.replace(" ", "[ ]"), re.IGNORECASE)
_CALLED_CARD = re.compile(r"\bcard(?:[ _]?(?:number|no\.?|num|#))?[\s:=#\"']{1,4}(?:is[ ])?\Z", re.IGNORECASE)


def _card(match: re.Match[str]) -> Span | None:
    """By its own looks, or by its check digit beside a word that names cards; called one, a mistyped number counts too."""
    number = plain(match.group())
    before = match.string[max(0, match.start() - _SEEN_BEFORE) : match.start()]
    if not passes_luhn(number):
        return match.span() if len(number) >= 14 and _CALLED_CARD.search(before) else None
    behind = match.string[match.end() : match.end() + _SEEN_BEHIND]
    is_card = _ISSUED.fullmatch(number) or _CARD_NEAR.search(before) or _CARD_NEAR.search(behind)
    return match.span() if is_card else None


def passes_luhn(number: str) -> bool:
    digits = [int(each) for each in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * each, 10)) for each in digits[1::2])) % 10 == 0


CARD = Rule(
    "CARD",
    r"(?i)\b(?:[2-6]\d{12,18}|(?:1800|2131)\d{11}|\d{4}[ \-]\d{4}[ \-]\d{4}[ \-]\d{1,7}|\d{4}[ \-]\d{6}[ \-]\d{4,5})\b"
    rf"|{_CARD_WORD}(?s:.*)\b\d{{12,19}}\b|\b\d{{12,19}}\b(?s:.*){_CARD_WORD}",
    re.compile(r"(?<![\w.+-])(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-]|\.\d)", re.ASCII),
    _card,
    plain,
)

FINANCE = (IBAN, CARD)
