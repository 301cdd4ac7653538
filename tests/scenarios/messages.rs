//! The words of every message are in `docs/troubleshooting.md`, where a user looks for them: what it
//! means and what to do.
//!
//! The messages are read from the sources: the texts that are given to the functions in [`CALLS`],
//! and all texts of the files in [`FILES`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What turns a text into a message, or is the last to see it: constructors of errors, the
/// module's log, and the attribute of errors.
const CALLS: [&str; 9] = [
    "access_denied",
    "cannot_be_loaded",
    "cannot_take_over",
    "error",
    "not_compared",
    "not_executable",
    "notify",
    "report_failure",
    "unfit",
];

/// The same, of names that others have too: a path and a name.
const QUALIFIED_CALLS: [(&str, &str); 8] = [
    ("Error", "new"),
    ("Error", "system"),
    ("Error", "file"),
    ("Outcome", "failed"),
    ("Outcome", "failed_in"),
    ("Outcome", "not_tried"),
    ("log", "line"),
    ("log", "line_and_standard_error"),
];

/// Files whose texts of more than a word are messages or parts of them.
const FILES: [&str; 11] = [
    "crates/cli/src/diagnosis.rs",
    "crates/cli/src/error.rs",
    "crates/detour/src/error.rs",
    "crates/engine/src/error.rs",
    "crates/engine/src/proof.rs",
    "crates/image/src/check.rs",
    "crates/image/src/error.rs",
    "crates/inject/src/error.rs",
    "crates/inject/src/layout.rs",
    "crates/inject/src/route.rs",
    "crates/module/src/processor.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources of the launcher and of the module, by their paths in the checkout.
fn sources() -> BTreeMap<String, TokenStream> {
    let crates = ["cli", "detour", "engine", "image", "inject", "module"];
    let mut folders: Vec<PathBuf> =
        crates.iter().map(|name| root().join("crates").join(name).join("src")).collect();
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                let tokens = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
                sources.insert(name, tokens);
            }
        }
    }
    sources
}

/// Collects the messages in `tokens`: those of calls, and if `all` is set every text.
fn collect(tokens: TokenStream, all: bool, messages: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                // Behind it there may be an exclamation mark.
                let next =
                    tokens[index..].iter().position(|one| matches!(one, TokenTree::Group(_)));
                if let Some(at) = next
                    && let TokenTree::Group(attribute) = &tokens[index + at]
                {
                    index += at;
                    index += collect_attribute(attribute, &tokens[index + 1..], messages);
                }
            }
            TokenTree::Group(group) if !is_expectation(&tokens[..index]) => {
                let is_message = all || is_call(&tokens[..index], group);
                collect(group.stream(), is_message, messages);
            }
            TokenTree::Literal(literal) if all => messages.extend(text(&literal.to_string())),
            _ => {}
        }
        index += 1;
    }
}

/// Collects the text of an error's attribute. Returns how many of the tokens from the attribute on
/// are to be passed over: those of a module of tests with it.
fn collect_attribute(attribute: &Group, next: &[TokenTree], messages: &mut Vec<String>) -> usize {
    let text = attribute.stream().to_string();
    if text.starts_with("error") {
        collect(attribute.stream(), false, messages);
    }
    let is_test = text.replace(' ', "") == "cfg(test)";
    let module = next.iter().position(|token| matches!(token, TokenTree::Group(_)));
    module.filter(|_| is_test).map_or(0, |module| module + 1)
}

/// Whether `group` holds the arguments of a call that makes a message, given what precedes it.
fn is_call(before: &[TokenTree], group: &Group) -> bool {
    let [.., previous] = before else { return false };
    let name = previous.to_string();
    // Two colons are between a path and a name.
    let path = before.len().checked_sub(4).map(|at| before[at].to_string());
    let is_qualified = path.is_some_and(|path| QUALIFIED_CALLS.contains(&(&path, &name)));
    group.delimiter() == Delimiter::Parenthesis
        && matches!(previous, TokenTree::Ident(_))
        && (CALLS.contains(&&*name) || is_qualified)
}

/// Whether what follows are the arguments of `expect`, which no user sees.
fn is_expectation(before: &[TokenTree]) -> bool {
    before.last().is_some_and(|name| name.to_string() == "expect")
}

/// The value of a string literal that is more than a word.
fn text(literal: &str) -> Option<String> {
    let literal = literal.strip_prefix('r').unwrap_or(literal).trim_matches('#');
    let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
    // A line that ends with a backslash goes on with the next word.
    let lines: Vec<&str> = inside.split("\\\n").map(str::trim_start).collect();
    let text = lines.concat().replace("\\\"", "\"").replace("\\\\", "\\");
    text.trim().contains(' ').then_some(text)
}

/// The parts of a message between its placeholders.
fn fixed_parts(message: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = message;
    while let Some(at) = rest.find('{') {
        parts.last_mut().unwrap().push_str(&rest[..at]);
        parts.push(String::new());
        rest = rest[at..].split_once('}').map_or("", |(_, behind)| behind);
    }
    parts.last_mut().unwrap().push_str(rest);
    parts.into_iter().map(|part| plain(&part)).filter(|part| !part.is_empty()).collect()
}

/// Text without marks of code, and with single spaces.
fn plain(text: &str) -> String {
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `line` has all the parts, in their order.
fn has_parts(line: &str, parts: &[String]) -> bool {
    let found = parts
        .iter()
        .try_fold(line, |rest, part| rest.split_once(part.as_str()).map(|(_, behind)| behind));
    found.is_some()
}

#[test]
fn every_message_is_explained() {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let lines: Vec<String> = page.split("\n\n").flat_map(paragraph_lines).collect();
    let mut count = 0;
    let mut missing = Vec::new();
    for (file, tokens) in sources() {
        let mut messages = Vec::new();
        collect(tokens, FILES.contains(&&*file), &mut messages);
        for message in messages {
            count += 1;
            let parts = fixed_parts(&message);
            if !lines.iter().any(|line| has_parts(line, &parts)) {
                missing.push(format!("{file}: {message}"));
            }
        }
    }
    assert!(count > 150, "only {count} messages were found in the sources");
    assert!(
        missing.is_empty(),
        "{} messages are not in docs/troubleshooting.md:\n{}",
        missing.len(),
        missing.join("\n")
    );
}

/// The rows of a table, or else the paragraph as one line.
fn paragraph_lines(paragraph: &str) -> Vec<String> {
    if paragraph.starts_with('|') {
        paragraph.lines().map(plain).collect()
    } else {
        vec![plain(paragraph)]
    }
}

#[test]
fn messages_are_found_in_calls_attributes_and_not_in_tests() {
    let source = r##"
        /// Not "a message".
        #[error("bad image: {0}")]
        struct Bad;
        fn f() {
            notify(format_args!("{name} is \
                                 gone"));
            Error::new(format!("no {} here", x));
            Path::new("not a message");
        }
        #[cfg(test)]
        mod tests { fn g() { notify("of a test"); } }
        fn h() { report_failure("after the tests"); }
    "##;
    let mut messages = Vec::new();
    collect(source.parse().unwrap(), false, &mut messages);
    assert_eq!(messages, ["bad image: {0}", "{name} is gone", "no {} here", "after the tests"]);
    assert_eq!(fixed_parts("{name} is {:?} gone"), ["is", "gone"]);
    assert!(has_parts("game.exe is not gone", &fixed_parts("{name} is {} gone")));
    assert!(!has_parts("gone it is", &fixed_parts("{name} is {} gone")));
}
