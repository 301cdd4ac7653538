//! Which run comes when.

/// What a run is with respect to the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On the program's own heap.
    Without,
    /// On mimalloc.
    With,
}

impl Side {
    /// Both, in the order of the table's columns.
    pub const BOTH: [Side; 2] = [Side::Without, Side::With];

    /// How it is called.
    pub fn name(self) -> &'static str {
        match self {
            Side::Without => "without",
            Side::With => "with",
        }
    }

    /// The same with what it is about.
    pub fn phrase(self) -> &'static str {
        match self {
            Side::Without => "without mimalloc",
            Side::With => "with mimalloc",
        }
    }
}

/// The order of the two runs of a round. It is turned round in every other one, so that what gets
/// slower or faster over the time, such as a warm processor, favours neither.
pub fn of_round(round: u32) -> [Side; 2] {
    let [first, second] = Side::BOTH;
    if round.is_multiple_of(2) { [first, second] } else { [second, first] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_side_is_always_first() {
        let order: Vec<Side> = (0..2).flat_map(of_round).collect();
        use Side::{With, Without};
        assert_eq!(order, [Without, With, With, Without]);
    }
}
