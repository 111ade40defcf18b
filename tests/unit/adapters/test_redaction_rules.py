"""Each family of rules finds what it is there for, and leaves what looks much like it."""

import pytest

from adapters.redaction import Redactor

REDACTOR = Redactor.for_org(b"a key of the tests")

# What is to be taken out stands between ‹ and ›, after the kind that names it.
FOUND = {
    "keys": (
        ("JWT", "[success][USER TOKEN: ‹eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl› USER ID: 7]"),
        ("JWT", "see ‹eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ›."),
        ("PEM", "‹-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----›\nafter"),
        ("PEM", "key ‹-----BEGIN PRIVATE KEY-----\\nMIIB, and cut here›"),
        ("CLOUD_KEY", "key ‹AKIAIOSFODNN7EXAMPLE› leaked"),
        ("CLOUD_KEY", "maps ‹AIzaSyA-0123456789abcdefghijklmnopqrstu›&v=3"),
        ("PAT", "pushed with ‹ghp_abcdefghijklmnopqrstuvwxyz0123456789›"),
        ("PAT", "‹glpat-abcdefghij0123456789› expired"),
        ("PAT", "POST https://‹hooks.slack.com/services/T00000000/B00000000/abcdefgh›"),
        ("PAT", "bot ‹123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1› started"),
        ("PAT", "a call by ‹sut_abc›"),
    ),
    "secrets": (
        ("PASSWORD", "postgresql://app:‹p@ss:w0rd›@db:5432/app"),
        ("PASSWORD", "amqp://guest:‹1234›@mq:5672"),
        ("PASSWORD", "redis://:‹s3cr/et›@cache:6379"),
        ("SECRET", "Authorization: Bearer ‹abc.def›"),
        ("SECRET", "authorization: token ‹abcdefgh123›"),
        ("SECRET", "Authorization: AWS4-HMAC-SHA256 ‹Credential=x/y, SignedHeaders=host, Signature=00ff›"),
        ("SECRET", "Cookie: ‹sid=abc123; theme=dark› "),
        ("SECRET", r'"password": "‹correct horse \"battery\"›",'),
        ("SECRET", r"{\"password\": \"‹hun ter2›\", \"user\": \"ann\"}"),
        ("SECRET", '""password"":""‹hun ter2›"",""user"":""ann""'),
        ("SECRET", "DB_PASSWORD=‹a,b&c;d› host=x"),
        ("SECRET", "Uid=sa;Pwd=‹p@ss›;Database=y"),
        ("SECRET", "run --password ‹hunter2› --verbose"),
        ("SECRET", "<password>‹hunter2›</password>"),
        ("SECRET", "password:\n  ‹hunter2›"),
        ("SECRET", "?user=u&access_token=‹abc›&x=1"),
        ("TOKEN", "saw ‹Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY2RlZg==› there"),
        ("TOKEN", "key ‹wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY› there"),
    ),
    "finance": (
        ("IBAN", "pay ‹GB82WEST12345698765432› now"),
        ("IBAN", "pay ‹DE89 3704 0044 0532 0130 00› and more"),
        ("IBAN", "my iban is ‹de89370400440532013000›"),
        ("CARD", "paid by ‹4111 1111 1111 1111›."),
        ("CARD", "paid by ‹378282246310005›"),
        ("CARD", "the maestro ‹630427373398› is lost"),
        ("CARD", "card number ‹41111111111112›, mistyped"),
    ),
    "identity": (
        ("SSN", "it is ‹536-22-1234›"),
        ("SSN", "her ssn is ‹536221234›"),
        ("LICENCE", "my driver's license number is ‹D123-4567-8901›"),
        ("LICENCE", "‹F162823540116› is his driving licence"),
        ("ZIP", "ZIP: ‹7412 SL›"),
        ("ZIP", "the postal code is ‹75534-030›"),
        ("ZIP", "postcode: ‹SW1A 1AA›"),
    ),
    "contacts": (
        ("EMAIL", "mail ‹ann.o'neil+x@mail.example.co.uk›, please"),
        ("EMAIL", "<‹krisztián@példa.hu›>"),
        ("EMAIL", "q=‹ann%40example.org›&x=1"),
        ("DOMAIN", "a photo on ‹https://www.example.org/›"),
        ("DOMAIN", "see ‹www.example.org›."),
        ("DOMAIN", "my website is ‹example.org›"),
    ),
    "phones": (
        ("PHONE", "tel:‹+41448747630›"),
        ("PHONE", "ring ‹+41 (0)96 471 07 95›"),
        ("PHONE", "‹001-253-366-9781›"),
        ("PHONE", "‹(602)272-9781› and ‹345-899-3560x4587›"),
        ("PHONE", "‹0494 92 82 32›, ‹03.93.92.16.85› and ‹(08) 8747 6301›"),
        ("PHONE", "call me on ‹467 3395›"),
        ("PHONE", "Phone:\n‹60-56-85-91›, ‹358 0594›"),
        ("PHONE", "‹699 956 915› is my number"),
    ),
    "network": (
        ("IP", "from ‹203.0.113.9›:41022"),
        ("IP", "client:‹10.1.2.3› blocked"),
        ("IP", "addr:‹2001:db8::ff00:42:8329› port 22"),
    ),
}
LEFT = {
    "keys": ("eyJ", "-----BEGIN CERTIFICATE-----", "AKIA is a prefix", "sk-learn and sk-image", "ghp_short"),
    "secrets": (
        "bearer token expired; basic auth failed; Basic Authentication required",
        "max_tokens=512 token_type=bearer tokens: 12",
        "password=${DB_PASSWORD} token=null secret: *** api_key={{ key }}",
        "pwd=/var/lib/app",
        "SyntaxError: invalid token: unexpected token: } at 3",
        "http://host:8080/a?x=b@c",
        "spark://CoarseGrainedScheduler@host:7077",
        "AbstractAnnotationConfigDispatcherServletInitializer2Test",
        "/var/lib/kubelet/pods/0b1c2d3e/volumes/kubernetes.io~secret/Ab1",
        "_ZN4llvm12DenseMapBaseINS_8DenseMapIPKNS_10BasicBlockE",
        "ts-travel-service-64469b5b48-5rjvb",
    ),
    "finance": (
        "GB82WEST12345698765433",
        "de89370400440532013000",
        "4111111111111112",
        "offset 1675079459971622667 at 1675079459971",
        "blk_4111111111111111",
    ),
    "identity": (
        "000-22-1234 and 536-00-1234",
        "driver 470.57.02, license check: 12 ok",
        "unzip: 3520 files; zip 3520 entries",
    ),
    "contacts": (
        "git@github.com:org/repo.git",
        "lodash@4.17.21 @types/node@18.0.0 com.acme.Foo@1a2b3c4d",
        "http://ts-order-service:12031/api http://orders.shop.svc.cluster.local/ https://api.github.com/repos/a/b",
        "domain: main.py",
        "import java.net and java.net.SocketException",
    ),
    "phones": (
        "01.02.2023 11:50:59 and 30/Jan/2023:11:50:59 +0100",
        "00000010: 01 02 03 04 05 06 07 08",
        "Remote call failed after 1500 3000 ms, number of records: 1234567",
        "retry (3) 10 20 30",
        "sent messages to 1234567 consumers",
    ),
    "network": (
        "127.0.0.1:8080 and 0.0.0.0 and ::1",
        "version 1.2.3.4, v1.2.3.4, a-2.13.2.2.jar, lib/2.13.2.2/lib",
        "12:34:56 ab:cd:ef:01:23:45 std::vector a::b::c",
        "1.2.3.4.5 and 999.1.1.1",
    ),
}


@pytest.mark.parametrize(("kind", "marked"), [each for family in FOUND.values() for each in family])
def test_what_a_rule_is_for_is_found(kind: str, marked: str) -> None:
    """All of it, and no character beside it."""
    text = marked.replace("‹", "").replace("›", "")
    assert [(text[start:end], found) for start, end, found in REDACTOR.found(text)] == [
        (part.partition("›")[0], kind) for part in marked.split("‹")[1:]
    ]


@pytest.mark.parametrize("text", [each for family in LEFT.values() for each in family])
def test_what_only_looks_like_it_stays(text: str) -> None:
    """A failed check, a missing word or a telling neighbour is enough to leave it."""
    assert REDACTOR.text(text) == text
