//! `allograft bench`: a user's own program, measured without and with mimalloc.
//!
//! [`session`] runs the program; the rest is plain calculation, which is tested on any host.

mod findings;
mod output;
mod rounds;
#[cfg(windows)]
mod session;

#[cfg(windows)]
pub use session::run;
