"""Which frames are of a runtime or a library, by their paths and packages, so that the others are one's own."""

_RUNTIME_WITHIN = (
    "/lib/python", "/python3", "/usr/local/go/src/", "/goroot/", "/go/libexec/", "/rustc/", "/.rustup/", "/lib/ruby/",
)  # fmt: skip
_RUNTIME_BEGINS = ("<", "node:", "internal/", "[native", "wasm:")
_LIBRARY_WITHIN = (
    "site-packages/", "dist-packages/", "node_modules/", "/pkg/mod/", "/vendor/", "/gems/", "/.cargo/", "/bower_components/",
    "@v0.", "@v1.", "@v2.", "/usr/share/", "/usr/lib/",
)  # fmt: skip
_RUNTIME_PACKAGES = (
    "java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.", "groovy.", "clojure.", "System.",
    "Microsoft.Win32", "runtime.", "core::", "std::", "alloc::", "<core::", "<std::", "<alloc::", "rust_", "__rust",
    "_rust", "backtrace::", "__libc_start", "_start", "Interop.", "lambda_method",
)  # fmt: skip
_LIBRARY_PACKAGES = (
    "jakarta.", "org.springframework.", "org.apache.", "org.hibernate.", "org.eclipse.", "org.jboss.", "org.postgresql.",
    "org.mongodb.", "org.elasticsearch.", "org.junit.", "org.codehaus.", "org.slf4j.", "org.glassfish.", "org.quartz.",
    "org.redisson.", "org.aspectj.", "com.google.common.", "com.google.protobuf.", "com.google.inject.", "com.fasterxml.",
    "com.mysql.", "com.mongodb.", "com.zaxxer.", "com.netflix.", "com.amazonaws.", "com.microsoft.", "com.oracle.", "oracle.",
    "com.datastax.", "com.rabbitmq.", "software.amazon.", "io.netty.", "io.grpc.", "io.undertow.", "io.vertx.",
    "io.reactivex.", "io.micrometer.", "io.micronaut.", "io.quarkus.", "io.lettuce.", "io.opentelemetry.", "io.ktor.",
    "reactor.", "rx.", "akka.", "play.", "feign.", "okhttp3.", "okio.", "retrofit2.", "redis.clients.", "ch.qos.", "zipkin",
    "brave.", "freemarker.", "liquibase.", "org.flywaydb.", "android.", "androidx.", "dalvik.",
    "Microsoft.", "Newtonsoft.", "Npgsql.", "Dapper.", "Polly.", "StackExchange.", "Grpc.", "MySql.", "MongoDB.", "Serilog.",
    "Castle.", "MediatR.", "AutoMapper.", "Hangfire.", "MassTransit.", "RabbitMQ.",
    "tokio::", "<tokio::", "futures::", "<futures", "futures_", "hyper::", "<hyper::", "tower::", "<tower", "axum::", "actix_",
    "anyhow::", "eyre::", "<anyhow::", "tracing::", "serde_", "rayon::", "reqwest::", "sqlx::", "diesel::",
)  # fmt: skip
_GO = frozenset(
    {
        "bufio", "builtin", "bytes", "compress", "container", "context", "crypto", "database", "debug", "encoding",
        "errors", "fmt", "hash", "html", "image", "internal", "io", "log", "maps", "math", "mime", "net", "os", "path",
        "plugin", "reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings", "sync", "syscall", "testing",
        "text", "time", "unicode",
    }
)  # fmt: skip


def is_runtime(function: str, file: str) -> bool:
    """Whether the frame is of the language itself."""
    path = file.replace("\\", "/")
    if path.startswith(_RUNTIME_BEGINS) or function.startswith(_RUNTIME_PACKAGES):
        return True
    if path.endswith(".go"):
        return _go_package(function) in _GO
    return any(part in path.lower() for part in _RUNTIME_WITHIN)


def is_library(function: str, file: str) -> bool:
    """Whether the frame is of the language itself or of what many programs share."""
    path = file.replace("\\", "/")
    return function.startswith(_LIBRARY_PACKAGES) or any(part in path for part in _LIBRARY_WITHIN) or is_runtime(function, file)


def _go_package(function: str) -> str:
    """The first element of a Go function's package: only those of the standard library have no dot."""
    return function.partition("/")[0] if "/" in function else function.partition(".")[0]
