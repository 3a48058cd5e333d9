;; Decoders of LZ4 and snappy blocks, from this module's memory into this module's memory.
;;
;; Formats: lz4_Block_format.md of LZ4, format_description.txt of snappy.
;;
;; Copies are "wild": 16 bytes at a time, up to 15 past their end. The caller leaves SLACK_BYTES (block-decoder.ts) behind
;; the input and behind the output, and every length is checked against its end first, so nothing else is touched and
;; damaged input cannot reach outside. Results: the end of the output, or one of
;;   -1  the block is damaged
;;   -2  the output has no room for it
;;
;; `npm run build:wasm` makes block-decoder-module.ts of this file; a test fails where that was forgotten.
(module
  (memory (export "memory") 1)

  ;; Copies $size bytes that do not overlap; may write up to 15 more.
  (func $copyApart (param $from i32) (param $to i32) (param $size i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $size)))
    (loop $more
      (v128.store align=1 (local.get $to) (v128.load align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $more (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Repeats $size bytes from $distance before $to on; where the two overlap the bytes just written count.
  (func $copyMatch (param $to i32) (param $distance i32) (param $size i32)
    (local $from i32) (local $end i32)
    (local.set $from (i32.sub (local.get $to) (local.get $distance)))
    (if (i32.ge_u (local.get $distance) (i32.const 16))
      (then (return (call $copyApart (local.get $from) (local.get $to) (local.get $size)))))
    (local.set $end (i32.add (local.get $to) (local.get $size)))
    (if (i32.ge_u (local.get $distance) (i32.const 8))
      (then
        (loop $more
          (i64.store align=1 (local.get $to) (i64.load align=1 (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 8)))
          (local.set $to (i32.add (local.get $to) (i32.const 8)))
          (br_if $more (i32.lt_u (local.get $to) (local.get $end))))
        (return)))
    (loop $more
      (i32.store8 (local.get $to) (i32.load8_u (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $to) (local.get $end)))))

  ;; One LZ4 block at [$from, $fromEnd) to $to. Matches reach back to $window at most: an earlier block of the same frame
  ;; may lie between it and $to.
  (func (export "decodeLz4")
    (param $from i32) (param $fromEnd i32) (param $to i32) (param $toEnd i32) (param $window i32) (result i32)
    (local $token i32) (local $size i32) (local $byte i32) (local $distance i32)
    (loop $sequence
      (if (i32.ge_u (local.get $from) (local.get $fromEnd)) (then (return (i32.const -1))))
      (local.set $token (i32.load8_u (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))

      (local.set $size (i32.shr_u (local.get $token) (i32.const 4)))
      (if (i32.eq (local.get $size) (i32.const 15))
        (then
          (loop $extend
            (if (i32.ge_u (local.get $from) (local.get $fromEnd)) (then (return (i32.const -1))))
            (local.set $byte (i32.load8_u (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $size (i32.add (local.get $size) (local.get $byte)))
            (br_if $extend (i32.eq (local.get $byte) (i32.const 255))))))
      (if (i32.gt_u (local.get $size) (i32.sub (local.get $fromEnd) (local.get $from))) (then (return (i32.const -1))))
      (if (i32.gt_u (local.get $size) (i32.sub (local.get $toEnd) (local.get $to))) (then (return (i32.const -2))))
      (if (local.get $size)
        (then (call $copyApart (local.get $from) (local.get $to) (local.get $size))))
      (local.set $from (i32.add (local.get $from) (local.get $size)))
      (local.set $to (i32.add (local.get $to) (local.get $size)))
      ;; The last sequence has no match.
      (if (i32.eq (local.get $from) (local.get $fromEnd)) (then (return (local.get $to))))

      (if (i32.lt_u (i32.sub (local.get $fromEnd) (local.get $from)) (i32.const 2)) (then (return (i32.const -1))))
      (local.set $distance (i32.load16_u align=1 (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))
      ;; One less, unsigned: a distance of 0 is out of reach too.
      (if (i32.ge_u (i32.sub (local.get $distance) (i32.const 1)) (i32.sub (local.get $to) (local.get $window)))
        (then (return (i32.const -1))))
      (local.set $size (i32.add (i32.and (local.get $token) (i32.const 15)) (i32.const 4)))
      (if (i32.eq (local.get $size) (i32.const 19))
        (then
          (loop $extend
            (if (i32.ge_u (local.get $from) (local.get $fromEnd)) (then (return (i32.const -1))))
            (local.set $byte (i32.load8_u (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $size (i32.add (local.get $size) (local.get $byte)))
            (br_if $extend (i32.eq (local.get $byte) (i32.const 255))))))
      (if (i32.gt_u (local.get $size) (i32.sub (local.get $toEnd) (local.get $to))) (then (return (i32.const -2))))
      (call $copyMatch (local.get $to) (local.get $distance) (local.get $size))
      (local.set $to (i32.add (local.get $to) (local.get $size)))
      (br $sequence))
    (unreachable))

  ;; The elements of one snappy block, after its length, at [$from, $fromEnd) to [$to, $toEnd): they must fill it.
  (func (export "decodeSnappy")
    (param $from i32) (param $fromEnd i32) (param $to i32) (param $toEnd i32) (result i32)
    (local $tag i32) (local $size i32) (local $distance i32) (local $window i32) (local $sizeBytes i32)
    (local.set $window (local.get $to))
    (block $done
      (loop $element
        (br_if $done (i32.ge_u (local.get $from) (local.get $fromEnd)))
        (local.set $tag (i32.load8_u (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (if (i32.eqz (i32.and (local.get $tag) (i32.const 3)))
          (then ;; a literal
            (local.set $size (i32.add (i32.shr_u (local.get $tag) (i32.const 2)) (i32.const 1)))
            (if (i32.gt_u (local.get $size) (i32.const 60))
              (then
                (local.set $sizeBytes (i32.sub (local.get $size) (i32.const 60)))
                (if (i32.gt_u (local.get $sizeBytes) (i32.sub (local.get $fromEnd) (local.get $from)))
                  (then (return (i32.const -1))))
                ;; Four bytes are there to be read, by the slack; those beyond the size are cut off.
                (local.set $size (i32.load align=1 (local.get $from)))
                (if (i32.lt_u (local.get $sizeBytes) (i32.const 4))
                  (then
                    (local.set $size
                      (i32.and
                        (local.get $size)
                        (i32.sub
                          (i32.shl (i32.const 1) (i32.shl (local.get $sizeBytes) (i32.const 3)))
                          (i32.const 1))))))
                (local.set $size (i32.add (local.get $size) (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (local.get $sizeBytes)))))
            ;; A size of 2^32 wraps to 0.
            (if (i32.eqz (local.get $size)) (then (return (i32.const -1))))
            (if (i32.gt_u (local.get $size) (i32.sub (local.get $fromEnd) (local.get $from)))
              (then (return (i32.const -1))))
            (if (i32.gt_u (local.get $size) (i32.sub (local.get $toEnd) (local.get $to)))
              (then (return (i32.const -2))))
            (call $copyApart (local.get $from) (local.get $to) (local.get $size))
            (local.set $from (i32.add (local.get $from) (local.get $size)))
            (local.set $to (i32.add (local.get $to) (local.get $size)))
            (br $element)))
        (if (i32.eq (i32.and (local.get $tag) (i32.const 3)) (i32.const 1))
          (then
            (if (i32.ge_u (local.get $from) (local.get $fromEnd)) (then (return (i32.const -1))))
            (local.set $size
              (i32.add (i32.and (i32.shr_u (local.get $tag) (i32.const 2)) (i32.const 7)) (i32.const 4)))
            (local.set $distance
              (i32.or
                (i32.shl (i32.and (local.get $tag) (i32.const 0xe0)) (i32.const 3))
                (i32.load8_u (local.get $from))))
            (local.set $from (i32.add (local.get $from) (i32.const 1))))
          (else
            (local.set $size (i32.add (i32.shr_u (local.get $tag) (i32.const 2)) (i32.const 1)))
            (if (i32.eq (i32.and (local.get $tag) (i32.const 3)) (i32.const 2))
              (then
                (if (i32.lt_u (i32.sub (local.get $fromEnd) (local.get $from)) (i32.const 2))
                  (then (return (i32.const -1))))
                (local.set $distance (i32.load16_u align=1 (local.get $from)))
                (local.set $from (i32.add (local.get $from) (i32.const 2))))
              (else
                (if (i32.lt_u (i32.sub (local.get $fromEnd) (local.get $from)) (i32.const 4))
                  (then (return (i32.const -1))))
                (local.set $distance (i32.load align=1 (local.get $from)))
                (local.set $from (i32.add (local.get $from) (i32.const 4)))))))
        (if (i32.ge_u (i32.sub (local.get $distance) (i32.const 1)) (i32.sub (local.get $to) (local.get $window)))
          (then (return (i32.const -1))))
        (if (i32.gt_u (local.get $size) (i32.sub (local.get $toEnd) (local.get $to))) (then (return (i32.const -2))))
        (call $copyMatch (local.get $to) (local.get $distance) (local.get $size))
        (local.set $to (i32.add (local.get $to) (local.get $size)))
        (br $element)))
    (local.get $to)))
