//! A report with chapters, as Markdown or as one HTML page that fetches nothing: no script, style
//! sheet or picture.

use crate::table::Table;
use html_escape::encode_text;

/// Colours follow the reader's system, light or dark; the text of charts has the page's own.
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

/// A title, some paragraphs, then chapters.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Plain text.
    pub title: String,
    /// Paragraphs below the title: escaped in HTML, unchanged in Markdown.
    pub introduction: Vec<String>,
    /// In the order in which they are shown.
    pub chapters: Vec<Chapter>,
}

/// A part of a [`Document`].
#[derive(Debug, Clone, Default)]
pub struct Chapter {
    /// Plain text.
    pub heading: String,
    /// As [`Document::introduction`].
    pub paragraphs: Vec<String>,
    /// SVG elements, as [`crate::chart`] makes them. Not part of the Markdown.
    pub charts: Vec<String>,
    /// Below the charts.
    pub table: Option<Table>,
}

impl Document {
    /// The complete page.
    pub fn html(&self) -> String {
        let title = encode_text(&self.title);
        let chapters = self.chapters.iter().map(Chapter::html).collect::<String>();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
             {}{chapters}</body>\n</html>\n",
            html_paragraphs(&self.introduction)
        )
    }

    /// The document without its charts.
    pub fn markdown(&self) -> String {
        let mut blocks = vec![format!("# {}", self.title)];
        blocks.extend_from_slice(&self.introduction);
        for chapter in &self.chapters {
            blocks.push(format!("## {}", chapter.heading));
            blocks.extend_from_slice(&chapter.paragraphs);
            blocks.extend(chapter.table.as_ref().map(Table::markdown));
        }
        blocks.join("\n\n") + "\n"
    }
}

impl Chapter {
    fn html(&self) -> String {
        let figure = |chart: &String| format!("<figure>\n{chart}</figure>\n");
        format!(
            "<section>\n<h2>{}</h2>\n{}{}{}</section>\n",
            encode_text(&self.heading),
            html_paragraphs(&self.paragraphs),
            self.charts.iter().map(figure).collect::<String>(),
            self.table.as_ref().map(Table::html).unwrap_or_default()
        )
    }
}

fn html_paragraphs(paragraphs: &[String]) -> String {
    paragraphs.iter().map(|paragraph| format!("<p>{}</p>\n", encode_text(paragraph))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut table = Table::text(["what"]);
        table.row(["<script>"]);
        Document {
            title: "a < b & \"c\"".to_owned(),
            introduction: vec!["</p><script>alert(1)</script>".to_owned()],
            chapters: vec![Chapter {
                heading: "Time <ms>".to_owned(),
                paragraphs: vec!["1 > 0".to_owned()],
                charts: vec!["<svg></svg>\n".to_owned()],
                table: Some(table),
            }],
        }
    }

    #[test]
    fn text_cannot_become_markup() {
        let html = document().html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("<title>a &lt; b &amp; \"c\"</title>"), "{html}");
        assert!(html.contains("<h2>Time &lt;ms&gt;</h2>"), "{html}");
    }

    #[test]
    fn charts_are_in_the_page_as_they_are() {
        assert!(document().html().contains("<figure>\n<svg></svg>\n</figure>"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let html = document().html();
        for reference in ["http", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(reference), "{reference} in {html}");
        }
    }

    #[test]
    fn markdown_has_the_text_and_the_table_in_order() {
        assert_eq!(
            document().markdown(),
            "# a < b & \"c\"\n\n</p><script>alert(1)</script>\n\n## Time <ms>\n\n1 > 0\n\n\
             | what     |\n|----------|\n| <script> |\n"
        );
    }
}
