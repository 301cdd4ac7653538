//! What all charts look like.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width of every chart, in pixels.
pub const WIDTH: u32 = 860;

/// Size of the text as `plotters` counts it, which is a quarter more than pixels.
const TEXT: u32 = 16;

/// Height of a line of text with what is between lines.
pub const LINE: u32 = 22;

/// The text's colour, halfway between white and black.
pub const INK: RGBColor = RGBColor(125, 125, 125);

/// The series' colours, in this order; they can be told apart by people who see some colours alike.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 130, 200),
    RGBColor(230, 140, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 105, 160),
    RGBColor(140, 140, 140),
    RGBColor(213, 80, 0),
    RGBColor(120, 100, 220),
    RGBColor(170, 150, 0),
];

/// A drawing of which a chart fills a part.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What goes wrong when a chart is drawn into a string: nothing.
pub const CANNOT_FAIL: &str = "a string takes whatever is drawn to it";

/// The colour of the series with this index; there are only so many, and then they begin anew.
pub fn colour(series: usize) -> RGBColor {
    PALETTE[series % PALETTE.len()]
}

/// Text of the charts' font and colour, placed with this side of it where it is said to be.
pub fn text(horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

/// The width that `words` take, in pixels. The reader's font is not known, so this is what a wide
/// one would need.
pub fn width_of(words: &str) -> u32 {
    words.chars().count() as u32 * (TEXT / 2)
}

/// A value beside an axis, without the last digits in which tenths are not exact.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "this is how it is called")]
pub fn label(value: &f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

/// The drawing `draw` makes on an empty SVG of this height.
pub fn drawn(height: u32, draw: impl FnOnce(&Area<'_>)) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    draw(&area);
    area.present().expect(CANNOT_FAIL);
    drop(area);
    svg
}

/// Where each name of a legend goes: the left end and the line, in pixels. Names that do not fit
/// begin a new line.
pub struct Legend<'a> {
    names: Vec<(&'a str, i32, i32)>,
    height: u32,
}

impl<'a> Legend<'a> {
    /// Sets the names of the series.
    pub fn of(names: impl IntoIterator<Item = &'a str>) -> Legend<'a> {
        const MARK_AND_GAP: u32 = 38;
        let mut legend = Legend { names: Vec::new(), height: LINE };
        let mut left = 0;
        for name in names {
            let width = width_of(name) + MARK_AND_GAP;
            if left > 0 && left + width > WIDTH {
                left = 0;
                legend.height += LINE;
            }
            let middle = legend.height - LINE / 2;
            legend.names.push((name, left as i32, middle as i32));
            left += width;
        }
        legend
    }

    /// How much room it takes.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Draws it at the top of `area`.
    pub fn draw(&self, area: &Area<'_>) {
        for (series, &(name, left, middle)) in self.names.iter().enumerate() {
            let mark = [(left + 2, middle - 6), (left + 14, middle + 6)];
            area.draw(&Rectangle::new(mark, colour(series).filled())).expect(CANNOT_FAIL);
            area.draw(&Text::new(name, (left + 20, middle), text(HPos::Left))).expect(CANNOT_FAIL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_that_is_too_long_for_a_line_goes_on_in_the_next() {
        let name = "n".repeat(WIDTH as usize / 20);
        assert_eq!(Legend::of([name.as_str()]).height(), LINE);
        assert_eq!(Legend::of([name.as_str(); 4]).height(), 2 * LINE);
        assert_eq!(Legend::of([]).height(), LINE);
    }

    #[test]
    fn values_beside_an_axis_have_no_digits_that_are_not_exact() {
        assert_eq!([0.1 + 0.2, 1.0, 250.0].map(|value| label(&value)), ["0.3", "1", "250"]);
    }
}
