//! What the user asks for: by a launcher's options first, then by the environment, then by
//! `allograft.ini` beside the module.
//!
//! ```ini
//! [allograft]
//! log = C:\logs\game.log
//! heap = program
//! report = C:\logs\game.json
//!
//! [mimalloc]
//! verbose = 1
//! ```
//!
//! Nothing here calls the system: where settings are looked up is passed in.

use core::fmt;

use allograft_inject::{FILE_PATH_UNITS, HeapScope, OptionValues, until_nul};

use crate::text::{Wide, copy_wide};

// The variables of the settings. In the file, what precedes the first underscore is the section,
// and the rest the key (see `ini_key`).
const DISABLE: &str = "MIMALLOC_DISABLE_REDIRECT";
const VERBOSE: &str = "MIMALLOC_VERBOSE";
const COUNT: &str = "ALLOGRAFT_COUNT";
const FOLLOW: &str = "ALLOGRAFT_FOLLOW_CHILDREN";
const IMPORTS: &str = "ALLOGRAFT_IMPORTS";
const HEAP: &str = "ALLOGRAFT_HEAP";
const EXACT_SIZES: &str = "ALLOGRAFT_EXACT_SIZES";
const UNPROVED: &str = "ALLOGRAFT_UNPROVED";
const LOG: &str = "ALLOGRAFT_LOG";
const REPORT: &str = "ALLOGRAFT_REPORT";

/// The section and the key in the file of the setting with this variable, which are compared
/// without case: `ALLOGRAFT_FOLLOW_CHILDREN` is `follow_children` in `[allograft]`.
pub(crate) fn ini_key(variable: &str) -> Option<(&str, &str)> {
    variable.split_once('_')
}

/// Writes the text of the setting with this variable into the buffer, NUL-terminated, and returns
/// its length without the NUL: 0 if it is not set.
pub(crate) type LookUp<'a> = &'a dyn Fn(&str, &mut [u16]) -> usize;

/// The configuration of the module.
#[derive(Clone)]
pub(crate) struct Config {
    log: [u16; FILE_PATH_UNITS],
    report: [u16; FILE_PATH_UNITS],
    /// Load the module, and take nothing over.
    pub(crate) disabled: bool,
    /// Log to standard error too.
    pub(crate) verbose: bool,
    /// Count the blocks of the old heap.
    pub(crate) count: bool,
    /// Load the module into programs that the program starts.
    pub(crate) follow: bool,
    /// Point import tables at the replacements.
    pub(crate) imports: bool,
    /// Whose allocations from the process's heap come from mimalloc.
    pub(crate) heap: HeapScope,
    /// Have `_msize` answer the size that was asked for.
    pub(crate) exact_sizes: bool,
    /// Take runtimes over whose own code may give blocks of mimalloc's to the system's heap.
    pub(crate) unproved: bool,
    /// Stands in place of `heap` where the setting names no scope; NUL-terminated.
    unknown_heap: Word,
}

/// Room for a setting that is a word, NUL-terminated.
type Word = [u16; 64];

impl Config {
    /// The configuration where nothing is set.
    pub(crate) const fn nothing() -> Config {
        Config {
            log: [0; FILE_PATH_UNITS],
            report: [0; FILE_PATH_UNITS],
            disabled: false,
            verbose: false,
            count: false,
            follow: false,
            imports: true,
            heap: HeapScope::Auto,
            exact_sizes: false,
            unproved: false,
            unknown_heap: [0; 64],
        }
    }

    /// The configuration by a launcher's `options`, if there are any, and the settings.
    pub(crate) fn read(options: Option<OptionValues<'_>>, look_up: LookUp<'_>) -> Config {
        let options = options.unwrap_or_default();
        let switch = |default, setting| is_on(default, setting, look_up);
        let mut config = Config {
            disabled: options.disable || switch(false, DISABLE),
            verbose: switch(false, VERBOSE),
            count: options.count || switch(false, COUNT),
            follow: options.follow || switch(false, FOLLOW),
            imports: switch(true, IMPORTS),
            heap: options.heap,
            exact_sizes: options.exact_sizes || switch(false, EXACT_SIZES),
            unproved: switch(false, UNPROVED),
            ..Config::nothing()
        };
        if config.heap == HeapScope::Auto {
            config.read_heap(look_up);
        }
        let paths =
            [(options.log, LOG, &mut config.log), (options.report, REPORT, &mut config.report)];
        for (option, setting, path) in paths {
            copy_wide(option, path);
            if path[0] == 0 {
                look_up(setting, path);
            }
        }
        config
    }

    fn read_heap(&mut self, look_up: LookUp<'_>) {
        let mut word: Word = [0; 64];
        let length = look_up(HEAP, &mut word);
        let named = HeapScope::NAMED.into_iter().find(|(name, _)| is_word(&word[..length], name));
        match named {
            Some((_, scope)) => self.heap = scope,
            None => self.unknown_heap = word,
        }
    }

    /// What is wrong with the settings, in a line; none if nothing is.
    pub(crate) fn mistake(&self) -> Option<Mistake<'_>> {
        let word = until_nul(&self.unknown_heap);
        (!word.is_empty()).then_some(Mistake(word))
    }

    /// Path of the log, NUL-terminated.
    pub(crate) fn log(&self) -> Option<&[u16]> {
        with_nul(&self.log)
    }

    /// Path of the report, NUL-terminated.
    pub(crate) fn report(&self) -> Option<&[u16]> {
        with_nul(&self.report)
    }
}

/// A word that names no scope where one is expected.
pub(crate) struct Mistake<'a>(&'a [u16]);

impl fmt::Display for Mistake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAP} is \"{}\", which it cannot be: set it to", Wide(self.0))?;
        for (index, (name, _)) in HeapScope::NAMED.into_iter().enumerate() {
            write!(f, "{}{name}", if index == 0 { " " } else { " or " })?;
        }
        f.write_str("; until then it counts as not set")
    }
}

fn with_nul(path: &[u16]) -> Option<&[u16]> {
    let length = until_nul(path).len();
    (length > 0).then(|| &path[..=length])
}

/// A switch is on for what mimalloc takes as on, and `default` if it is not set.
fn is_on(default: bool, setting: &str, look_up: LookUp<'_>) -> bool {
    let mut value: Word = [0; 64];
    let length = look_up(setting, &mut value);
    match length {
        0 => default,
        _ => !["0", "false", "no", "off"].into_iter().any(|word| is_word(&value[..length], word)),
    }
}

/// Whether `text` is `word` (in lower case), letters compared without case.
fn is_word(text: &[u16], word: &str) -> bool {
    let lower = |&unit: &u16| u8::try_from(unit).map(|byte| byte.to_ascii_lowercase());
    text.iter().map(lower).eq(word.bytes().map(Ok))
}

/// Replaces the file name in the path of the module, of `length` units in `path`, by that of its
/// configuration file. False if there is no room.
pub(crate) fn replace_by_ini_path(path: &mut [u16], length: usize) -> bool {
    const NAME: &[u8] = b"allograft.ini\0";

    let folder = path[..length].iter().rposition(|&unit| unit == u16::from(b'\\'));
    let Some(start) = folder.map(|at| at + 1).filter(|at| at + NAME.len() <= path.len()) else {
        return false;
    };
    for (unit, &byte) in path[start..].iter_mut().zip(NAME) {
        *unit = byte.into();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn text(path: Option<&[u16]>) -> Option<String> {
        path.map(|path| String::from_utf16(path).unwrap())
    }

    /// The configuration by `options`, with some settings given by their variables.
    fn read(options: Option<OptionValues<'_>>, settings: &[(&str, &str)]) -> Config {
        Config::read(options, &|setting, value| {
            let set = settings.iter().find(|(variable, _)| *variable == setting);
            copy_wide(&wide(set.map_or("", |(_, value)| value)), value);
            until_nul(value).len()
        })
    }

    #[test]
    fn without_settings_import_tables_are_written_and_nothing_else_is_asked_for() {
        let config = read(None, &[]);
        assert!(config.imports);
        assert!(!config.disabled && !config.verbose && !config.count && !config.follow);
        assert!(config.log().is_none() && config.report().is_none());
        assert!(config.heap == HeapScope::Auto && !config.exact_sizes && !config.unproved);
        assert!(config.mistake().is_none());
    }

    #[test]
    fn the_heap_is_one_of_three_words_and_a_launchers_goes_before_the_setting() {
        for (word, scope) in
            [("off", HeapScope::Off), ("Program", HeapScope::Program), ("ALL", HeapScope::All)]
        {
            let config = read(None, &[("ALLOGRAFT_HEAP", word)]);
            assert_eq!((config.heap, config.mistake().is_none()), (scope, true), "{word}");
        }
        let launched = OptionValues { heap: HeapScope::All, ..OptionValues::default() };
        assert_eq!(read(Some(launched), &[("ALLOGRAFT_HEAP", "off")]).heap, HeapScope::All);
        let unasked = OptionValues::default();
        assert_eq!(read(Some(unasked), &[("ALLOGRAFT_HEAP", "off")]).heap, HeapScope::Off);
    }

    #[test]
    fn an_unknown_word_for_the_heap_is_quoted_and_counts_as_not_set() {
        let config = read(None, &[("ALLOGRAFT_HEAP", "everything, please")]);
        assert_eq!(config.heap, HeapScope::Auto);
        assert_eq!(
            config.mistake().unwrap().to_string(),
            "ALLOGRAFT_HEAP is \"everything, please\", which it cannot be: set it to off or program \
             or all; until then it counts as not set"
        );
    }

    #[test]
    fn a_switch_is_on_unless_it_says_no() {
        for (value, on) in [("1", true), ("yes", true), ("on", true), ("2", true), ("", false)] {
            assert_eq!(read(None, &[("ALLOGRAFT_COUNT", value)]).count, on, "{value}");
        }
        for value in ["0", "no", "Off", "FALSE"] {
            assert!(!read(None, &[("MIMALLOC_VERBOSE", value)]).verbose, "{value}");
            assert!(!read(None, &[("ALLOGRAFT_IMPORTS", value)]).imports, "{value}");
        }
        assert!(read(None, &[("MIMALLOC_DISABLE_REDIRECT", "1")]).disabled);
        assert!(read(None, &[("ALLOGRAFT_FOLLOW_CHILDREN", "true")]).follow);
        assert!(read(None, &[("ALLOGRAFT_EXACT_SIZES", "1")]).exact_sizes);
        assert!(read(None, &[("ALLOGRAFT_UNPROVED", "1")]).unproved);
    }

    #[test]
    fn a_launchers_paths_go_before_the_settings_and_switches_add_up() {
        let log = wide("launcher.log");
        let launched = OptionValues { count: true, log: &log, ..OptionValues::default() };
        let settings = [("ALLOGRAFT_LOG", "mine.log"), ("ALLOGRAFT_REPORT", "mine.json")];
        let config = read(Some(launched), &settings);
        assert_eq!(text(config.log()).as_deref(), Some("launcher.log\0"));
        assert_eq!(text(config.report()).as_deref(), Some("mine.json\0"));
        assert!(config.count && !config.disabled);
        let config = read(None, &settings);
        assert_eq!(text(config.log()).as_deref(), Some("mine.log\0"), "no launcher wrote the page");
        assert!(!config.count);
    }

    #[test]
    fn a_path_that_is_too_long_is_cut_and_still_ends() {
        let log = [u16::from(b'x'); FILE_PATH_UNITS];
        let config = read(Some(OptionValues { log: &log, ..OptionValues::default() }), &[]);
        let log = config.log().unwrap();
        assert_eq!((log.len(), log.last()), (FILE_PATH_UNITS, Some(&0)));
    }

    #[test]
    fn the_file_lies_beside_the_module() {
        let mut path = wide(r"C:\tools\allograft.dll");
        let length = path.len();
        path.resize(64, 0);
        assert!(replace_by_ini_path(&mut path, length));
        assert_eq!(String::from_utf16_lossy(until_nul(&path)), r"C:\tools\allograft.ini");
        let mut short = wide(r"C:\tools\a.dll");
        let length = short.len();
        assert!(!replace_by_ini_path(&mut short, length), "no room for the name");
        assert!(!replace_by_ini_path(&mut [0; 32], 0), "no path");
    }

    #[test]
    fn settings_and_options_of_mimalloc_have_a_section_and_a_key_in_the_file() {
        assert_eq!(ini_key(FOLLOW), Some(("ALLOGRAFT", "FOLLOW_CHILDREN")));
        assert_eq!(ini_key("mimalloc_show_stats"), Some(("mimalloc", "show_stats")));
        assert_eq!(ini_key("PATH"), None);
        assert_eq!(ini_key("MIMALLOCXVERBOSE"), None);
    }
}
