;; The tests' guest: a core module that does what the first byte of a message, or of the configuration, tells it to.
;; It speaks the canonical ABI by hand, so that it can misbehave exactly as wanted. All that a call is given lies in a
;; bump heap that is reset at its end.
;;
;; Memory: 0 texts, 1024 the result, 65536 the commands of a step (32 bytes each), 131072 the heap.
(module
  (import "scenehost:scene/diagnostics@0.3.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "the board is broken")
  (data (i32.const 32) "nobody may sit on seat 7")
  (data (i32.const 64) "panicked: index out of bounds")
  (data (i32.const 96) "a line for the designer")
  (data (i32.const 128) "\ff\fe\fd")
  (global $heap (mut i32) (i32.const 131072))
  (global $count (mut i32) (i32.const 0))
  (global $random (mut i64) (i64.const 0))
  (global $starts (mut i32) (i32.const 0))
  (global $big_snapshot (mut i32) (i32.const 0))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
    (local.get $at))

  ;; ok, with nothing in it
  (func $ok (result i32)
    (global.set $heap (i32.const 131072))
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1028) (i32.const 0))
    (i32.store (i32.const 1032) (i32.const 0))
    (i32.const 1024))
  (func $ok_list (param $at i32) (param $len i32) (result i32)
    (drop (call $ok))
    (i32.store (i32.const 1028) (local.get $at))
    (i32.store (i32.const 1032) (local.get $len))
    (i32.const 1024))
  (func $err (param $at i32) (param $len i32) (result i32)
    (drop (call $ok_list (local.get $at) (local.get $len)))
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.const 1024))

  (func $panic
    (call $log (i32.const 3) (i32.const 64) (i32.const 29))
    unreachable)
  (func $forever (loop $again (br $again)))
  (func $recurse (param $n i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get $n) (i32.const 1)))))
  (func $grow_until_refused
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))))
  (func $log_many (param $n i32)
    (loop $more
      (call $log (i32.const 1) (i32.const 96) (i32.const 23))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (local.get $n))))

  ;; the address of a new command
  (func $command (param $case i32) (result i32)
    (local $at i32)
    (local.set $at (i32.add (i32.const 65536) (i32.mul (global.get $count) (i32.const 32))))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (local.get $at) (local.get $case))
    (local.get $at))
  (func $send_all (param $body i32) (param $len i32)
    (local $at i32)
    (local.set $at (call $command (i32.const 0)))
    (i32.store8 offset=8 (local.get $at) (i32.const 2))
    (i32.store offset=20 (local.get $at) (local.get $body))
    (i32.store offset=24 (local.get $at) (local.get $len)))
  (func $send_many (param $n i32)
    (loop $more
      (call $send_all (i32.const 0) (i32.const 1))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (local.get $n))))
  (func $label (param $len i32)
    (local $at i32)
    (local.set $at (call $command (i32.const 3)))
    (i32.store offset=8 (local.get $at) (i32.const 4096))
    (i32.store offset=12 (local.get $at) (local.get $len)))
  (func $timer (param $id i32) (param $after_ms i32)
    (local $at i32)
    (local.set $at (call $command (i32.const 7)))
    (i64.store offset=8 (local.get $at) (i64.extend_i32_u (local.get $id)))
    (i32.store offset=16 (local.get $at) (local.get $after_ms)))
  (func $timers (param $n i32)
    (loop $more
      (call $timer (local.get $n) (i32.const 1000))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $more (local.get $n))))
  (func $cancel_timer (param $id i32)
    (i64.store offset=8 (call $command (i32.const 8)) (i64.extend_i32_u (local.get $id))))
  (func $finish
    (local $at i32)
    (local.set $at (call $command (i32.const 10)))
    (i32.store offset=8 (local.get $at) (i32.const 0))
    (i32.store offset=12 (local.get $at) (i32.const 0)))
  (func $send_random
    (local $at i32)
    (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
    (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
    (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (local.get $at) (i32.const 8)))
    (i64.store align=1 (local.get $at) (global.get $random))
    (call $send_all (local.get $at) (i32.const 8)))

  ;; What a message asks for: its first byte; one or two more are numbers.
  (func $obey (param $body i32) (param $len i32)
    (local $op i32) (local $a i32) (local $b i32)
    (local.set $op (i32.load8_u (local.get $body)))
    (local.set $a (i32.load8_u offset=1 (local.get $body)))
    (local.set $b (i32.load8_u offset=2 (local.get $body)))
    (if (i32.eq (local.get $op) (i32.const 101)) ;; e: echo
      (then (call $send_all (local.get $body) (local.get $len))))
    (if (i32.eq (local.get $op) (i32.const 108)) ;; l: loop
      (then (call $forever)))
    (if (i32.eq (local.get $op) (i32.const 116)) ;; t: trap
      (then (call $panic)))
    (if (i32.eq (local.get $op) (i32.const 109)) ;; m: memory, then abort as allocators do
      (then (call $grow_until_refused) unreachable))
    (if (i32.eq (local.get $op) (i32.const 104)) ;; h: memory, and carry on
      (then (call $grow_until_refused)))
    (if (i32.eq (local.get $op) (i32.const 114)) ;; r: recursion
      (then (drop (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get $op) (i32.const 102)) ;; f: flood of a * 16 messages
      (then (call $send_many (i32.mul (local.get $a) (i32.const 16)))))
    (if (i32.eq (local.get $op) (i32.const 103)) ;; g: one message of a * 64 KiB
      (then
        (drop (memory.grow (i32.add (local.get $a) (i32.const 1))))
        (call $send_all (i32.const 131072) (i32.mul (local.get $a) (i32.const 65536)))))
    (if (i32.eq (local.get $op) (i32.const 111)) ;; o: a body outside of memory
      (then (call $send_all (i32.const 131072) (i32.const 2147483647))))
    (if (i32.eq (local.get $op) (i32.const 107)) ;; k: a command that there is not
      (then (drop (call $command (i32.const 77)))))
    (if (i32.eq (local.get $op) (i32.const 98)) ;; b: a label of a * 64 bytes
      (then (call $label (i32.mul (local.get $a) (i32.const 64)))))
    (if (i32.eq (local.get $op) (i32.const 120)) ;; x: a * 64 log lines
      (then (call $log_many (i32.mul (local.get $a) (i32.const 64)))))
    (if (i32.eq (local.get $op) (i32.const 84)) ;; T: timer a in b * 10 ms
      (then (call $timer (local.get $a) (i32.mul (local.get $b) (i32.const 10)))))
    (if (i32.eq (local.get $op) (i32.const 78)) ;; N: a * 16 timers
      (then (call $timers (i32.mul (local.get $a) (i32.const 16)))))
    (if (i32.eq (local.get $op) (i32.const 67)) ;; C: cancel timer a
      (then (call $cancel_timer (local.get $a))))
    (if (i32.eq (local.get $op) (i32.const 70)) ;; F: finish
      (then (call $finish)))
    (if (i32.eq (local.get $op) (i32.const 100)) ;; d: draw a random number
      (then (call $send_random)))
    (if (i32.eq (local.get $op) (i32.const 110)) ;; n: how often this instance was started
      (then
        (i32.store8 (i32.const 2064) (global.get $starts))
        (call $send_all (i32.const 2064) (i32.const 1))))
    (if (i32.eq (local.get $op) (i32.const 83)) ;; S: snapshots are 5 MiB from now on
      (then (global.set $big_snapshot (i32.const 1)))))

  (func (export "scenehost:scene/logic@0.3.0#start")
      (param $seed i64) (param i32) (param $conf i32) (param $conf_len i32)
      (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (local $op i32)
    (global.set $random (local.get $seed))
    (global.set $starts (i32.add (global.get $starts) (i32.const 1)))
    (if (local.get $conf_len) (then (local.set $op (i32.load8_u (local.get $conf)))))
    (if (i32.eq (local.get $op) (i32.const 108)) (then (call $forever)))
    (if (i32.eq (local.get $op) (i32.const 116)) (then (call $panic)))
    (if (i32.eq (local.get $op) (i32.const 69)) ;; E
      (then (return (call $err (i32.const 0) (i32.const 19)))))
    (call $ok))

  (func (export "scenehost:scene/logic@0.3.0#admit")
      (param $seat i32) (param i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (local.get $seat) (i32.const 7))
      (then (return (call $err (i32.const 32) (i32.const 24)))))
    (if (i32.eq (local.get $seat) (i32.const 8)) (then (call $panic)))
    (call $ok))

  (func (export "scenehost:scene/logic@0.3.0#step")
      (param i64 i64) (param $event i32) (param $events i32) (result i32)
    (local $case i32) (local $body i32)
    (global.set $count (i32.const 0))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $events)))
        (local.set $case (i32.load8_u (local.get $event)))
        (if (i32.eq (local.get $case) (i32.const 4)) ;; message
          (then
            (local.set $body (i32.load offset=12 (local.get $event)))
            (if (i32.eq (i32.load8_u (local.get $body)) (i32.const 69)) ;; E: the game gives up
              (then (return (call $err (i32.const 0) (i32.const 19)))))
            (if (i32.eq (i32.load8_u (local.get $body)) (i32.const 117)) ;; u: with a text that is not UTF-8
              (then (return (call $err (i32.const 128) (i32.const 3)))))
            (call $obey (local.get $body) (i32.load offset=16 (local.get $event))))
          (else
            ;; Any other event is answered by its case and the low byte of its first field.
            (i32.store8 offset=1 (local.get $event) (i32.load8_u offset=8 (local.get $event)))
            (call $send_all (local.get $event) (i32.const 2))))
        (local.set $event (i32.add (local.get $event) (i32.const 56)))
        (local.set $events (i32.sub (local.get $events) (i32.const 1)))
        (br $next)))
    (call $ok_list (i32.const 65536) (global.get $count)))

  (func (export "scenehost:scene/logic@0.3.0#save") (result i32)
    (if (global.get $big_snapshot)
      (then
        (drop (memory.grow (i32.const 80)))
        (return (call $ok_list (i32.const 131072) (i32.const 5242880)))))
    (i64.store (i32.const 2048) (global.get $random))
    (call $ok_list (i32.const 2048) (i32.const 8)))

  (func (export "scenehost:scene/logic@0.3.0#load")
      (param i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $snapshot i32) (param $len i32) (result i32)
    (if (i32.ne (local.get $len) (i32.const 8))
      (then (return (call $err (i32.const 0) (i32.const 19)))))
    (global.set $random (i64.load align=1 (local.get $snapshot)))
    (call $ok))
)
