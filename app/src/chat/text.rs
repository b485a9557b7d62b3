//! The text of a message: text, never HTML; addresses in it become links.

use leptos::prelude::*;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Text(&'a str),
    /// An address that begins with `http://` or `https://`.
    Link(&'a str),
}

/// Where an address that starts at the beginning of `text` ends.
fn address(text: &str) -> usize {
    let end = text
        .find(|letter: char| {
            letter.is_whitespace() || letter.is_control() || "<>\"“”«»`".contains(letter)
        })
        .unwrap_or(text.len());
    let mut address = &text[..end];
    // Punctuation at the end belongs to the sentence; a bracket only if it was not opened inside.
    while let Some(last) = address.chars().next_back() {
        let opened = |open, close| address.matches(open).count() >= address.matches(close).count();
        let belongs = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '’' | '…' | '*' | '_' => false,
            ')' => opened('(', ')'),
            ']' => opened('[', ']'),
            '}' => opened('{', '}'),
            _ => true,
        };
        if belongs {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    address.len()
}

/// Cuts a message into words and addresses. Together they are the message again.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while let Some(found) = text[at..].find("http") {
        let start = at + found;
        let scheme = ["https://", "http://"]
            .into_iter()
            .find(|scheme| text[start..].starts_with(scheme));
        let alone = text[..start]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric());
        let length = address(&text[start..]);
        if alone && scheme.is_some_and(|scheme| length > scheme.len()) {
            if plain < start {
                pieces.push(Piece::Text(&text[plain..start]));
            }
            at = start + length;
            plain = at;
            pieces.push(Piece::Link(&text[start..at]));
        } else {
            at = start + "http".len();
        }
    }
    if plain < text.len() {
        pieces.push(Piece::Text(&text[plain..]));
    }
    pieces
}

/// A message's text, with its addresses as links that tell the other site nothing.
#[component]
pub fn Body(
    /// The text.
    #[prop(into)]
    text: String,
) -> AnyView {
    let inside: Vec<AnyView> = pieces(&text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_owned().into_any(),
            Piece::Link(address) => {
                let address = address.to_owned();
                view! {
                    <a href=address.clone() rel="noopener noreferrer external" referrerpolicy="no-referrer" target="_blank">
                        {address.clone()}
                    </a>
                }
                .into_any()
            }
        })
        .collect();
    view! {
        <div class="msg__body">
            <p>{inside}</p>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Piece::{Link, Text};
    use proptest::prelude::*;

    #[test]
    fn addresses_become_links_and_the_rest_stays_text() {
        assert_eq!(pieces("no address"), [Text("no address")]);
        assert_eq!(
            pieces("See https://example.com/a?b=c#d, then go."),
            [
                Text("See "),
                Link("https://example.com/a?b=c#d"),
                Text(", then go.")
            ]
        );
        assert_eq!(
            pieces("(http://x.org)"),
            [Text("("), Link("http://x.org"), Text(")")]
        );
        assert_eq!(
            pieces("https://x.org/Ring_(mark)"),
            [Link("https://x.org/Ring_(mark)")]
        );
        assert_eq!(
            pieces("http://a.b http://c.d"),
            [Link("http://a.b"), Text(" "), Link("http://c.d")]
        );
    }

    #[test]
    fn nothing_else_becomes_a_link() {
        for text in [
            "",
            "javascript:alert(1)",
            "http",
            "http://",
            "https://...",
            "xhttp://a.b",
            "ftp://a.b",
            "data:text/html,x",
            "<a href=x>",
        ] {
            assert!(
                pieces(text).iter().all(|piece| matches!(piece, Text(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn markup_is_shown_and_not_obeyed() {
        let html = Owner::new().with(|| {
            view! { <Body text="<b>x</b> http://a.b/\"onclick=y" /> }
                .into_view()
                .to_html()
        });
        assert!(html.contains("&lt;b&gt;x&lt;/b&gt;"), "{html}");
        assert!(html.contains("href=\"http://a.b/\""), "{html}");
        assert!(
            html.contains("rel=\"noopener noreferrer external\""),
            "{html}"
        );
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_message(text in "(https?://|[a-z.)(é ]|\\PC){0,40}") {
            let joined: String = pieces(&text).into_iter().map(|piece| match piece { Text(text) | Link(text) => text }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
