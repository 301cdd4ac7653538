//! Tables as plain text, Markdown or HTML.

use comfy_table::{CellAlignment, LineStyle, Table as Layout, TableStyle, presets};
use html_escape::encode_text;
use std::fmt;

/// Blanks between columns, and a line below the headings.
const PLAIN: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Rows of text below headings. [`fmt::Display`] writes plain text in aligned columns, without a
/// line break at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Whether all columns but the first are aligned to the right.
    is_numeric: bool,
}

impl Table {
    /// A table whose first column names what the numbers in the other columns are about.
    pub fn numeric<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Table {
        Table { is_numeric: true, ..Table::text(headings) }
    }

    /// A table of words.
    pub fn text<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Table {
        let headings = headings.into_iter().map(Into::into).collect();
        Table { headings, rows: Vec::new(), is_numeric: false }
    }

    /// Adds a row. Missing cells are empty, and cells without a heading are dropped.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> &mut Table {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.headings.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in Markdown, in aligned columns.
    pub fn markdown(&self) -> String {
        let layout = self.layout(presets::ASCII_MARKDOWN, |cell| cell.replace('|', "\\|"));
        let mut lines: Vec<String> = layout.lines().collect();
        if let (true, Some((first, others))) = (self.is_numeric, lines[1][1..].split_once('|')) {
            lines[1] = format!("|{first}|{}", others.replace("-|", ":|"));
        }
        lines.join("\n")
    }

    /// The table as an HTML element.
    pub fn html(&self) -> String {
        let row = |element: &str, cells: &[String]| {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let class = if self.is_right(column) { " class=\"number\"" } else { "" };
                format!("<{element}{class}>{}</{element}>", encode_text(cell))
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        format!(
            "<table>\n<thead>\n{}</thead>\n<tbody>\n{}</tbody>\n</table>\n",
            row("th", &self.headings),
            self.rows.iter().map(|cells| row("td", cells)).collect::<String>()
        )
    }

    fn is_right(&self, column: usize) -> bool {
        self.is_numeric && column > 0
    }

    fn layout(&self, style: TableStyle, escape: impl Fn(&String) -> String) -> Layout {
        let escaped = |cells: &[String]| cells.iter().map(&escape).collect::<Vec<_>>();
        let mut layout = Layout::new();
        layout.load_style(style).set_header(escaped(&self.headings));
        layout.add_rows(self.rows.iter().map(|cells| escaped(cells)));
        for (index, column) in layout.column_iter_mut().enumerate() {
            if self.is_right(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        layout
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut layout = self.layout(PLAIN, String::clone);
        for (index, column) in layout.column_iter_mut().enumerate() {
            // With the separator of the style, two blanks between columns.
            let is_last = index + 1 == self.headings.len();
            column.set_padding((0, u16::from(!is_last)));
        }
        f.write_str(&layout.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::numeric(["workload", "ns"]);
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
    fn markdown_is_aligned_and_keeps_bars_in_cells() {
        assert_eq!(
            table().markdown(),
            "| workload |    ns |\n\
             |----------|------:|\n\
             | pair     |   6.8 |\n\
             | a\\|b <c> | 10.25 |"
        );
    }

    #[test]
    fn words_are_aligned_to_the_left() {
        assert_eq!(
            Table::text(["a", "b"]).row(["1", "word"]).markdown().lines().nth(1),
            Some("|---|------|")
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
        let mut table = Table::text(["a", "b"]);
        assert!(table.is_empty());
        table.row(["1"]).row(["1", "2", "3"]);
        assert_eq!(table.to_string(), "a  b\n────\n1\n1  2");
    }
}
