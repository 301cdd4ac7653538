//! Horizontal bars in groups: how several things do at several tasks.

use super::style::{
    Area, CANNOT_FAIL, INK, LINE, Legend, WIDTH, colour, drawn, label, text, width_of,
};
use crate::statistics::Summary;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

/// Thickness of a bar, in pixels.
const BAR: u32 = 16;

/// Room between two groups, in pixels.
const BETWEEN: u32 = 12;

/// Room for the axis and what is measured along it, in pixels.
const AXIS: u32 = 46;

/// Room at the right, for the figures behind the bars, in pixels.
const FIGURES: u32 = 72;

/// How much of its colour a bar has: its whisker has all of it.
const BODY: f64 = 0.6;

/// Bars as long as the medians, with the quartiles as whiskers.
#[derive(Debug, Clone, Default)]
pub struct BarChart {
    /// What is measured, below the axis.
    pub axis: String,
    /// The names of the series: one bar of each in every group.
    pub series: Vec<String>,
    /// The groups from top to bottom.
    pub groups: Vec<Group>,
    /// A value to mark with a line across all bars, such as the 1 of ratios.
    pub reference: Option<f64>,
    /// Where the axis is to end at the latest. Longer bars are cut off there, with an arrow to
    /// their figure.
    pub limit: Option<f64>,
}

/// The bars of one task.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its name, at the left.
    pub name: String,
    /// One for each series, in their order; nothing where there is no measurement.
    pub bars: Vec<Option<Summary>>,
}

impl BarChart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let legend = Legend::of(self.series.iter().map(String::as_str));
        let rows = self.groups.len().max(1) as u32 * self.group_height();
        drawn(legend.height() + rows + AXIS, |area| {
            legend.draw(area);
            self.draw(area, legend.height());
        })
    }

    /// Draws everything but the legend, which has taken `top` pixels.
    fn draw(&self, area: &Area<'_>, top: u32) {
        let names = self.groups.iter().map(|group| width_of(&group.name)).max();
        let names = names.unwrap_or(0).clamp(LINE, WIDTH / 3) + 10;
        let end = self.end();
        let rows = self.groups.len().max(1) as f64;
        let mut chart = ChartBuilder::on(area)
            .margin_top(top)
            .margin_right(FIGURES)
            .x_label_area_size(AXIS)
            .y_label_area_size(names)
            .build_cartesian_2d(0.0..end, rows..0.0)
            .expect(CANNOT_FAIL);
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
            .x_label_formatter(&label)
            .draw()
            .expect(CANNOT_FAIL);
        let plot = Plot { area, values: chart.plotting_area(), end };
        // Below the bars, so that their figures can be read.
        if let Some(reference) = self.reference.filter(|value| *value <= end) {
            let line = [plot.place(reference, 0.0), plot.place(reference, rows)];
            area.draw(&PathElement::new(line, INK.stroke_width(2))).expect(CANNOT_FAIL);
        }
        for (row, group) in self.groups.iter().enumerate() {
            plot.draw_group(row as f64, group, self.series.len());
        }
    }

    fn group_height(&self) -> u32 {
        self.series.len().max(1) as u32 * BAR + BETWEEN
    }

    /// Where the axis ends: behind the longest whisker and the reference, but not beyond the limit.
    fn end(&self) -> f64 {
        let bars = self.groups.iter().flat_map(|group| &group.bars).flatten();
        let longest = bars
            .map(|bar| bar.upper_quartile)
            .chain(self.reference)
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let end = self.limit.unwrap_or(f64::INFINITY).min(longest * 1.05);
        if end > 0.0 { end } else { 1.0 }
    }
}

/// Where the bars go.
struct Plot<'a, 's> {
    /// The whole drawing, in pixels.
    area: &'a Area<'s>,
    /// The part of it between the axes, in values and rows.
    values: &'a DrawingArea<SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    /// The greatest value that has room.
    end: f64,
}

impl Plot<'_, '_> {
    /// Where a value is in a row, in pixels of the whole drawing; what has no room is at the end.
    fn place(&self, value: f64, row: f64) -> (i32, i32) {
        self.values.map_coordinate(&(value.min(self.end), row))
    }

    fn draw_group(&self, row: f64, group: &Group, series: usize) {
        let (left, middle) = self.place(0.0, row + 0.5);
        self.draw_text(&group.name, (left - 8, middle), HPos::Right);
        let top = self.place(0.0, row).1 + BETWEEN as i32 / 2;
        for (series, bar) in group.bars.iter().take(series).enumerate() {
            if let Some(bar) = bar {
                let top = top + series as i32 * BAR as i32;
                self.draw_bar(bar, colour(series), top);
            }
        }
    }

    /// Draws a bar, its whisker, and its figure behind it.
    fn draw_bar(&self, bar: &Summary, colour: RGBColor, top: i32) {
        let at = |value| self.place(value, 0.0).0;
        let (bottom, middle) = (top + BAR as i32 - 2, top + BAR as i32 / 2 - 1);
        let body = [(at(0.0), top), (at(bar.median), bottom)];
        self.area.draw(&Rectangle::new(body, colour.mix(BODY).filled())).expect(CANNOT_FAIL);
        let (start, end) = (at(bar.lower_quartile), at(bar.upper_quartile));
        for line in [
            [(start, middle), (end, middle)],
            [(start, middle - 3), (start, middle + 3)],
            [(end, middle - 3), (end, middle + 3)],
        ] {
            self.area.draw(&PathElement::new(line, colour.stroke_width(2))).expect(CANNOT_FAIL);
        }
        let arrow = if bar.median > self.end { "→ " } else { "" };
        let figure = format!("{arrow}{}", figure(bar.median));
        self.draw_text(&figure, (end + 5, middle), HPos::Left);
    }

    fn draw_text(&self, words: &str, at: (i32, i32), side: HPos) {
        self.area.draw(&Text::new(words, at, text(side))).expect(CANNOT_FAIL);
    }
}

/// A number with three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        middling if middling < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> BarChart {
        BarChart {
            axis: "ratio to the limit".to_owned(),
            series: vec!["early".to_owned(), "late & <more>".to_owned()],
            groups: vec![
                Group { name: "pair".to_owned(), bars: vec![Summary::of(&[1.1, 1.12, 1.2]), None] },
                Group {
                    name: "mix".to_owned(),
                    bars: vec![Summary::of(&[1.02]), Summary::of(&[8.5])],
                },
            ],
            reference: Some(1.0),
            limit: Some(2.0),
        }
    }

    #[test]
    fn every_name_and_figure_is_there_as_text() {
        let svg = chart().svg();
        for words in [
            "pair",
            "mix",
            "early",
            "late &amp; &lt;more&gt;",
            "1.12",
            "1.02",
            "ratio to the limit",
        ] {
            assert!(svg.contains(&format!("\n{words}\n")), "{words} in {svg}");
        }
    }

    #[test]
    fn a_bar_beyond_the_limit_is_cut_off_and_tells_its_value() {
        let chart = chart();
        assert_eq!(chart.end(), 2.0);
        assert!(chart.svg().contains("\n→ 8.50\n"));
    }

    #[test]
    fn a_chart_without_bars_can_be_drawn() {
        assert!(BarChart::default().svg().ends_with("</svg>\n"));
        let zero = BarChart {
            series: vec!["a".to_owned()],
            groups: vec![Group { name: String::new(), bars: vec![Summary::of(&[0.0])] }],
            ..BarChart::default()
        };
        assert!(zero.svg().contains("0.00"));
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        assert_eq!([1.0, 12.345, 1234.5].map(figure), ["1.00", "12.3", "1234"]);
    }
}
