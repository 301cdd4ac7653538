//! What is checked: a file for each check, or for several that judge the same programs.

pub mod early;
