//! The one string that Windows hands to a program in place of an argument vector.
//!
//! A program takes that string apart by itself; nearly all do it with their C runtime's rules, so
//! those are the rules to quote by: blanks separate, quotation marks group, and backslashes are
//! literal unless they stand before a quotation mark. The first word, the program's own name, has
//! simpler rules: backslashes never escape in it.

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const SPACE: u16 = b' ' as u16;

/// Makes the command line, without a terminating NUL, from which a program reads back `arguments`
/// as they are.
///
/// `program` must hold no quotation mark, which no path can.
pub fn join<'a>(program: &[u16], arguments: impl IntoIterator<Item = &'a [u16]>) -> Vec<u16> {
    let mut line = Vec::with_capacity(program.len() + 2);
    line.push(QUOTE);
    line.extend_from_slice(program);
    line.push(QUOTE);
    for argument in arguments {
        line.push(SPACE);
        push_quoted(&mut line, argument);
    }
    line
}

/// Appends one argument, in quotation marks only where it needs them: programs that read the string
/// in their own way are least surprised so.
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
                // Twice the backslashes that stand before the mark, and one for the mark.
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(unit);
    }
    if needs_quotes {
        // Backslashes at the end stand before the closing mark.
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

/// Whether `unit` is a blank to any C runtime's parser; not all agree on the control characters.
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

    /// Takes a command line apart as the Universal CRT's start-up code does.
    fn parse(line: &[u16]) -> Vec<Vec<u16>> {
        let mut words = Vec::new();
        let mut rest = line;
        words.push(parse_program(&mut rest));
        loop {
            while let Some((&unit, tail)) = rest.split_first()
                && (unit == SPACE || unit == u16::from(b'\t'))
            {
                rest = tail;
            }
            if rest.is_empty() {
                return words;
            }
            words.push(parse_argument(&mut rest));
        }
    }

    fn parse_program(rest: &mut &[u16]) -> Vec<u16> {
        let mut word = Vec::new();
        let mut quoted = false;
        while let Some((&unit, tail)) = rest.split_first() {
            if unit == QUOTE {
                quoted = !quoted;
            } else if !quoted && (unit == SPACE || unit == u16::from(b'\t')) {
                break;
            } else {
                word.push(unit);
            }
            *rest = tail;
        }
        word
    }

    fn parse_argument(rest: &mut &[u16]) -> Vec<u16> {
        let mut word = Vec::new();
        let mut quoted = false;
        loop {
            let backslashes = rest.iter().take_while(|&&unit| unit == BACKSLASH).count();
            *rest = &rest[backslashes..];
            let at_quote = rest.first() == Some(&QUOTE);
            let kept = if at_quote { backslashes / 2 } else { backslashes };
            word.extend(std::iter::repeat_n(BACKSLASH, kept));
            match rest.first().copied() {
                None => return word,
                Some(QUOTE) if backslashes % 2 == 1 => word.push(QUOTE),
                Some(QUOTE) if quoted && rest.get(1) == Some(&QUOTE) => {
                    word.push(QUOTE);
                    *rest = &rest[1..];
                }
                Some(QUOTE) => quoted = !quoted,
                Some(unit) if !quoted && (unit == SPACE || unit == u16::from(b'\t')) => {
                    return word;
                }
                Some(unit) => word.push(unit),
            }
            *rest = &rest[1..];
        }
    }

    #[test]
    fn plain_arguments_stay_as_they_are() {
        assert_eq!(
            joined(r"C:\a\z3.exe", &["-smt2", r"C:\in.smt2", "x=1"]),
            r#""C:\a\z3.exe" -smt2 C:\in.smt2 x=1"#
        );
    }

    #[test]
    fn a_program_in_a_folder_with_blanks_is_one_word() {
        assert_eq!(joined(r"C:\Program Files\a.exe", &[]), r#""C:\Program Files\a.exe""#);
    }

    #[test]
    fn empty_arguments_and_blanks_are_quoted() {
        assert_eq!(joined("p", &["", "a b", "\t"]), "\"p\" \"\" \"a b\" \"\t\"");
    }

    #[test]
    fn backslashes_are_doubled_only_before_quotation_marks() {
        assert_eq!(
            joined("p", &[r"a\b", r"a b\", r#"a\"b"#, r"c:\"]),
            r#""p" a\b "a b\\" a\\\"b c:\"#
        );
    }

    proptest! {
        #[test]
        fn every_argument_is_read_back_by_the_runtime_as_it_was(
            program in r"[A-Za-z:\\ .]{1,20}",
            arguments in prop::collection::vec(r#"[a"\\ \t\nä😀]{0,12}"#, 0..6),
        ) {
            let arguments: Vec<Vec<u16>> = arguments.iter().map(|text| units(text)).collect();
            let line = join(&units(&program), arguments.iter().map(Vec::as_slice));
            let words = parse(&line);
            prop_assert_eq!(&words[0], &units(&program));
            prop_assert_eq!(&words[1..], &arguments[..]);
        }
    }
}
