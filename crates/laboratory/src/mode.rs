//! When the module comes into a program.

/// What a test program prints, with its process id, when it waits for the module to be injected. It
/// goes on when it reads a line.
pub const READY: &str = "ready ";

/// When the module comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Never: the untouched C runtime.
    Plain,
    /// Before the program's own code, by `allograft run`.
    Early,
    /// While the program waits for it, by `allograft inject`.
    Injected,
    /// This many milliseconds after the start, by `allograft run --late`.
    Late(u32),
}
