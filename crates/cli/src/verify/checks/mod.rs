//! What is checked: a file for each check, or for several that judge the same programs.

pub mod children;
pub mod conformance;
pub mod early;
pub mod exits;
pub mod patch;
pub mod proxy;
pub mod scan;
pub mod security;
pub mod storms;
pub mod surroundings;
