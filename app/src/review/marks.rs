//! Where the words of a search stand in a text.

use std::ops::Range;

use domain::text::fold;
use leptos::prelude::*;

/// The places of every word of `q` in `text`, in order and apart. Accents and
/// capitals do not matter, as in the search itself.
fn places(text: &str, q: &str) -> Vec<Range<usize>> {
    let mut folded = String::new();
    let mut origin = Vec::new();
    for (at, letter) in text.char_indices() {
        let plain = if letter.is_whitespace() {
            " ".to_owned()
        } else {
            fold(letter.encode_utf8(&mut [0; 4]))
        };
        origin.extend(std::iter::repeat_n(at..at + letter.len_utf8(), plain.len()));
        folded += &plain;
    }
    let q = fold(q);
    let mut found: Vec<Range<usize>> = q
        .split_whitespace()
        .flat_map(|word| {
            folded
                .match_indices(word)
                .map(|(at, word)| origin[at].start..origin[at + word.len() - 1].end)
        })
        .collect();
    found.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// The text with the words of the search marked.
pub(super) fn marked(text: &str, q: &str) -> AnyView {
    let mut inside: Vec<AnyView> = Vec::new();
    let mut at = 0;
    for range in places(text, q) {
        inside.push(text[at..range.start].to_owned().into_any());
        let hit = text[range.clone()].to_owned();
        inside.push(view! { <mark>{hit}</mark> }.into_any());
        at = range.end;
    }
    inside.push(text[at..].to_owned().into_any());
    inside.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits<'a>(text: &'a str, q: &str) -> Vec<&'a str> {
        places(text, q)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn words_are_found_whatever_their_case_and_accents() {
        assert_eq!(hits("Novák said NOVAK", "novak"), ["Novák", "NOVAK"]);
        assert_eq!(
            hits("48 wheelsets on 20 November", "november wheelset"),
            ["wheelset", "November"]
        );
        assert_eq!(hits("Straße 🙂 straße", "🙂"), ["🙂"]);
    }

    #[test]
    fn places_that_touch_are_one() {
        assert_eq!(hits("banana", "ana nan"), ["anan"]);
        assert_eq!(hits("", "x"), [""; 0]);
        assert_eq!(hits("x", ""), [""; 0]);
    }
}
