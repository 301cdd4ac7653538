//! Lines: how something goes on.

use super::style::{Area, CANNOT_FAIL, INK, Legend, colour, drawn, label, text};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::ops::Range;

/// Height of the chart below the legend, in pixels.
const HEIGHT: u32 = 360;

/// Curves over one axis. Both axes begin at 0, or at the least value where one is below 0.
#[derive(Debug, Clone, Default)]
pub struct LineChart {
    /// What is told along the horizontal axis.
    pub horizontal: String,
    /// What is told along the vertical axis.
    pub vertical: String,
    /// The curves.
    pub lines: Vec<Line>,
}

/// One curve.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points from left to right; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

impl LineChart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let legend = Legend::of(self.lines.iter().map(|line| line.name.as_str()));
        drawn(legend.height() + HEIGHT, |area| {
            legend.draw(area);
            self.draw(area, legend.height());
        })
    }

    /// Draws everything but the legend, which has taken `top` pixels.
    fn draw(&self, area: &Area<'_>, top: u32) {
        let mut chart = ChartBuilder::on(area)
            .margin_top(top + 8)
            .margin_right(24)
            .x_label_area_size(46)
            .y_label_area_size(84)
            .build_cartesian_2d(self.range(|point| point.0, 1.0), self.range(|point| point.1, 1.05))
            .expect(CANNOT_FAIL);
        chart
            .configure_mesh()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.3))
            .light_line_style(TRANSPARENT)
            .label_style(text(HPos::Center))
            .x_desc(&self.horizontal)
            .y_desc(&self.vertical)
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .draw()
            .expect(CANNOT_FAIL);
        for (series, line) in self.lines.iter().enumerate() {
            let style = colour(series).stroke_width(2);
            chart.draw_series(LineSeries::new(line.finite(), style)).expect(CANNOT_FAIL);
        }
    }

    /// What an axis has to show, up to `room` times its greatest value.
    fn range(&self, of: impl Fn((f64, f64)) -> f64, room: f64) -> Range<f64> {
        let values = || self.lines.iter().flat_map(Line::finite).map(&of);
        let (least, greatest) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        let end = greatest * room;
        if end > least { least..end } else { least..least + 1.0 }
    }
}

impl Line {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.points.iter().copied();
        points.filter(|point| point.0.is_finite() && point.1.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_one_line_through_its_finite_points() {
        let chart = LineChart {
            horizontal: "operations".to_owned(),
            vertical: "bytes left".to_owned(),
            lines: vec![Line {
                name: "old heap".to_owned(),
                points: vec![(0.0, 8.0), (1.0, f64::NAN), (2.0, 4.0), (3.0, 0.0)],
            }],
        };
        let svg = chart.svg();
        for words in ["operations", "bytes left", "old heap"] {
            assert!(svg.contains(&format!("\n{words}\n")), "{words} in {svg}");
        }
        assert!(!svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn a_chart_without_points_can_be_drawn() {
        let lines =
            vec![Line::default(), Line { name: "flat".to_owned(), points: vec![(0.0, 0.0)] }];
        let chart = LineChart { lines, ..LineChart::default() };
        assert!(chart.svg().ends_with("</svg>\n"));
        assert!(LineChart::default().svg().ends_with("</svg>\n"));
    }
}
