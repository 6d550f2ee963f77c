;; The tests' rule: a core module that does in every call what the first byte of its configuration tells it to.
;; It speaks the canonical ABI by hand, so that it can misbehave exactly as wanted.
;;
;; Memory: 0 texts, 1024 the result, 4096 a list of answers, 65536 the heap, which is never given back.
(module
  (import "scenehost:scene/diagnostics@0.3.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "panicked: no such role")
  (data (i32.const 32) "a line for the designer")
  (data (i32.const 64) "\ff\fe\fd")
  (data (i32.const 96) "you are too good")
  (data (i32.const 128) "no such setting")
  (global $heap (mut i32) (i32.const 65536))
  ;; how often it was called, as it thinks
  (global $calls (mut i32) (i32.const 0))

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

  (func $recurse (param $n i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get $n) (i32.const 1)))))

  ;; whether the configuration asks for this letter
  (func $is (param $configuration i32) (param $letter i32) (result i32)
    (i32.eq (i32.load8_u (local.get $configuration)) (local.get $letter)))

  ;; what needs no answer: l loop, t trap, m memory, r recursion, x log without end, i one line of log, f fill memory
  (func $obey (param $configuration i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (call $is (local.get $configuration) (i32.const 0x6c)) (then (loop $again (br $again))))
    (if (call $is (local.get $configuration) (i32.const 0x74))
      (then (call $log (i32.const 3) (i32.const 0) (i32.const 22)) unreachable))
    (if (call $is (local.get $configuration) (i32.const 0x6d))
      (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable))
    (if (call $is (local.get $configuration) (i32.const 0x72)) (then (drop (call $recurse (i32.const 0)))))
    (if (call $is (local.get $configuration) (i32.const 0x78))
      (then (loop $more (call $log (i32.const 1) (i32.const 32) (i32.const 23)) (br $more))))
    (if (call $is (local.get $configuration) (i32.const 0x69))
      (then (call $log (i32.const 1) (i32.const 32) (i32.const 23))))
    (if (call $is (local.get $configuration) (i32.const 0x66))
      (then (loop $more (memory.fill (i32.const 131072) (i32.const 7) (i32.const 131072)) (br $more)))))

  ;; the result area, cleared
  (func $result (result i32)
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
    (i32.const 1024))

  ;; ok with the configuration for its name; q: err
  (func (export "scenehost:match-rule/rule@0.1.0#describe") (param $configuration i32) (param $len i32) (result i32)
    (call $obey (local.get $configuration))
    (drop (call $result))
    (i32.store (i32.const 1028) (local.get $configuration))
    (i32.store (i32.const 1032) (local.get $len))
    ;; it classifies and judges, and knows games
    (i32.store8 (i32.const 1044) (i32.const 1))
    (i32.store8 (i32.const 1045) (i32.const 1))
    (i32.store8 (i32.const 1048) (i32.const 1))
    (if (call $is (local.get $configuration) (i32.const 0x71))
      (then
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1028) (i32.const 128))
        (i32.store (i32.const 1032) (i32.const 15))))
    (i32.const 1024))

  ;; the configuration for the bracket, and for the rating how often it was called; n: err; g: a bracket of 1 MiB;
  ;; u: one that is not UTF-8; o: one outside of memory
  (func (export "scenehost:match-rule/rule@0.1.0#classify")
    (param $configuration i32) (param $len i32) (param $words i32) (param $words_len i32)
    (param $number i64) (param $waited i64)
    (param $players i32) (param $players_len i32) (param $regions i32) (param $regions_len i32) (result i32)
    (call $obey (local.get $configuration))
    (drop (call $result))
    (if (call $is (local.get $configuration) (i32.const 0x6e))
      (then
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1032) (i32.const 96))
        (i32.store (i32.const 1036) (i32.const 16))
        (return (i32.const 1024))))
    (i32.store8 (i32.const 1032) (i32.const 1))
    (i32.store (i32.const 1036) (global.get $calls))
    (i32.store (i32.const 1040) (local.get $configuration))
    (i32.store (i32.const 1044) (local.get $len))
    (i32.store8 (i32.const 1048) (i32.const 1))
    (i64.store (i32.const 1056) (local.get $waited))
    (if (call $is (local.get $configuration) (i32.const 0x67))
      (then
        (drop (memory.grow (i32.const 16)))
        (i32.store (i32.const 1044) (i32.const 0x100000))))
    (if (call $is (local.get $configuration) (i32.const 0x75))
      (then
        (i32.store (i32.const 1040) (i32.const 64))
        (i32.store (i32.const 1044) (i32.const 3))))
    (if (call $is (local.get $configuration) (i32.const 0x6f))
      (then (i32.store (i32.const 1040) (i32.const 0x7fffffff))))
    (i32.const 1024))

  ;; a score for each proposal: how many tickets there are in all; k: a verdict that is none; n: one verdict too many
  (func (export "scenehost:match-rule/rule@0.1.0#judge")
    (param $configuration i32) (param $len i32) (param $words i32) (param $words_len i32)
    (param $tickets i32) (param $tickets_len i32) (param $proposals i32) (param $proposals_len i32) (result i32)
    (local $i i32)
    (call $obey (local.get $configuration))
    (if (call $is (local.get $configuration) (i32.const 0x6e))
      (then (local.set $proposals_len (i32.add (local.get $proposals_len) (i32.const 1)))))
    (drop (call $result))
    (i32.store (i32.const 1024) (i32.const 4096))
    (i32.store (i32.const 1028) (local.get $proposals_len))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $i) (local.get $proposals_len)))
        (i32.store8 (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 8))) (i32.const 1))
        (i32.store offset=4 (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 8))) (local.get $tickets_len))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
    (if (call $is (local.get $configuration) (i32.const 0x6b))
      (then (i32.store8 (i32.const 4096) (i32.const 9))))
    (i32.const 1024))

  ;; for each team how many players it has
  (func (export "scenehost:match-rule/rule@0.1.0#score-teams")
    (param $configuration i32) (param $len i32) (param $words i32) (param $words_len i32)
    (param $teams i32) (param $teams_len i32) (result i32)
    (local $i i32)
    (call $obey (local.get $configuration))
    (drop (call $result))
    (i32.store (i32.const 1024) (i32.const 4096))
    (i32.store (i32.const 1028) (local.get $teams_len))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $i) (local.get $teams_len)))
        (i32.store (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 4)))
          (i32.load offset=4 (i32.add (local.get $teams) (i32.mul (local.get $i) (i32.const 8)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
    (i32.const 1024)))
