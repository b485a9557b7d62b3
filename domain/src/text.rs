//! Text that people and ERPs give us, made safe to keep and to show.

use unicode_normalization::UnicodeNormalization;

use crate::Violation;

/// Characters that turn the direction of what follows or hide it. They let one
/// text look like another (CVE-2021-42574), so names and titles do without.
fn is_trick(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}' | '\u{FEFF}')
}

/// Whether [`line`] would leave it as it is, seen at a glance. Most of what an
/// ERP sends is plain ASCII, and a sync cleans a dozen texts a person.
fn is_clean_line(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
}

/// One line: trimmed, runs of white space made one space, NFC, at most `max` characters.
///
/// Right-to-left and 4-byte text is kept; direction overrides are dropped.
///
/// # Errors
/// [`Violation::ControlCharacters`], [`Violation::TooLong`].
pub fn line(field: &str, text: &str, max: usize) -> Result<String, Violation> {
    if is_clean_line(text) {
        return within(field, text.to_owned(), max);
    }
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(Violation::ControlCharacters {
            field: field.into(),
        });
    }
    let clean: String = text.chars().filter(|c| !is_trick(*c)).nfc().collect();
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
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let clean: String = text.chars().filter(|c| !is_trick(*c)).nfc().collect();
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

/// Joiners, direction marks, variation selectors, the soft hyphen and fillers:
/// they mean something between other characters, and are nothing alone.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180E}'
            | '\u{200C}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// A text in which there is nothing to see is empty: a name or a message of it
/// could not be told from none.
fn within(field: &str, text: String, max: usize) -> Result<String, Violation> {
    if text.chars().all(|c| c.is_whitespace() || is_unseen(c)) {
        return Ok(String::new());
    }
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glance_sees_what_cleaning_would_leave() {
        for clean in ["", "a", "Grace O'Neil", "a b c"] {
            assert!(is_clean_line(clean), "{clean:?}");
        }
        for other in [
            " a",
            "a ",
            "a  b",
            "a\tb",
            "a\u{7f}b",
            "\u{e9}",
            "a\u{202e}b",
        ] {
            assert!(!is_clean_line(other), "{other:?}");
        }
    }

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
    fn a_text_without_anything_to_see_is_empty() {
        for text in [
            "",
            " \u{a0}\t",
            "\u{200D}",
            "\u{3164}\u{FE0F}",
            "\u{202E}\u{200B}",
        ] {
            assert_eq!(line("title", text, 40).as_deref(), Ok(""), "{text:?}");
            assert_eq!(prose("about", text, 40).as_deref(), Ok(""), "{text:?}");
        }
        // They are kept where they join something: a family, a Persian word.
        for text in ["👩\u{200D}👧", "می\u{200C}خواهم"] {
            assert_eq!(line("title", text, 40).as_deref(), Ok(text));
        }
        assert_eq!(
            required("title", String::new()),
            Err(Violation::Required {
                field: "title".into()
            })
        );
        assert_eq!(required("title", "x".into()).as_deref(), Ok("x"));
    }

    #[test]
    fn prose_keeps_its_lines() {
        assert_eq!(
            prose("about", "\n a\r\nb\rc\td \n", 40).as_deref(),
            Ok("a\nb\nc\td")
        );
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once(text in any_text()) {
            for clean in [|text: &str| line("f", text, 40), |text: &str| prose("f", text, 40)] {
                if let Ok(once) = clean(&text) {
                    prop_assert_eq!(clean(&once), Ok(once));
                }
            }
        }

        #[test]
        fn folding_twice_is_folding_once(text in any_text()) {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }

    /// Any text, and such as holds what cleaning is about.
    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ \t\r\n\u{85}\u{a0}\u{200B}\u{202E}\u{200D}\u{301}\u{323}eéİΣßA-C]{0,12}",
        ]
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
