//! Charts as SVG.
//!
//! They have no background, and colours that are visible on white and on black. Their text is grey
//! unless the page around them sets another colour, as [`crate::document`] does.

use crate::summary::Summary;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// As `plotters` counts it, which is a quarter more than pixels.
const TEXT_SIZE: u32 = 16;

// All other sizes are in pixels. Those of every chart, of a line chart without its legend, of a
// line of text with the space to the next, and of the room below a chart for its axis:
const WIDTH: u32 = 860;
const HEIGHT: u32 = 360;
const LINE: u32 = 22;
const AXIS: u32 = 46;

// The thickness of a bar, the space between two groups of bars, and the room at the right for the
// numbers behind them:
const BAR: u32 = 16;
const GAP: u32 = 12;
const FIGURES: u32 = 72;

/// The text's colour, halfway between white and black.
const INK: RGBColor = RGBColor(125, 125, 125);

/// The series' colours, in this order; readers who are colour-blind can tell them apart.
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

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Ratios as horizontal bars in groups: the medians, with the quartiles as whiskers. A line across
/// all bars marks 1.
#[derive(Debug, Clone, Default)]
pub struct BarChart {
    /// What is measured, below the axis.
    pub axis: String,
    /// The names of the series, which have one bar each in every group.
    pub series: Vec<String>,
    /// From top to bottom.
    pub groups: Vec<BarGroup>,
    /// Where the axis ends at the latest. Longer bars are cut off, and have an arrow before their
    /// number.
    pub cut_off: Option<f64>,
}

/// The bars of one task.
#[derive(Debug, Clone, Default)]
pub struct BarGroup {
    /// At the left.
    pub name: String,
    /// One for each series, in their order; `None` for a missing measurement.
    pub bars: Vec<Option<Summary>>,
}

/// Curves. Both axes begin at 0.
#[derive(Debug, Clone, Default)]
pub struct LineChart {
    /// The label of the horizontal axis.
    pub horizontal: String,
    /// The label of the vertical axis.
    pub vertical: String,
    /// In the order of the legend.
    pub curves: Vec<Curve>,
}

/// A curve of a [`LineChart`].
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// In the legend.
    pub name: String,
    /// From left to right, finite and not negative.
    pub points: Vec<(f64, f64)>,
}

impl BarChart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let rows = self.groups.len().max(1) as u32;
        svg(&self.series, rows * self.group_height() + AXIS, |area| self.draw(area, rows.into()))
    }

    fn draw(&self, area: &Area<'_>, rows: f64) -> Drawn {
        let end = self.end();
        let names = widest(self.groups.iter().map(|group| &group.name));
        let mut chart = ChartBuilder::on(area)
            .margin_right(FIGURES)
            .x_label_area_size(AXIS)
            .y_label_area_size(names.clamp(LINE, WIDTH / 3) + 10)
            .build_cartesian_2d(0.0..end, rows..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text(HPos::Center))
            .x_desc(&self.axis)
            .x_labels(8)
            .x_label_formatter(&axis_label)
            .draw()?;
        let plot = chart.plotting_area();
        // Below the bars, so that their numbers can be read.
        plot.draw(&PathElement::new(vec![(1.0, 0.0), (1.0, rows)], INK.stroke_width(2)))?;
        let pixel = 1.0 / f64::from(self.group_height());
        for (row, group) in (0..).map(f64::from).zip(&self.groups) {
            let name = Text::new(group.name.clone(), (-8, 0), text(HPos::Right));
            plot.draw(&(EmptyElement::at((0.0, row + 0.5)) + name))?;
            for (series, bar) in group.bars.iter().enumerate().take(self.series.len()) {
                let Some(bar) = bar else { continue };
                let top = row + pixel * f64::from(GAP / 2 + series as u32 * BAR);
                let body = [(0.0, top), (bar.median, top + pixel * f64::from(BAR - 2))];
                let middle = top + pixel * f64::from(BAR / 2 - 1);
                let (low, high) = (bar.lower_quartile, bar.upper_quartile);
                let colour = colour(series);
                let arrow = if bar.median > end { "→ " } else { "" };
                let number = format!("{arrow}{}", three_digits(bar.median));
                // What lies beyond the end of the axis is drawn at its end.
                plot.draw(&Rectangle::new(body, colour.mix(0.6).filled()))?;
                let style = colour.stroke_width(2);
                plot.draw(&ErrorBar::new_horizontal(middle, low, bar.median, high, style, 6))?;
                let number = Text::new(number, (5, 0), text(HPos::Left));
                plot.draw(&(EmptyElement::at((high, middle)) + number))?;
            }
        }
        Ok(())
    }

    fn group_height(&self) -> u32 {
        self.series.len().max(1) as u32 * BAR + GAP
    }

    /// The end of the axis: behind 1 and the longest whisker, unless cut off.
    fn end(&self) -> f64 {
        let bars = self.groups.iter().flat_map(|group| &group.bars).flatten();
        let longest = bars.map(|bar| bar.upper_quartile).fold(1.0, f64::max);
        self.cut_off.unwrap_or(f64::INFINITY).min(longest * 1.05)
    }
}

impl LineChart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let names: Vec<String> = self.curves.iter().map(|curve| curve.name.clone()).collect();
        svg(&names, HEIGHT, |area| self.draw(area))
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin_top(8)
            .margin_left(8)
            .margin_right(36)
            .x_label_area_size(AXIS)
            .y_label_area_size(84)
            .build_cartesian_2d(self.range(|point| point.0), self.range(|point| point.1 * 1.05))?;
        chart
            .configure_mesh()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text(HPos::Center))
            .x_desc(&self.horizontal)
            .y_desc(&self.vertical)
            .x_label_formatter(&axis_label)
            .y_label_formatter(&axis_label)
            .draw()?;
        for (series, curve) in self.curves.iter().enumerate() {
            let points = curve.points.iter().copied();
            chart.draw_series(LineSeries::new(points, colour(series).stroke_width(2)))?;
        }
        Ok(())
    }

    /// The range of an axis, which shows this coordinate of all points.
    fn range(&self, coordinate: impl Fn(&(f64, f64)) -> f64) -> Range<f64> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let end = points.map(coordinate).fold(0.0, f64::max);
        0.0..if end > 0.0 { end } else { 1.0 }
    }
}

/// An SVG of a legend with these names and, below it, what `draw` puts into an area of this height.
fn svg(names: &[String], height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let legend = legend_height(names);
    let area = SVGBackend::with_string(&mut svg, (WIDTH, legend + height)).into_drawing_area();
    let (above, below) = area.split_vertically(legend);
    draw_legend(&above, names)
        .and_then(|()| draw(&below))
        .and_then(|()| area.present())
        .expect("writing to a string does not fail");
    drop((area, above, below));
    svg
}

/// How many names of a legend fit into a line.
fn names_per_line(names: &[String]) -> u32 {
    const MARK_AND_GAP: u32 = 38;
    (WIDTH / (widest(names) + MARK_AND_GAP)).max(1)
}

fn legend_height(names: &[String]) -> u32 {
    LINE * (names.len() as u32).div_ceil(names_per_line(names)).max(1)
}

fn draw_legend(area: &Area<'_>, names: &[String]) -> Drawn {
    let per_line = names_per_line(names);
    for (series, name) in names.iter().enumerate() {
        let (line, column) = (series as u32 / per_line, series as u32 % per_line);
        let left = (column * (WIDTH / per_line)) as i32;
        let middle = (line * LINE + LINE / 2) as i32;
        let mark = [(left + 2, middle - 6), (left + 14, middle + 6)];
        area.draw(&Rectangle::new(mark, colour(series).filled()))?;
        area.draw(&Text::new(name.as_str(), (left + 20, middle), text(HPos::Left)))?;
    }
    Ok(())
}

/// The width of the longest name in a wide font; the reader's font is not known.
fn widest<'a>(names: impl IntoIterator<Item = &'a String>) -> u32 {
    let longest = names.into_iter().map(|name| name.chars().count()).max().unwrap_or(0);
    longest as u32 * (TEXT_SIZE / 2)
}

/// Colours repeat after the last.
fn colour(series: usize) -> RGBColor {
    PALETTE[series % PALETTE.len()]
}

/// Text whose left end, middle or right end is at its position.
fn text(horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", TEXT_SIZE).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

/// A value beside an axis, without the digits by which binary fractions are inexact.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "plotters calls it with a reference")]
fn axis_label(value: &f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middling if middling < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> BarChart {
        let group = |name: &str, bars: [&[f64]; 2]| BarGroup {
            name: name.to_owned(),
            bars: bars.map(Summary::new).to_vec(),
        };
        BarChart {
            axis: "ratio to the baseline".to_owned(),
            series: vec!["early".to_owned(), "late & <more>".to_owned()],
            groups: vec![group("pair", [&[1.1, 1.12, 1.2], &[]]), group("mix", [&[1.02], &[8.5]])],
            cut_off: Some(2.0),
        }
    }

    fn assert_has_texts(svg: &str, texts: &[&str]) {
        for text in texts {
            assert!(svg.contains(&format!("\n{text}\n")), "{text} in {svg}");
        }
    }

    #[test]
    fn names_and_numbers_of_bars_are_text() {
        let names = ["pair", "mix", "early", "late &amp; &lt;more&gt;", "ratio to the baseline"];
        assert_has_texts(&bars().svg(), &names);
        assert_has_texts(&bars().svg(), &["1.12", "1.02"]);
    }

    #[test]
    fn a_long_bar_is_cut_off_and_has_its_number() {
        assert_eq!(bars().end(), 2.0);
        assert_has_texts(&bars().svg(), &["→ 8.50"]);
    }

    #[test]
    fn charts_without_values_can_be_drawn() {
        let groups = vec![BarGroup { bars: vec![Summary::new(&[0.0])], ..BarGroup::default() }];
        let zero = BarChart { series: vec!["a".to_owned()], groups, ..BarChart::default() };
        assert_has_texts(&zero.svg(), &["0.00"]);
        let flat = Curve { name: "flat".to_owned(), points: vec![(0.0, 0.0)] };
        let curves = vec![Curve::default(), flat];
        for svg in [
            BarChart::default().svg(),
            LineChart::default().svg(),
            LineChart { curves, ..LineChart::default() }.svg(),
        ] {
            assert!(svg.ends_with("</svg>\n"), "{svg}");
        }
    }

    #[test]
    fn a_curve_has_its_name_and_both_axes() {
        let points = vec![(0.0, 8.0), (2.0, 4.0), (3.0, 0.0)];
        let chart = LineChart {
            horizontal: "operations".to_owned(),
            vertical: "bytes left".to_owned(),
            curves: vec![Curve { name: "old heap".to_owned(), points }],
        };
        let svg = chart.svg();
        assert_has_texts(&svg, &["operations", "bytes left", "old heap"]);
        assert_eq!(svg.matches("stroke=\"#0082C8\"").count(), 1, "one line in {svg}");
    }

    #[test]
    fn a_legend_that_is_too_long_for_a_line_continues_in_the_next() {
        let name = "n".repeat(WIDTH as usize / 20);
        assert_eq!(legend_height(std::slice::from_ref(&name)), LINE);
        assert_eq!(legend_height(&vec![name; 4]), 2 * LINE);
        assert_eq!(legend_height(&[]), LINE);
    }

    #[test]
    fn axis_labels_have_no_inexact_digits() {
        assert_eq!([0.1 + 0.2, 1.0, 250.0].map(|value| axis_label(&value)), ["0.3", "1", "250"]);
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        assert_eq!([1.0, 12.345, 1234.5].map(three_digits), ["1.00", "12.3", "1234"]);
    }
}
