"""The patterns that grok is known for, in the language of RE2: each matches what its name says, some a little more widely.

They hold no groups of their own but through the fields of the composed ones at the end.
"""

from types import MappingProxyType

BASE = MappingProxyType(
    {
        # words and numbers
        "USERNAME": r"[a-zA-Z0-9._-]+",
        "USER": r"%{USERNAME}",
        "EMAILLOCALPART": r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}",
        "EMAILADDRESS": r"%{EMAILLOCALPART}@%{HOSTNAME}",
        "INT": r"[+-]?[0-9]+",
        "BASE10NUM": r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)",
        "NUMBER": r"%{BASE10NUM}",
        "BASE16NUM": r"[+-]?(?:0x)?[0-9A-Fa-f]+",
        "BASE16FLOAT": r"[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)",
        "POSINT": r"[1-9][0-9]*",
        "NONNEGINT": r"[0-9]+",
        "WORD": r"\b\w+\b",
        "NOTSPACE": r"\S+",
        "SPACE": r"\s*",
        "DATA": r".*?",
        "GREEDYDATA": r".*",
        "GREEDYMULTILINE": r"(?s:.*)",
        "QUOTEDSTRING": r"""(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)""",
        "QS": r"%{QUOTEDSTRING}",
        "UUID": r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}",
        "URN": r"urn:[0-9A-Za-z][0-9A-Za-z-]{0,31}:[0-9A-Za-z()+,.:=@;$_!*'/?#%&~-]+",
        "BOOLEAN": r"(?i:true|false)",
        # hosts
        "CISCOMAC": r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}",
        "WINDOWSMAC": r"(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}",
        "COMMONMAC": r"(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2}",
        "MAC": r"(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})",
        "IPV4": r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})",
        "IPV6": r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:%{IPV4}|[0-9A-Fa-f]{0,4})(?:%[0-9A-Za-z]+)?",
        "IP": r"(?:%{IPV6}|%{IPV4})",
        "HOSTNAME": r"\b[0-9A-Za-z](?:[0-9A-Za-z_-]{0,62})(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?",
        "IPORHOST": r"(?:%{IP}|%{HOSTNAME})",
        "HOSTPORT": r"%{IPORHOST}:%{POSINT}",
        # paths
        "UNIXPATH": r"(?:/[\w%!$@:.,+~-]*)+",
        "WINPATH": r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+",
        "PATH": r"(?:%{UNIXPATH}|%{WINPATH})",
        "TTY": r"/dev/(?:pts|tty[a-z]?)/?[0-9]+",
        "URIPROTO": r"[A-Za-z][A-Za-z0-9+.-]+",
        "URIHOST": r"%{IPORHOST}(?::%{POSINT})?",
        "URIPATH": r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+",
        "URIQUERY": r"[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*",
        "URIPARAM": r"\?%{URIQUERY}",
        "URIPATHPARAM": r"%{URIPATH}(?:%{URIPARAM})?",
        "URI": r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
        # times
        "MONTH": r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?"
        r"|[Ss]ep(?:t(?:ember)?)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
        "MONTHNUM": r"(?:0?[1-9]|1[0-2])",
        "MONTHNUM2": r"(?:0[1-9]|1[0-2])",
        "MONTHDAY": r"(?:0[1-9]|[12][0-9]|3[01]|[1-9])",
        "DAY": r"(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
        "YEAR": r"(?:[0-9]{4}|[0-9]{2})",
        "HOUR": r"(?:2[0-3]|[01]?[0-9])",
        "MINUTE": r"[0-5][0-9]",
        "SECOND": r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?",
        "TIME": r"%{HOUR}:%{MINUTE}(?::%{SECOND})?",
        "DATE_US": r"%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}",
        "DATE_EU": r"%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}",
        "DATE": r"(?:%{DATE_US}|%{DATE_EU})",
        "DATESTAMP": r"%{DATE}[- ]%{TIME}",
        "TZ": r"(?:[APMCE][SD]T|UTC|GMT|CET|CEST)",
        "ISO8601_TIMEZONE": r"(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)",
        "ISO8601_SECOND": r"%{SECOND}",
        "TIMESTAMP_ISO8601": r"%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
        "DATESTAMP_RFC822": r"%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
        "DATESTAMP_RFC2822": r"%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
        "DATESTAMP_OTHER": r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
        "DATESTAMP_EVENTLOG": r"%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
        "HTTPDATE": r"%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}",
        "HTTPDERROR_DATE": r"%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}",
        "SYSLOGTIMESTAMP": r"%{MONTH} +%{MONTHDAY} %{TIME}",
        # logs
        "LOGLEVEL": r"(?i:\b(?:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe"
        r"|emerg(?:ency)?)\b)",
        "PROG": r"[\x21-\x5a\x5c\x5e-\x7e]+",
        "SYSLOGPROG": r"%{PROG:process.name}(?:\[%{POSINT:process.pid:int}\])?",
        "SYSLOGHOST": r"%{IPORHOST}",
        "SYSLOGFACILITY": r"<%{NONNEGINT:log.syslog.facility.code:int}\.%{NONNEGINT:log.syslog.priority:int}>",
        "SYSLOGBASE": r"%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:host.hostname} %{SYSLOGPROG}:",
        "SYSLOGLINE": r"%{SYSLOGBASE} %{GREEDYDATA:message}",
        "HTTPDUSER": r"(?:%{EMAILADDRESS}|%{USER})",
        "COMMONAPACHELOG": r"%{IPORHOST:source.address} (?:-|%{HTTPDUSER}) (?:-|%{HTTPDUSER:user.name}) "
        r"\[%{HTTPDATE:timestamp}\] "
        r'"(?:%{WORD:http.request.method} %{NOTSPACE:url.original}(?: HTTP/%{NUMBER:http.version})?|%{DATA})" '
        r"(?:-|%{INT:http.response.status_code:int}) (?:-|%{INT:http.response.body.bytes:int})",
        "COMBINEDAPACHELOG": r'%{COMMONAPACHELOG} "(?:-|%{DATA:http.request.referrer})" "(?:-|%{DATA:user_agent.original})"',
        "HTTPD_COMMONLOG": r"%{COMMONAPACHELOG}",
        "HTTPD_COMBINEDLOG": r"%{COMBINEDAPACHELOG}",
        "JAVACLASS": r"(?:[a-zA-Z$_][a-zA-Z$_0-9]*\.)*[a-zA-Z$_][a-zA-Z$_0-9]*",
        "JAVAFILE": r"[a-zA-Z$_0-9. -]+",
        "JAVAMETHOD": r"(?:<(?:cl)?init>|[a-zA-Z$_][a-zA-Z$_0-9]*)",
        "JAVASTACKTRACEPART": r"\s*at %{JAVACLASS:class}\.%{JAVAMETHOD:function}\(%{JAVAFILE:file}(?::%{INT:line:int})?\)",
        "JAVALOGMESSAGE": r".*",
    }
)
