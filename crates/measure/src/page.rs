//! One HTML page that needs nothing beside itself: no script, no style sheet, no picture from
//! elsewhere.

use crate::table::Table;
use html_escape::encode_text as escaped;
use std::fmt::Write;

/// The page's style. Colours follow the reader's system, light or dark; the text of charts is drawn
/// in the page's own.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1,h2{line-height:1.2}\
h2{margin-top:2.5rem}\
figure{margin:1rem 0}\
svg{max-width:100%;height:auto}\
svg text{fill:currentColor}\
table{border-collapse:collapse;display:block;overflow-x:auto}\
th,td{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #8884;white-space:nowrap}\
.number{text-align:right;font-variant-numeric:tabular-nums}";

/// A page: a heading, some paragraphs, then its sections.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The heading, which is the window's title as well.
    pub title: String,
    /// Paragraphs of plain text below it.
    pub introduction: Vec<String>,
    /// What follows.
    pub sections: Vec<Section>,
}

/// A part of a page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// Paragraphs of plain text.
    pub paragraphs: Vec<String>,
    /// Charts, as SVG: those of [`crate::chart`].
    pub charts: Vec<String>,
    /// The figures.
    pub table: Option<Table>,
}

impl Page {
    /// The whole page as HTML.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        push_paragraphs(&mut html, &self.introduction);
        for section in &self.sections {
            section.push(&mut html);
        }
        html.push_str("</body>\n</html>\n");
        html
    }
}

impl Section {
    fn push(&self, html: &mut String) {
        push(html, format_args!("<section>\n<h2>{}</h2>\n", escaped(&self.heading)));
        push_paragraphs(html, &self.paragraphs);
        for chart in &self.charts {
            push(html, format_args!("<figure>\n{chart}</figure>\n"));
        }
        if let Some(table) = &self.table {
            html.push_str(&table.html());
        }
        html.push_str("</section>\n");
    }
}

fn push_paragraphs(html: &mut String, paragraphs: &[String]) {
    for paragraph in paragraphs {
        push(html, format_args!("<p>{}</p>\n", escaped(paragraph)));
    }
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("a string takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;

    fn page() -> Page {
        let mut table = Table::new([Column::left("what")]);
        table.row(["<script>"]);
        Page {
            title: "a < b & \"c\"".to_owned(),
            introduction: vec!["</p><script>alert(1)</script>".to_owned()],
            sections: vec![Section {
                heading: "Time <ms>".to_owned(),
                paragraphs: vec!["1 > 0".to_owned()],
                charts: vec!["<svg></svg>\n".to_owned()],
                table: Some(table),
            }],
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        let html = page().html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("<title>a &lt; b &amp; \"c\"</title>"), "{html}");
        assert!(html.contains("<h2>Time &lt;ms&gt;</h2>"), "{html}");
    }

    #[test]
    fn charts_are_in_the_page_as_they_are() {
        assert!(page().html().contains("<figure>\n<svg></svg>\n</figure>"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let html = page().html();
        for reference in ["http", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(reference), "{reference} in {html}");
        }
    }
}
