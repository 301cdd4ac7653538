//! What is checked: a file for each check, or for several that judge the same programs.

pub mod early;
pub mod exits;
pub mod security;
pub mod storms;
pub mod surroundings;
