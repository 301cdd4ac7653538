//! Charts as SVG.
//!
//! They have no background of their own, and colours that can be told from white and from black.
//! Their text is text, grey unless the page around them sets another colour (as [`crate::page`]
//! does).

mod bars;
mod lines;
mod style;

pub use bars::{BarChart, Group};
pub use lines::{Line, LineChart};
