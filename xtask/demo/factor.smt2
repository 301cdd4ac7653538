; Which two numbers of 18 bits, both above 1, multiply to 39993200033?
;
; There is one pair. The solver turns the multiplication into some thousand clauses and searches; it asks its heap for
; about ten million blocks on the way, which is what makes it a good thing to show an allocator with.
(set-logic QF_BV)
(declare-const a (_ BitVec 18))
(declare-const b (_ BitVec 18))
(assert (= (bvmul ((_ zero_extend 18) a) ((_ zero_extend 18) b)) (_ bv39993200033 36)))
(assert (bvugt a (_ bv1 18)))
(assert (bvugt b (_ bv1 18)))
(assert (bvule a b))
(check-sat)
(get-value (a b))
