//! Names of entries (RFC 4514), made alike where they mean the same.

/// The parts of a name in the form in which they are compared: without the
/// spaces, escapes and capitals that mean nothing. None for what is no name.
///
/// Directories give a name back as it was typed in: `CN=Okafor\, Grace, OU=Works`
/// and `cn=okafor\2c grace,ou=works` are one.
pub(super) fn parts(text: &str) -> Option<Vec<String>> {
    if text.trim().is_empty() {
        return None;
    }
    split(text, &[',', ';']).into_iter().map(part).collect()
}

/// Parts as one text, for a table of names.
pub(super) fn key(parts: &[String]) -> String {
    // A control character would have been escaped.
    parts.join("\u{1f}")
}

/// The name of the entry above, as it is written; empty for one at the top.
pub(super) fn parent(text: &str) -> &str {
    let first = split(text, &[',', ';'])
        .first()
        .map_or(text.len(), |first| first.len());
    text.get(first + 1..).unwrap_or_default().trim_start()
}

/// One part: `cn=Grace`, or several joined by `+`, whose order means nothing.
fn part(text: &str) -> Option<String> {
    let mut pairs = Vec::new();
    for pair in split(text, &['+']) {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("oid.").unwrap_or(&name);
        let known = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';'));
        if !known {
            return None;
        }
        pairs.push(format!("{}={}", short(name), value_of(value)?));
    }
    pairs.sort();
    Some(pairs.join("+"))
}

/// Names that are written in more than one way (RFC 4519).
fn short(name: &str) -> &str {
    match name {
        "commonname" | "2.5.4.3" => "cn",
        "surname" | "2.5.4.4" => "sn",
        "localityname" | "2.5.4.7" => "l",
        "organizationname" | "2.5.4.10" => "o",
        "organizationalunitname" | "2.5.4.11" => "ou",
        "countryname" | "2.5.4.6" => "c",
        "userid" | "0.9.2342.19200300.100.1.1" => "uid",
        "domaincomponent" | "0.9.2342.19200300.100.1.25" => "dc",
        other => other,
    }
}

/// Escapes undone, capitals and doubled spaces made one.
fn value_of(text: &str) -> Option<String> {
    let trimmed = text.trim_start();
    let mut bytes = Vec::with_capacity(trimmed.len());
    // How much must stay when the spaces at the end are taken off: an escaped one means itself.
    let mut kept = 0;
    let mut input = trimmed.bytes();
    while let Some(byte) = input.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let first = input.next()?;
        match char::from(first).to_digit(16) {
            Some(high) if input.clone().next().is_some_and(|c| c.is_ascii_hexdigit()) => {
                let low = char::from(input.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high << 4 | low).ok()?);
            }
            _ => bytes.push(first),
        }
        kept = bytes.len();
    }
    while bytes.len() > kept && bytes.last() == Some(&b' ') {
        bytes.pop();
    }
    let text = String::from_utf8(bytes).ok()?.to_lowercase();
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    Some(words.join(" "))
}

/// Splits at signs that are neither escaped nor quoted.
fn split<'a>(text: &'a str, at: &[char]) -> Vec<&'a str> {
    let (mut escaped, mut quoted, mut from) = (false, false, 0);
    let mut parts = Vec::new();
    for (index, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else if !quoted && at.contains(&c) {
            parts.push(&text[from..index]);
            from = index + 1;
        }
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        key(&parts(text).expect(text))
    }

    #[test]
    fn one_name_written_in_many_ways() {
        let name = one("cn=Okafor\\, Grace,ou=Wheel Works,dc=erp,dc=test");
        for other in [
            "CN=okafor\\2c grace , OU=Wheel  Works, DC=ERP,dc=Test",
            "commonName=OKAFOR\\, GRACE;ou=wheel works;dc=erp;dc=test",
            "2.5.4.3=Okafor\\2C Grace,organizationalUnitName=Wheel Works,dc=erp,dc=test",
        ] {
            assert_eq!(one(other), name, "{other}");
        }
        assert_eq!(one("cn=a+uid=b,dc=x"), one("UID=b + CN=a,dc=x"));
        assert_eq!(one("cn=\\c3\\85se,dc=x"), one("cn=åse,dc=x"));
        assert_ne!(one("cn=a,dc=x"), one("cn=b,dc=x"));
        assert_ne!(one("cn=a\\,dc=x"), one("cn=a,dc=x"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in [
            "",
            " ",
            "E00123",
            "grace@forge.example",
            "cn=a,b",
            "=x",
            "cn=a\\",
        ] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_entry_above_is_found_past_escapes() {
        assert_eq!(parent("cn=Okafor\\, Grace, ou=works,dc=x"), "ou=works,dc=x");
        assert_eq!(parent("dc=x"), "");
    }
}
