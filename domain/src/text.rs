//! Text that people and ERPs give us, made safe to keep and to show.

use unicode_normalization::UnicodeNormalization;

use crate::Violation;

/// Characters that turn the direction of what follows or hide it. They let one
/// text look like another (CVE-2021-42574), so names and titles do without.
fn is_trick(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}' | '\u{FEFF}')
}

/// One line: trimmed, runs of white space made one space, NFC, at most `max` characters.
///
/// Right-to-left and 4-byte text is kept; direction overrides are dropped.
///
/// # Errors
/// [`Violation::ControlCharacters`], [`Violation::TooLong`].
pub fn line(field: &str, text: &str, max: usize) -> Result<String, Violation> {
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(Violation::ControlCharacters {
            field: field.into(),
        });
    }
    let clean: String = text.nfc().filter(|c| !is_trick(*c)).collect();
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    within(field, clean, max)
}

/// Several lines: trimmed, NFC, line ends made `\n`, at most `max` characters.
///
/// # Errors
/// [`Violation::ControlCharacters`], [`Violation::TooLong`].
pub fn prose(field: &str, text: &str, max: usize) -> Result<String, Violation> {
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(Violation::ControlCharacters {
            field: field.into(),
        });
    }
    let clean: String = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .nfc()
        .filter(|c| !is_trick(*c))
        .collect();
    within(field, clean.trim().to_owned(), max)
}

/// Refuses a text that is empty after cleaning.
///
/// # Errors
/// [`Violation::Required`].
pub fn required(field: &str, text: String) -> Result<String, Violation> {
    if text.is_empty() {
        Err(Violation::Required {
            field: field.into(),
        })
    } else {
        Ok(text)
    }
}

fn within(field: &str, text: String, max: usize) -> Result<String, Violation> {
    let got = text.chars().count();
    if got > max {
        Err(Violation::TooLong {
            field: field.into(),
            max,
            got,
        })
    } else {
        Ok(text)
    }
}

/// How a text is compared in searches: NFKD without marks, lower case.
///
/// `"Å Æ ß"` folds to `"a æ ß"`; a search folds both sides the same way.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cleaned_and_foreign_text_is_kept() {
        assert_eq!(
            line("title", "  Key\u{a0} Account\n Manager ", 40).as_deref(),
            Ok("Key Account Manager")
        );
        assert_eq!(line("title", "مدير 𝒦🙂", 40).as_deref(), Ok("مدير 𝒦🙂"));
        assert_eq!(
            line("title", "safe\u{202E}gpj.exe", 40).as_deref(),
            Ok("safegpj.exe")
        );
    }

    #[test]
    fn control_characters_and_length_are_refused() {
        assert!(matches!(
            line("title", "a\0b", 40),
            Err(Violation::ControlCharacters { .. })
        ));
        assert_eq!(
            line("t", "abcd", 3),
            Err(Violation::TooLong {
                field: "t".into(),
                max: 3,
                got: 4
            })
        );
        assert!(matches!(
            prose("about", "a\u{7}b", 40),
            Err(Violation::ControlCharacters { .. })
        ));
    }

    #[test]
    fn searching_ignores_case_and_marks() {
        assert_eq!(fold("Søren ÅNGSTRÖM"), "søren angstrom");
    }
}
