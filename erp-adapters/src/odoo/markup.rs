//! Odoo's messages are HTML; what is kept is their text.

/// Elements whose content nobody reads.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];
/// Elements that begin and end a line.
const LINES: [&str; 16] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "blockquote",
    "pre",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "section",
];

/// The text of `html` as it would be read aloud: a line for each paragraph,
/// list item and table row, no empty lines, markup gone.
///
/// It does not have to be right about every document, only never to leave
/// markup behind: what comes out is shown as text and is escaped there.
pub(super) fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    let mut hidden: Option<&str> = None;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if hidden.is_none() {
            push(&mut text, before);
        }
        // A comment may hold what looks like a tag's end.
        let end = if tag.starts_with("<!--") { "-->" } else { ">" };
        let opens = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
        let Some(length) = tag.find(end).filter(|_| opens) else {
            if hidden.is_none() {
                text.push('<');
            }
            rest = &tag[1..];
            continue;
        };
        rest = &tag[length + end.len()..];
        let inside = &tag[1..length];
        let closing = inside.starts_with('/');
        let name: String = inside
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if let Some(until) = hidden {
            if closing && name == until {
                hidden = None;
            }
        } else if let Some(name) = HIDDEN.iter().find(|hidden| **hidden == name) {
            hidden = (!closing && !inside.ends_with('/')).then_some(*name);
        } else if LINES.contains(&name.as_str()) {
            text.push('\n');
            if name == "li" && !closing {
                text.push_str("- ");
            }
        } else if matches!(name.as_str(), "td" | "th") {
            text.push(' ');
        }
    }
    if hidden.is_none() {
        push(&mut text, rest);
    }
    tidy(&text)
}

/// White space in HTML source is a space, wherever the line ends.
fn push(text: &mut String, raw: &str) {
    for c in unescape(raw).chars() {
        text.push(if c.is_whitespace() { ' ' } else { c });
    }
}

/// Character references; what is not one stays as it is.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';');
        let meant = end.and_then(|(end, _)| Some((end, meant(&rest[1..end])?)));
        match meant {
            Some((end, c)) => {
                text.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                text.push('&');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

fn meant(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
        return char::from_u32(code.ok()?).filter(|c| !c.is_control() || c.is_whitespace());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "euro" => '€',
        "pound" => '£',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "copy" => '©',
        _ => return None,
    })
}

fn tidy(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let empty = line.is_empty() || line == "-";
        if !empty {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_is_read_stays_and_markup_goes() {
        for (html, text) in [
            (
                "<p>Hello OdooBot,</p>\n   <p>The ticket has been\n   closed.</p>",
                "Hello OdooBot,\nThe ticket has been closed.",
            ),
            ("<span>Hello &lt;b&gt;x&lt;/b&gt;</span>", "Hello <b>x</b>"),
            (
                "<ul><li>One</li><li>Two &amp; three</li></ul>",
                "- One\n- Two & three",
            ),
            (
                "<style>p { color: red }</style><p title='>'>Yes</p><script>alert(1)</script>",
                "'>Yes",
            ),
            ("a<br/>b<br>c", "a\nb\nc"),
            ("<!-- <p>no</p> -->3 < 4 &amp;&amp; 5 > 4", "3 < 4 && 5 > 4"),
            (
                "&#1589;&#x1F525; &nbsp; &unknown; &#0; &",
                "ص🔥 &unknown; &#0; &",
            ),
            ("<table><tr><td>A</td><td>B</td></tr></table>", "A B"),
            ("<p><br></p>", ""),
            ("plain\ntext", "plain text"),
            ("<p", "<p"),
            ("<script>never ends", ""),
            ("", ""),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }
}
