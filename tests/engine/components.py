"""Components in text form for tests: a frame around a core function, and what it may import."""

COMMAND = """(component
  {imports}
  (core module $main
    {core_imports}
    (func (export "run") (result i32) {body}))
  (core instance $main (instantiate $main {given}))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $export (export "run" (func $run)))
  (export "wasi:cli/run@{version}" (instance $export)))"""

EXIT = """(import "wasi:cli/exit@{version}" (instance $exit
    (export "exit" (func (param "status" (result))))
    (export "exit-with-code" (func (param "status-code" u8)))))
  (core func $exit (canon lower (func $exit "{function}")))"""

# Writes memory from 64 on to stdout (or stderr) with the stream that it asks for.
PRINT = """(component
  (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $cases (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $cases)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))))
  {imports}
  (core module $memory (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $place i32)
      (local.set $place (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $place) (local.get $size)))
      (local.get $place)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  {lowered}
  (core module $main
    (import "memory" "memory" (memory 2))
    (import "wasi" "get" (func $get (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    {core_imports}
    (func $print (param $text i32) (param $length i32)
      (call $write (call $get) (local.get $text) (local.get $length) (i32.const 0)))
    (func (export "run") (result i32) {body} (i32.const 0)))
  (core instance $main (instantiate $main (with "memory" (instance $memory)) (with "wasi" (instance
    (export "get" (func $get)) (export "write" (func $write)) {given}))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $export (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $export)))"""


def command(body: str, version: str = "0.2.0") -> str:
    """A command that imports nothing; `body` leaves 0 for good and 1 for bad."""
    return COMMAND.format(imports="", core_imports="", given="", body=body, version=version)


def exiting(function: str, argument: int, version: str = "0.2.0") -> str:
    """A command that ends itself."""
    return COMMAND.format(
        imports=EXIT.format(version=version, function=function),
        core_imports='(import "wasi" "exit" (func $exit (param i32)))',
        given='(with "wasi" (instance (export "exit" (func $exit))))',
        body=f"(call $exit (i32.const {argument})) (i32.const 0)",
        version=version,
    )


def printing(imports: str = "", lowered: str = "", core_imports: str = "", given: str = "", body: str = "") -> str:
    """A command with memory and `$print` that can call more."""
    return PRINT.format(imports=imports, lowered=lowered, core_imports=core_imports, given=given, body=body)


ARGUMENTS = printing(
    imports="""(import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))
    (export "get-environment" (func (result (list (tuple string string)))))))""",
    lowered="""(core func $arguments (canon lower (func $environment "get-arguments") (memory $mem) (realloc $realloc)))
  (core func $environment (canon lower
    (func $environment "get-environment") (memory $mem) (realloc $realloc)))""",
    core_imports="""(import "wasi" "arguments" (func $arguments (param i32)))
    (import "wasi" "environment" (func $environment (param i32)))
    (func $pairs (param $place i32) (param $count i32)
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $print (i32.load (local.get $place)) (i32.load offset=4 (local.get $place)))
        (i32.store8 (i32.const 64) (i32.const 10))
        (call $print (i32.const 64) (i32.const 1))
        (local.set $place (i32.add (local.get $place) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))""",
    given='(export "arguments" (func $arguments)) (export "environment" (func $environment))',
    body="""(call $arguments (i32.const 16)) (call $pairs (i32.load (i32.const 16)) (i32.load (i32.const 20)))
    (call $environment (i32.const 16))
    (call $pairs (i32.load (i32.const 16)) (i32.mul (i32.const 2) (i32.load (i32.const 20))))""",
)

# What makes the world one of ours where the network is permitted.
NETWORKED = '(import "wasi:sockets/network@0.2.0" (instance (export "network" (type (sub resource)))))'

# Waits for two pollables in one list and prints "ready" when the nearer one, the second, is the only one that is.
POLL = printing(
    imports=f"""{NETWORKED}
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))""",
    lowered="""(core func $poll (canon lower (func $poll "poll") (memory $mem) (realloc $realloc)))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))""",
    core_imports="""(import "wasi" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (data (i32.const 64) "ready\\n")""",
    given='(export "poll" (func $poll)) (export "subscribe" (func $subscribe))',
    body="""(i32.store (i32.const 512) (call $subscribe (i64.const 60000000000)))
    (i32.store (i32.const 516) (call $subscribe (i64.const 20000000)))
    (call $poll (i32.const 512) (i32.const 2) (i32.const 16))
    (if (i32.and (i32.eq (i32.load (i32.const 20)) (i32.const 1))
                 (i32.eq (i32.load (i32.load (i32.const 16))) (i32.const 1)))
      (then (call $print (i32.const 64) (i32.const 6))))""",
)
