//! Command lines: Windows gives a program one string in place of an argument vector.
//!
//! The program splits the string itself. Nearly all programs use the rules of their C runtime:
//! blanks separate, quotation marks group, and backslashes are literal unless they precede a
//! quotation mark. The first word, the program's name, has simpler rules: backslashes are always
//! literal.

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;

/// The command line, without a terminating NUL, that a program splits into `program` and
/// `arguments`. `program` contains no quotation mark: no path does.
pub fn join<'a>(program: &[u16], arguments: impl IntoIterator<Item = &'a [u16]>) -> Vec<u16> {
    let mut line = [&[QUOTE], program, &[QUOTE]].concat();
    for argument in arguments {
        line.push(SPACE);
        push_quoted(&mut line, argument);
    }
    line
}

/// `argument` as a user types it in a console.
pub fn quoted(argument: &str) -> String {
    let mut line = Vec::new();
    push_quoted(&mut line, &argument.encode_utf16().collect::<Vec<_>>());
    String::from_utf16_lossy(&line)
}

/// Appends one argument, in quotation marks only if it needs them: some programs split the string
/// by rules of their own.
fn push_quoted(line: &mut Vec<u16>, argument: &[u16]) {
    let needs_quotes = argument.is_empty() || argument.iter().copied().any(is_blank);
    if needs_quotes {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for &unit in argument {
        match unit {
            BACKSLASH => backslashes += 1,
            QUOTE => {
                // Doubles the backslashes before the mark and adds one for the mark.
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(unit);
    }
    if needs_quotes {
        // Backslashes at the end precede the closing mark.
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

/// Whether any C runtime takes `unit` for a blank; they differ in the control characters.
fn is_blank(unit: u16) -> bool {
    matches!(u8::try_from(unit), Ok(b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn joined(program: &str, arguments: &[&str]) -> String {
        let arguments: Vec<Vec<u16>> = arguments.iter().map(|text| units(text)).collect();
        let line = join(&units(program), arguments.iter().map(Vec::as_slice));
        String::from_utf16(&line).unwrap()
    }

    /// Splits a command line as the start-up code of the Universal CRT does.
    fn split(line: &[u16]) -> Vec<Vec<u16>> {
        let is_blank = |unit: u16| unit == SPACE || unit == u16::from(b'\t');
        let mut words: Vec<Vec<u16>> = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let is_program = words.is_empty();
            let mut word = Vec::new();
            let mut is_quoted = false;
            while let Some(&unit) = rest.first()
                && (is_quoted || !is_blank(unit))
            {
                let backslashes = rest.iter().take_while(|&&unit| unit == BACKSLASH).count();
                let escapes = !is_program && rest.get(backslashes) == Some(&QUOTE);
                let kept = if escapes { backslashes / 2 } else { backslashes };
                word.extend(std::iter::repeat_n(BACKSLASH, kept));
                rest = &rest[backslashes..];
                if escapes && backslashes % 2 == 1 {
                    word.push(QUOTE);
                    rest = &rest[1..];
                } else if escapes && is_quoted && rest.get(1) == Some(&QUOTE) {
                    word.push(QUOTE);
                    rest = &rest[2..];
                } else if rest.first() == Some(&QUOTE) {
                    is_quoted = !is_quoted;
                    rest = &rest[1..];
                } else if backslashes == 0 {
                    word.push(unit);
                    rest = &rest[1..];
                }
            }
            words.push(word);
            let blanks = rest.iter().take_while(|&&unit| is_blank(unit)).count();
            rest = &rest[blanks..];
        }
        words
    }

    #[test]
    fn quotation_marks_and_backslashes_are_added_only_where_they_are_needed() {
        for (program, arguments, line) in [
            (
                r"C:\a\z3.exe",
                &["-smt2", r"C:\in.smt2", "x=1"][..],
                r#""C:\a\z3.exe" -smt2 C:\in.smt2 x=1"#,
            ),
            (r"C:\Program Files\a.exe", &[], r#""C:\Program Files\a.exe""#),
            ("p", &["", "a b", "\t"], "\"p\" \"\" \"a b\" \"\t\""),
            ("p", &[r"a\b", r"a b\", r#"a\"b"#, r"c:\"], r#""p" a\b "a b\\" a\\\"b c:\"#),
        ] {
            assert_eq!(joined(program, arguments), line);
        }
    }

    proptest! {
        #[test]
        fn every_argument_is_read_back_by_the_runtime_as_it_was(
            program in r"[A-Za-z:\\ .]{1,20}",
            arguments in prop::collection::vec(r#"[a"\\ \t\nä😀]{0,12}"#, 0..6),
        ) {
            let arguments: Vec<Vec<u16>> = arguments.iter().map(|text| units(text)).collect();
            let line = join(&units(&program), arguments.iter().map(Vec::as_slice));
            let words = split(&line);
            prop_assert_eq!(&words[0], &units(&program));
            prop_assert_eq!(&words[1..], &arguments[..]);
        }
    }
}
