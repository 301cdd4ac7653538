; Which two numbers of 17 bits, both above 1, multiply to 9914198191?
;
; There is one pair. The solver turns the multiplication into some thousand clauses and searches for a second. Its heap
; holds the clauses it learns meanwhile.
(set-logic QF_BV)
(declare-const a (_ BitVec 17))
(declare-const b (_ BitVec 17))
(assert (= (bvmul ((_ zero_extend 17) a) ((_ zero_extend 17) b)) (_ bv9914198191 34)))
(assert (bvugt a (_ bv1 17)))
(assert (bvugt b (_ bv1 17)))
(assert (bvule a b))
(check-sat)
(get-value (a b))
