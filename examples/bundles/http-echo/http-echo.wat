;; A component for the world wasi:http/proxy 0.2: `GET /` answers a line, `POST /echo` the request's body as it comes.
(component
  (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))

  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (type $stream-error-cases (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-cases)))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $input)) (param "len" u64) (result (result (list u8) (error $stream-error)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input))
  (alias export $streams "output-stream" (type $output))

  (import "wasi:http/types@0.2.0" (instance $http
    (alias outer 1 $input (type $outer-input))
    (alias outer 1 $output (type $outer-output))
    (export "input-stream" (type $input (eq $outer-input)))
    (export "output-stream" (type $output (eq $outer-output)))
    (type $method-cases (variant
      (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") (case "options")
      (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $method-cases)))
    (type $dns-fields (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns-fields)))
    (type $tls-fields (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls (eq $tls-fields)))
    (type $size-fields (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size-fields)))
    (type $error-cases (variant
      (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found") (case "destination-unavailable")
      (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused")
      (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout")
      (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error")
      (case "TLS-certificate-error") (case "TLS-alert-received" $tls) (case "HTTP-request-denied")
      (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-cases)))
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $request (sub resource)))
    (export "incoming-body" (type $incoming-body (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "response-outparam" (type $outparam (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]incoming-request.method" (func (param "self" (borrow $request)) (result $method)))
    (export "[method]incoming-request.path-with-query"
      (func (param "self" (borrow $request)) (result (option string))))
    (export "[method]incoming-request.consume"
      (func (param "self" (borrow $request)) (result (result (own $incoming-body)))))
    (export "[method]incoming-body.stream"
      (func (param "self" (borrow $incoming-body)) (result (result (own $input)))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $response)) (result (result (own $outgoing-body)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $outgoing-body)) (result (result (own $output)))))
    (export "[static]outgoing-body.finish" (func
      (param "this" (own $outgoing-body)) (param "trailers" (option (own $fields)))
      (result (result (error $error-code)))))
    (export "[static]response-outparam.set" (func
      (param "param" (own $outparam)) (param "response" (result (own $response) (error $error-code)))))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $outparam))

  ;; 0 what calls return, 64 texts, 65536 the one string or list that is read last
  (core module $memory
    (memory (export "memory") 3)
    (data (i32.const 64) "hello from a WebAssembly component\nnothing is here\n")
    (data (i32.const 128) "/echo")
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (if (i32.gt_u (local.get $new) (i32.const 65536)) (then (unreachable)))
      (i32.const 65536)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $read (canon lower
    (func $streams "[method]input-stream.blocking-read") (memory $mem) (realloc $realloc)))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core func $method (canon lower
    (func $http "[method]incoming-request.method") (memory $mem) (realloc $realloc)))
  (core func $path (canon lower
    (func $http "[method]incoming-request.path-with-query") (memory $mem) (realloc $realloc)))
  (core func $consume (canon lower (func $http "[method]incoming-request.consume") (memory $mem)))
  (core func $stream (canon lower (func $http "[method]incoming-body.stream") (memory $mem)))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $status (canon lower (func $http "[method]outgoing-response.set-status-code")))
  (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $mem)))
  (core func $body-write (canon lower (func $http "[method]outgoing-body.write") (memory $mem)))
  (core func $finish (canon lower
    (func $http "[static]outgoing-body.finish") (memory $mem) (realloc $realloc)))
  (core func $set (canon lower (func $http "[static]response-outparam.set") (memory $mem)))
  (core func $drop-output (canon resource.drop $output))

  (core module $main
    (import "memory" "memory" (memory 3))
    (import "wasi" "read" (func $read (param i32 i64 i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (import "wasi" "method" (func $method (param i32 i32)))
    (import "wasi" "path" (func $path (param i32 i32)))
    (import "wasi" "consume" (func $consume (param i32 i32)))
    (import "wasi" "stream" (func $stream (param i32 i32)))
    (import "wasi" "fields" (func $fields (result i32)))
    (import "wasi" "response" (func $response (param i32) (result i32)))
    (import "wasi" "status" (func $status (param i32 i32) (result i32)))
    (import "wasi" "body" (func $body (param i32 i32)))
    (import "wasi" "body-write" (func $body-write (param i32 i32)))
    (import "wasi" "finish" (func $finish (param i32 i32 i32 i32)))
    (import "wasi" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "wasi" "drop-output" (func $drop-output (param i32)))

    ;; The handle in the result at 0, which has to be a good one.
    (func $handle-at-0 (result i32)
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      (i32.load (i32.const 4)))

    ;; Give the response with this status, and return its body.
    (func $respond (param $outparam i32) (param $code i32) (result i32)
      (local $response i32) (local $body i32)
      (local.set $response (call $response (call $fields)))
      (drop (call $status (local.get $response) (local.get $code)))
      (call $body (local.get $response) (i32.const 0))
      (local.set $body (call $handle-at-0))
      (call $set (local.get $outparam) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (local.get $body))

    (func $output (param $body i32) (result i32)
      (call $body-write (local.get $body) (i32.const 0))
      (call $handle-at-0))

    (func $end (param $body i32) (param $output i32)
      (call $drop-output (local.get $output))
      (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 0)))

    (func $answer (param $outparam i32) (param $code i32) (param $text i32) (param $length i32)
      (local $body i32) (local $output i32)
      (local.set $body (call $respond (local.get $outparam) (local.get $code)))
      (local.set $output (call $output (local.get $body)))
      (call $write (local.get $output) (local.get $text) (local.get $length) (i32.const 0))
      (call $end (local.get $body) (local.get $output)))

    (func $echo (param $request i32) (param $outparam i32)
      (local $input i32) (local $body i32) (local $output i32)
      (call $consume (local.get $request) (i32.const 0))
      (call $stream (call $handle-at-0) (i32.const 0))
      (local.set $input (call $handle-at-0))
      (local.set $body (call $respond (local.get $outparam) (i32.const 200)))
      (local.set $output (call $output (local.get $body)))
      (block $done
        (loop $more
          (call $read (local.get $input) (i64.const 65536) (i32.const 0))
          (br_if $done (i32.load8_u (i32.const 0)))
          (call $write (local.get $output) (i32.load (i32.const 4)) (i32.load (i32.const 8)) (i32.const 16))
          (br_if $done (i32.load8_u (i32.const 16)))
          (br $more)))
      (call $end (local.get $body) (local.get $output)))

    (func $is (param $length i32) (param $expected i32) (result i32)
      (local $place i32)
      (if (i32.or (i32.eqz (i32.load8_u (i32.const 0)))
                  (i32.ne (i32.load (i32.const 8)) (local.get $length))) (then (return (i32.const 0))))
      (local.set $place (i32.load (i32.const 4)))
      (loop $next
        (if (i32.ne (i32.load8_u (local.get $place)) (i32.load8_u (local.get $expected)))
          (then (return (i32.const 0))))
        (local.set $place (i32.add (local.get $place) (i32.const 1)))
        (local.set $expected (i32.add (local.get $expected) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br_if $next (local.get $length)))
      (i32.const 1))

    (func (export "handle") (param $request i32) (param $outparam i32)
      (local $method i32)
      (call $method (local.get $request) (i32.const 0))
      (local.set $method (i32.load8_u (i32.const 0)))
      (call $path (local.get $request) (i32.const 0))
      (if (i32.and (i32.eqz (local.get $method)) (call $is (i32.const 1) (i32.const 128)))
        (then (call $answer (local.get $outparam) (i32.const 200) (i32.const 64) (i32.const 35)) (return)))
      (if (i32.and (i32.eq (local.get $method) (i32.const 2)) (call $is (i32.const 5) (i32.const 128)))
        (then (call $echo (local.get $request) (local.get $outparam)) (return)))
      (call $answer (local.get $outparam) (i32.const 404) (i32.const 99) (i32.const 16))))

  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "wasi" (instance
      (export "read" (func $read)) (export "write" (func $write)) (export "method" (func $method))
      (export "path" (func $path)) (export "consume" (func $consume)) (export "stream" (func $stream))
      (export "fields" (func $fields)) (export "response" (func $response)) (export "status" (func $status))
      (export "body" (func $body)) (export "body-write" (func $body-write)) (export "finish" (func $finish))
      (export "set" (func $set)) (export "drop-output" (func $drop-output))))))

  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
