"""Stack traces of seven languages."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.logs import traces
from models.logs.traces.contract import MOST_FRAMES, Frame, error_named, named, own

PYTHON = """\
Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/urllib3/connection.py", line 198, in _new_conn
    sock = connection.create_connection(
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/socket.py", line 835, in create_connection
    raise err
ConnectionRefusedError: [Errno 111] Connection refused

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app/main.py", line 12, in <module>
    run()
  File "/srv/app/orders/client.py", line 40, in fetch
    return get(url)
  File "/srv/venv/lib/python3.11/site-packages/requests/api.py", line 73, in get
    return request("get", url)
requests.exceptions.ConnectionError: no answer from payments
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/app/main.py", line 30, in main
  |     async with TaskGroup() as group:
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/app/load.py", line 7, in load
    |     int(text)
    | ValueError: invalid literal for int()
    +------------------------------------
"""
JAVA = """\
Exception in thread "main" com.acme.orders.OrderFailed: order 7 failed
\tat com.acme.orders.Orders.place(Orders.java:31) ~[orders.jar!/:1.4]
\tat org.springframework.web.Dispatcher.handle(Dispatcher.java:90)
\tat java.base/java.lang.Thread.run(Thread.java:829)
\tSuppressed: java.io.IOException: close failed
\t\tat com.acme.orders.Files.close(Files.java:9)
\t\tCaused by: java.io.EOFException
\t\t\tat com.acme.orders.Files.end(Files.java:19)
Caused by: org.hibernate.JDBCException: could not execute
\tat org.hibernate.Session.flush(Session.java:12)
\tat com.acme.orders.Store$Tx.lambda$save$0(Store.java:77)
\t... 12 more
Caused by: java.sql.SQLException: deadlock found
\tat com.mysql.cj.Statement.execute(Statement.java:1)
\t... 14 more
"""
ROOT_FIRST = """\
java.sql.SQLException: deadlock found
\tat com.acme.Store.save(Store.java:77)
Wrapped by: com.acme.OrderFailed: order failed
\tat com.acme.Orders.place(Orders.java:31)
"""
JAVASCRIPT = """\
/app/src/server.js:12
        throw new OrderError('order failed');
        ^

OrderError: order failed
    at /app/node_modules/express/lib/router.js:47:12
    at async place (file:///app/src/(shop)/orders.mjs:12:11)
    at new Shop (/app/src/shop.js:3:5)
    at Array.map (<anonymous>)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  [cause]: TypeError: Cannot read properties of undefined (reading 'id')
      at Object.total [as sum] (/app/src/cart.js:90:13)
}
"""
GO = """\
panic: runtime error: index out of range [5] with length 3 [recovered]
\tpanic: runtime error: index out of range [5] with length 3

goroutine 18 gp=0xc000 m=2 [running]:
testing.tRunner.func1.2({0x4f5e20, 0xc000016108})
\t/usr/local/go/src/testing/testing.go:1396 +0x24e
panic({0x4f5e20, 0xc000016108})
\t/usr/local/go/src/runtime/panic.go:884 +0x212
encoding/json.Unmarshal(...)
\t/usr/local/go/src/encoding/json/decode.go:10
acme.dev/shop/cart.(*Cart).Total(0xc000012345, {0x1, 0x2})
\t/src/cart/cart.go:42 +0x1d
created by acme.dev/shop/server.Serve in goroutine 1
\t/src/server/server.go:9 +0x5b

goroutine 1 [chan receive]:
main.main()
\t/src/main.go:6 +0x20
exit status 2
"""
GO_STACK = """\
main.load
\t/src/load.go:12
main.main
\t/src/main.go:6
runtime.main
\t/usr/local/go/src/runtime/proc.go:250
"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: order failed
 ---> System.Data.SqlException (0x80131904): deadlock
   at Npgsql.Connector.Read(Boolean async)
   at Acme.Store.<SaveAsync>d__5.MoveNext() in /src/Store.cs:line 77
   --- End of inner exception stack trace ---
   at Acme.Orders.Place(String id, Int32 n) in C:\\src\\Orders.cs:line 31
   at System.Threading.Tasks.Task.Wait()
"""
RUBY = """\
/usr/lib/ruby/3.2.0/json.rb:216:in `parse': unexpected token (JSON::ParserError)
\tfrom /app/vendor/bundle/gems/rack-2.2/lib/rack.rb:3:in `call'
\tfrom /app/lib/orders.rb:12:in 'Orders#place'
\tfrom bin/run:3:in `<main>'
"""
RAILS = """\
ActiveRecord::RecordNotFound (Couldn't find Order):

app/models/order.rb:12:in `block in place'
app/controllers/orders_controller.rb:5:in `show'
"""
RUST = """\
thread 'tokio-runtime-worker' panicked at src/cart.rs:90:13:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/std/src/panicking.rs:665:5
   1: core::panicking::panic_bounds_check
             at /rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/core/src/panicking.rs:273:5
   2: shop::cart::total::h0123456789abcdef
             at ./src/cart.rs:90:13
   3: shop::main
             at ./src/main.rs:6:5
note: Some details are omitted
"""
RUST_OLD = "thread 'main' panicked at 'it\\'s bad', src/cart.rs:90:13\nnote: run with `RUST_BACKTRACE=1`\n"
RUST_RETURNED = """\
Error: cannot start

Caused by:
    0: cannot read the configuration
    1: No such file or directory (os error 2)
"""


@pytest.mark.parametrize(
    ("text", "errors", "frame"),
    [
        pytest.param(
            PYTHON,
            ["ConnectionRefusedError: [Errno 111] Connection refused",
             "requests.exceptions.ConnectionError: no answer from payments"],
            ("fetch", "/srv/app/orders/client.py", 40),
            id="python",
        ),
        pytest.param(
            GROUP,
            ["ValueError: invalid literal for int()",
             "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"],
            ("load", "/srv/app/load.py", 7),
            id="python-group",
        ),
        pytest.param(
            JAVA,
            ["java.sql.SQLException: deadlock found", "org.hibernate.JDBCException: could not execute",
             "com.acme.orders.OrderFailed: order 7 failed"],
            ("com.acme.orders.Store$Tx.lambda$save$0", "Store.java", 77),
            id="java",
        ),
        pytest.param(
            ROOT_FIRST,
            ["java.sql.SQLException: deadlock found", "com.acme.OrderFailed: order failed"],
            ("com.acme.Store.save", "Store.java", 77),
            id="java-root-first",
        ),
        pytest.param(
            JAVASCRIPT,
            ["TypeError: Cannot read properties of undefined (reading 'id')", "OrderError: order failed"],
            ("Object.total [as sum]", "/app/src/cart.js", 90),
            id="javascript",
        ),
        pytest.param(
            GO,
            ["panic: runtime error: index out of range [5] with length 3 [recovered]"],
            ("acme.dev/shop/cart.(*Cart).Total", "/src/cart/cart.go", 42),
            id="go",
        ),
        pytest.param(GO_STACK, [], ("main.load", "/src/load.go", 12), id="go-stack"),
        pytest.param(
            DOTNET,
            ["System.Data.SqlException: (0x80131904): deadlock", "System.InvalidOperationException: order failed"],
            ("Acme.Store.<SaveAsync>d__5.MoveNext", "/src/Store.cs", 77),
            id="dotnet",
        ),
        pytest.param(
            RUBY, ["JSON::ParserError: unexpected token"], ("Orders#place", "/app/lib/orders.rb", 12), id="ruby"
        ),
        pytest.param(
            RAILS,
            ["ActiveRecord::RecordNotFound: Couldn't find Order"],
            ("block in place", "app/models/order.rb", 12),
            id="rails",
        ),
        pytest.param(
            RUST,
            ["panic: index out of bounds: the len is 3 but the index is 5"],
            ("shop::cart::total", "./src/cart.rs", 90),
            id="rust",
        ),
        pytest.param(RUST_OLD, ["panic: it\\'s bad"], ("", "src/cart.rs", 90), id="rust-before-1.73"),
        pytest.param(
            RUST_RETURNED,
            ["No such file or directory (os error 2)", "cannot read the configuration", "Error: cannot start"],
            None,
            id="rust-returned",
        ),
    ],
)  # fmt: skip
def test_a_trace_tells_what_was_thrown_and_where(text, errors, frame):
    """The root cause stands first, and the frame is the innermost of one's own code."""
    trace = traces.read(text)

    assert [f"{each.type}: {each.message}".removeprefix(": ") for each in trace.thrown] == errors
    assert (trace.frame and (trace.frame.function, trace.frame.file, trace.frame.line)) == frame


def test_frames_are_innermost_first_and_those_of_the_root_cause_before_the_others():
    """A reader begins where it broke."""
    functions = [frame.function for frame in traces.read(PYTHON).frames]

    assert functions == ["create_connection", "_new_conn", "get", "fetch", "<module>"]


def test_what_was_suppressed_is_no_cause():
    """An error on the way out of another is beside it, with all that caused it."""
    trace = traces.read(JAVA)

    assert not any("Files" in frame.function for frame in trace.frames)


def test_a_trace_that_ends_early_still_has_its_frames():
    """A collector may cut a traceback before its last line."""
    trace = traces.read(PYTHON.partition("ConnectionRefused")[0])

    assert (len(trace.frames), trace.thrown) == (2, ())


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([("java.util.Map.get", "Map.java"), ("org.apache.kafka.Log.append", "Log.java")], 1),
        ([("java.util.Map.get", "Map.java"), ("java.lang.Thread.run", "Thread.java")], 0),
        ([("get", "/app/.venv/lib/python3.12/site-packages/httpx/_api.py"), ("pay", "C:\\app\\pay.py")], 1),
        ([("net/http.(*Server).Serve", "net/http/server.go"), ("main.serve", "acme.dev/shop/serve.go")], 1),
        ([("io.ReadAll", "/usr/local/go/src/io/io.go"), ("internal.Load", "/src/internal/load.go")], 0),
        ([("<tokio::task::Task as Future>::poll", ""), ("shop::cart::total", "")], 1),
        ([], None),
    ],
)
def test_own_code_is_what_is_of_no_known_library(frames, expected):
    """Where everything is of a library, that library is taken for one's own; of the runtime, the innermost frame."""
    frames = [Frame(function=function, file=file) for function, file in frames]

    assert own(frames) == (None if expected is None else frames[expected])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("java.lang.IllegalStateException: bad: very bad", ("java.lang.IllegalStateException", "bad: very bad")),
        ("KeyError", ("KeyError", "")),
        ("TypeError [ERR_INVALID_URL]: Invalid URL", ("TypeError", "[ERR_INVALID_URL]: Invalid URL")),
        ("Uncaught Error: boom", ("Error", "boom")),
        ("note: nothing thrown", None),
        ("Error handling request", None),
        ("", None),
    ],
)
def test_a_line_names_an_error_by_its_type(line, expected):
    """What stands before the colon is a type, and called as errors are."""
    found = error_named(line)

    assert (found and (found.type, found.message)) == expected
    assert expected is None or named(line) == found


@pytest.mark.parametrize("text", ["look at me\nat least this (once)", "all is well", "", 'File "x"', ":in `\n\n", ".go:"])
def test_prose_is_no_trace(text):
    """Words that traces are made of do not make one."""
    assert traces.read(text) is None


PIECES = st.sampled_from(
    [
        line
        for text in (PYTHON, GROUP, JAVA, JAVASCRIPT, GO, DOTNET, RUBY, RAILS, RUST, RUST_RETURNED)
        for line in text.split("\n")
    ]
)


@given(st.lists(PIECES | st.text(max_size=30), max_size=30).map("\n".join))
def test_any_mixture_of_lines_is_read(text):
    """Whatever order a stream brings lines in, reading them ends without an error and within bounds."""
    trace = traces.read(text)

    assert trace is None or (trace.thrown or trace.frames)
    assert trace is None or 0 <= trace.begins < len(text.split("\n"))


def test_an_endless_recursion_is_bounded_and_keeps_its_own_frame():
    """Of many frames the innermost stay, and the own one is found beyond them."""
    deep = "".join(f"\tat java.util.Map.get(Map.java:{n})\n" for n in range(900))
    trace = traces.read(f"java.lang.StackOverflowError\n{deep}\tat com.acme.Foo.bar(Foo.java:1)\n")

    assert len(trace.frames) == MOST_FRAMES
    assert trace.frame.function == "com.acme.Foo.bar"


@pytest.mark.parametrize(
    "piece",
    ["at a.", "at (", "at a b (", "File \"", "a:1:in `", "\tx.go:", "thread 'x' panicked at '", "0: ", "Caused by: ", "((",
     "A::", "goroutine 1 [", " |+", "a/b@", "---> "],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "\n"])
def test_no_text_is_slow(piece, end):
    """The longest text of one piece again and again is read in far less than a second."""
    text = 'File "\n.go:\n:in `\nat \n panicked at \n' + ((piece + end) * 65_536)[:65_536]
    began = time.process_time()
    traces.read(text)

    assert time.process_time() - began < 1.0
