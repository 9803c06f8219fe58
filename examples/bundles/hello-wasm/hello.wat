;; A WASI preview 1 command: prints a greeting, then its arguments, one a line.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)

  ;; 0 number of arguments, 4 their size, 8 and 12 one ciovec, 16 bytes written, 64 text, 4096 pointers, 65536 strings
  (data (i32.const 64) "hello from WebAssembly\n")

  (func $print (param $address i32) (param $length i32)
    (i32.store (i32.const 8) (local.get $address))
    (i32.store (i32.const 12) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))

  ;; The strings lie one behind the other, each with a NUL at its end: turn every NUL into a new line.
  (func $nul_to_newline (param $address i32) (param $end i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $address) (local.get $end)))
        (if (i32.eqz (i32.load8_u (local.get $address)))
          (then (i32.store8 (local.get $address) (i32.const 10))))
        (local.set $address (i32.add (local.get $address) (i32.const 1)))
        (br $next))))

  (func (export "_start")
    (call $print (i32.const 64) (i32.const 23))
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 4096) (i32.const 65536)))
    (call $nul_to_newline (i32.const 65536) (i32.add (i32.const 65536) (i32.load (i32.const 4))))
    (call $print (i32.const 65536) (i32.load (i32.const 4)))))
