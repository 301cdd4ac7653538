//! Tables as plain text, Markdown or HTML.

use comfy_table::{Cell, CellAlignment, LineStyle, Table as Layout, TableStyle, presets};
use std::fmt;

/// Columns with blanks between them, and a line below the headings.
const PLAIN: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Blanks between the columns of plain text, besides the one where the line below the headings has
/// its junction.
const GAP: u16 = 1;

/// Rows of text under headings. Shown by [`fmt::Display`] it is plain text in aligned columns,
/// without a line break at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column's heading and the side on which its cells begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    heading: String,
    is_right: bool,
}

impl Column {
    /// A column of words.
    pub fn left(heading: impl Into<String>) -> Column {
        Column { heading: heading.into(), is_right: false }
    }

    /// A column of numbers, whose last digits stand below one another.
    pub fn right(heading: impl Into<String>) -> Column {
        Column { heading: heading.into(), is_right: true }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Table {
        Table { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Cells that it has too few are empty; those that it has too many are left off.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Table {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in Markdown, with lines as long as the longest cells need.
    pub fn markdown(&self) -> String {
        let layout = self.laid_out(presets::ASCII_MARKDOWN, |cell| cell.replace('|', "\\|"));
        let lines = layout.lines().enumerate().map(|(index, line)| match index {
            1 => self.with_sides(&line),
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The table in HTML.
    pub fn html(&self) -> String {
        let headings: Vec<&str> = self.columns.iter().map(|column| &*column.heading).collect();
        let mut html = String::from("<table>\n<thead>\n");
        self.push_html_row(&mut html, "th", &headings);
        html.push_str("</thead>\n<tbody>\n");
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.push_html_row(&mut html, "td", &cells);
        }
        html.push_str("</tbody>\n</table>\n");
        html
    }

    fn push_html_row(&self, html: &mut String, element: &str, cells: &[&str]) {
        html.push_str("<tr>");
        for (column, cell) in self.columns.iter().zip(cells) {
            let class = if column.is_right { " class=\"number\"" } else { "" };
            let cell = html_escape::encode_text(cell);
            html.push_str(&format!("<{element}{class}>{cell}</{element}>"));
        }
        html.push_str("</tr>\n");
    }

    /// The line below Markdown's headings, with a colon at the end of a column's dashes where its
    /// cells stand right.
    fn with_sides(&self, rule: &str) -> String {
        let dashes = rule.trim_matches('|').split('|');
        let sides: Vec<String> = dashes
            .zip(&self.columns)
            .map(|(dashes, column)| match column.is_right {
                true => format!("{}:", &dashes[1..]),
                false => dashes.to_owned(),
            })
            .collect();
        format!("|{}|", sides.join("|"))
    }

    fn laid_out(&self, style: TableStyle, shown: impl Fn(&str) -> String) -> Layout {
        let cells = |texts: &mut dyn Iterator<Item = &String>| -> Vec<Cell> {
            texts
                .zip(&self.columns)
                .map(|(text, column)| Cell::new(shown(text)).set_alignment(column.side()))
                .collect()
        };
        let mut layout = Layout::new();
        layout.load_style(style);
        layout.set_header(cells(&mut self.columns.iter().map(|column| &column.heading)));
        for row in &self.rows {
            layout.add_row(cells(&mut row.iter()));
        }
        layout
    }
}

impl Column {
    fn side(&self) -> CellAlignment {
        match self.is_right {
            true => CellAlignment::Right,
            false => CellAlignment::Left,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut layout = self.laid_out(PLAIN, str::to_owned);
        let last = self.columns.len().saturating_sub(1);
        for (index, column) in layout.column_iter_mut().enumerate() {
            column.set_padding((0, if index < last { GAP } else { 0 }));
        }
        f.write_str(&layout.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([Column::left("workload"), Column::right("ns")]);
        table.row(["pair", "6.8"]).row(["a|b <c>", "10.25"]);
        table
    }

    #[test]
    fn columns_of_plain_text_are_aligned() {
        assert_eq!(
            table().to_string(),
            "workload     ns\n\
             ───────────────\n\
             pair        6.8\n\
             a|b <c>   10.25"
        );
    }

    #[test]
    fn markdown_knows_the_sides_and_keeps_bars_in_cells() {
        assert_eq!(
            table().markdown(),
            "| workload |    ns |\n\
             |----------|------:|\n\
             | pair     |   6.8 |\n\
             | a\\|b <c> | 10.25 |"
        );
    }

    #[test]
    fn html_has_its_text_escaped() {
        let html = table().html();
        assert!(html.contains("<td>a|b &lt;c&gt;</td><td class=\"number\">10.25</td>"));
        assert!(html.contains("<th>workload</th>"));
    }

    #[test]
    fn a_row_has_as_many_cells_as_there_are_columns() {
        let mut table = Table::new([Column::left("a"), Column::left("b")]);
        assert!(table.is_empty());
        table.row(["1"]).row(["1", "2", "3"]);
        assert_eq!(table.to_string(), "a  b\n────\n1\n1  2");
    }
}
