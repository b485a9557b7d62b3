//! An entry as the mapping reads it, and as people are shown it.

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use super::{dn, preset::Preset, wire::Entry};

/// Bit 2 of `userAccountControl`: ACCOUNTDISABLE.
const DISABLED: i64 = 0x2;

pub(super) const DN: &str = "dn";
pub(super) const PARENT: &str = "parentDn";
pub(super) const ENABLED: &str = "enabled";
pub(super) const CONTROL: &str = "userAccountControl";
pub(super) const GUID: &str = "objectGUID";
/// Every attribute that was asked for, empty where the entry has none.
pub(super) fn record(preset: Preset, entry: &Entry, asked: &[String]) -> Json {
    let mut record = Map::new();
    for name in asked {
        let values = entry.values(name).iter().map(|value| text(name, value));
        record.insert(name.clone(), values.collect());
    }
    add_own(preset, entry, &mut record);
    Json::Object(record)
}

/// What stands in no attribute.
pub(super) fn add_own(preset: Preset, entry: &Entry, record: &mut Map<String, Json>) {
    record.insert(DN.into(), json!(entry.dn));
    record.insert(PARENT.into(), json!(dn::parent(&entry.dn)));
    if preset == Preset::ActiveDirectory {
        let bits = entry.values(CONTROL).first();
        let bits = bits.and_then(|bits| std::str::from_utf8(bits).ok()?.parse::<i64>().ok());
        if let Some(bits) = bits {
            record.insert(ENABLED.into(), json!(bits & DISABLED == 0));
        }
    }
}

/// The attribute that `from` of a mapping reads.
pub(super) fn attribute(from: &str) -> String {
    match from.strip_prefix('/') {
        Some(pointer) => {
            let first = pointer.split('/').next().unwrap_or_default();
            first.replace("~1", "/").replace("~0", "~")
        }
        None => from.to_owned(),
    }
}

/// Whether we make it ourselves.
pub(super) fn own(name: &str) -> bool {
    matches!(name, DN | PARENT | ENABLED)
}

/// Attributes that hold passwords and keys: not even shown to whoever may set up the mapping.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "password",
        "pwd",
        "secret",
        "krbprincipalkey",
        "msds-managed",
        "supplementalcredentials",
    ]
    .iter()
    .any(|word| name.contains(word))
}

pub(super) fn key(name: &str) -> String {
    match dn::parts(name) {
        Some(parts) => dn::key(&parts),
        None => name.to_lowercase(),
    }
}
/// Where a fault is, by the name of the entry.
pub(super) fn place(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}
/// A value as the mapping reads it: text, an id in its usual form, or base64.
fn text(name: &str, value: &[u8]) -> Json {
    if name.eq_ignore_ascii_case(GUID)
        && let Some(guid) = guid(value)
    {
        return json!(guid);
    }
    match std::str::from_utf8(value) {
        Ok(text) => json!(text),
        Err(_) => json!(base64::engine::general_purpose::STANDARD.encode(value)),
    }
}

/// The same for people to look at: what is no text has a size alone.
pub(super) fn shown(name: &str, value: &[u8]) -> Json {
    match text(name, value) {
        Json::String(text) if std::str::from_utf8(value).is_ok() || text.len() == 36 => {
            json!(text.chars().take(500).collect::<String>())
        }
        _ => json!(format!("({} bytes)", value.len())),
    }
}

/// Active Directory's id: 16 bytes, of which the first three parts stand
/// with the lowest byte first ([MS-DTYP] 2.3.4.2).
fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, from) in order.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[from]));
    }
    Some(text)
}

pub(super) fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    Some(order.map(|from| bytes[from]))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_turned_round_and_back() {
        let bytes = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
            0xEE, 0xFF,
        ];
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(guid(&bytes).as_deref(), Some(text));
        assert_eq!(guid_bytes(text), Some(bytes));
        assert_eq!(guid(&bytes[1..]), None);
        assert_eq!(guid_bytes("no guid"), None);
    }
}
