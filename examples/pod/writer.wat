;; A WASI preview 1 command: writes /www/index.html, then prints /proc/net/tcp, the TCP sockets of its network namespace.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; 0 descriptor, 8 and 12 one iovec, 16 bytes read or written, 64 and on texts, 4096 buffer
  (data (i32.const 64) "www/index.html")
  (data (i32.const 96) "written by WebAssembly\n")
  (data (i32.const 128) "proc/net/tcp")

  ;; The first preopened directory, the container's root, is descriptor 3. Ends with the errno if it can't be opened.
  (func $open (param $name i32) (param $length i32) (param $flags i32) (param $rights i64) (result i32)
    (local $errno i32)
    (local.set $errno (call $path_open (i32.const 3) (i32.const 1) (local.get $name) (local.get $length)
      (local.get $flags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 0)))
    (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
    (i32.load (i32.const 0)))

  (func $write (param $descriptor i32) (param $address i32) (param $length i32)
    (i32.store (i32.const 8) (local.get $address))
    (i32.store (i32.const 12) (local.get $length))
    (drop (call $fd_write (local.get $descriptor) (i32.const 8) (i32.const 1) (i32.const 16))))

  (func $show (param $descriptor i32)
    (loop $more
      (i32.store (i32.const 8) (i32.const 4096))
      (i32.store (i32.const 12) (i32.const 4096))
      (drop (call $fd_read (local.get $descriptor) (i32.const 8) (i32.const 1) (i32.const 16)))
      (if (i32.load (i32.const 16))
        (then
          (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 16)))
          (br $more)))))

  ;; Flags 1 and 8 are O_CREAT and O_TRUNC; rights 2 and 64 are those to read and to write.
  (func (export "_start")
    (call $write
      (call $open (i32.const 64) (i32.const 14) (i32.const 9) (i64.const 64)) (i32.const 96) (i32.const 23))
    (call $show (call $open (i32.const 128) (i32.const 12) (i32.const 0) (i64.const 2)))))
