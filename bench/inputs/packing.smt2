; Integers: twelve parcels of given weights into four lorries, none loaded with more than four above another.
(set-logic QF_LIA)
(define-fun in ((lorry Int) (place Int) (weight Int)) Int (ite (= place lorry) weight 0))
(declare-const a Int) (declare-const b Int) (declare-const c Int) (declare-const d Int) (declare-const e Int)
(declare-const f Int) (declare-const g Int) (declare-const h Int) (declare-const i Int) (declare-const j Int)
(declare-const k Int) (declare-const l Int)
(define-fun load ((lorry Int)) Int
  (+ (in lorry a 31) (in lorry b 37) (in lorry c 41) (in lorry d 43)
     (in lorry e 47) (in lorry f 53) (in lorry g 59) (in lorry h 61)
     (in lorry i 67) (in lorry j 71) (in lorry k 73) (in lorry l 79)))
(assert (and (<= 1 a 4) (<= 1 b 4) (<= 1 c 4) (<= 1 d 4) (<= 1 e 4) (<= 1 f 4)))
(assert (and (<= 1 g 4) (<= 1 h 4) (<= 1 i 4) (<= 1 j 4) (<= 1 k 4) (<= 1 l 4)))
(assert (distinct a b)) (assert (distinct b c)) (assert (distinct i j)) (assert (distinct k l))
(define-fun even-enough ((x Int) (y Int)) Bool (and (<= (- (load x) (load y)) 4) (<= (- (load y) (load x)) 4)))
(assert (and (even-enough 1 2) (even-enough 1 3) (even-enough 1 4) (even-enough 2 3) (even-enough 2 4) (even-enough 3 4)))
(check-sat)
; No lorry may be loaded with an odd weight either.
(assert (and (= (mod (load 1) 2) 0) (= (mod (load 2) 2) 0) (= (mod (load 3) 2) 0) (= (mod (load 4) 2) 0)))
(check-sat)
