//! Whatever is done to a log, verification finds it.

use chrono::{DateTime, TimeDelta, Utc};
use domain::audit::{Broken, Checkpoint, Entry, Hash, Record, Verifier};
use ed25519_dalek::{SigningKey, VerifyingKey};
use proptest::{collection::vec, option, prelude::*};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> VerifyingKey {
    key().verifying_key()
}

fn at(second: i64) -> DateTime<Utc> {
    // With nanoseconds, which no database keeps.
    DateTime::from_timestamp(second, 123_456_789).expect("a moment")
}

fn chain(records: Vec<Record>) -> Vec<Entry> {
    let mut prev = Hash::ZERO;
    let entry = |(seq, record)| {
        let entry = Entry::chain(record, seq, prev, at(seq));
        prev = entry.hash;
        entry
    };
    (1..).zip(records).map(entry).collect()
}

fn record(n: usize) -> Record {
    Record {
        actor: format!("person:{n}"),
        action: "policy.set".into(),
        subject: "policy:attribute_rules".into(),
        detail: format!(r#"{{"version":{n}}}"#),
        address: n.is_multiple_of(2).then(|| "192.0.2.7".into()),
    }
}

fn log(n: usize) -> Vec<Entry> {
    chain((1..=n).map(record).collect())
}

/// The heads at these places, signed.
fn signed(log: &[Entry], places: &[usize]) -> Vec<Checkpoint> {
    let sign =
        |place: &usize| Checkpoint::sign(&key(), log[place - 1].seq, log[place - 1].hash, at(1000));
    places.iter().map(sign).collect()
}

fn verify(log: &[Entry], checkpoints: Vec<Checkpoint>) -> Result<(i64, Hash), Broken> {
    let mut verifier = Verifier::new(checkpoints, &public())?;
    log.iter().try_for_each(|entry| verifier.next(entry))?;
    verifier.finish()
}

/// Chains everything from `from` on anew, as somebody would who can write to the
/// database but cannot sign.
fn rechain(log: &mut [Entry], from: usize) {
    let mut prev = if from == 0 {
        Hash::ZERO
    } else {
        log[from - 1].hash
    };
    for (at, entry) in log.iter_mut().enumerate().skip(from) {
        entry.seq = at as i64 + 1;
        entry.prev = prev;
        entry.hash = entry.digest();
        prev = entry.hash;
    }
}

/// What is done to an entry, in words and as a deed.
type Change = (&'static str, fn(&mut Entry));

/// Every way to change one thing in an entry.
fn changes() -> Vec<Change> {
    vec![
        ("at, by a day", |entry| entry.at += TimeDelta::days(1)),
        ("at, by a nanosecond", |entry| {
            entry.at += TimeDelta::nanoseconds(1)
        }),
        ("actor", |entry| entry.actor.push('0')),
        ("action", |entry| entry.action = "policy.read".into()),
        ("subject", |entry| entry.subject.clear()),
        ("detail", |entry| entry.detail.insert(1, ' ')),
        ("address", |entry| entry.address = Some("192.0.2.8".into())),
        ("address, from empty to none or back", |entry| {
            entry.address = if entry.address.is_some() {
                None
            } else {
                Some(String::new())
            };
        }),
        ("hash", |entry| entry.hash.0[31] ^= 1),
        ("prev", |entry| entry.prev.0[0] ^= 1),
        ("actor and action swapped", |entry| {
            std::mem::swap(&mut entry.actor, &mut entry.action)
        }),
        ("subject and detail swapped", |entry| {
            std::mem::swap(&mut entry.subject, &mut entry.detail)
        }),
        ("the end of actor moved to the front of action", |entry| {
            let last = entry.actor.pop().expect("an actor");
            entry.action.insert(0, last);
        }),
        ("detail moved into address", |entry| {
            entry.address = Some(std::mem::take(&mut entry.detail))
        }),
    ]
}

#[test]
fn a_whole_log_verifies_with_and_without_checkpoints() {
    let log = log(5);
    let head = (5, log[4].hash);
    assert_eq!(verify(&log, vec![]), Ok(head));
    assert_eq!(
        verify(&log, signed(&log, &[5, 1, 3, 3])),
        Ok(head),
        "in whatever order they come"
    );
    assert_eq!(verify(&[], vec![]), Ok((0, Hash::ZERO)));
    let before_the_first = Checkpoint::sign(&key(), 0, Hash::ZERO, at(0));
    assert_eq!(verify(&[], vec![before_the_first]), Ok((0, Hash::ZERO)));
}

#[test]
fn each_changed_field_is_found_at_its_entry() {
    for (what, change) in changes() {
        for place in 0..5 {
            let mut log = log(5);
            change(&mut log[place]);
            assert_eq!(
                verify(&log, vec![]),
                Err(Broken::Changed {
                    seq: place as i64 + 1
                }),
                "{what}"
            );
        }
    }
    let mut log = log(5);
    log[2].seq = 4;
    assert_eq!(
        verify(&log, vec![]),
        Err(Broken::OutOfPlace {
            expected: 3,
            found: 4
        })
    );
}

#[test]
fn a_changed_entry_with_a_hash_made_to_fit_breaks_the_chain_behind_it() {
    for (what, change) in changes().into_iter().filter(|(what, _)| *what != "hash") {
        let mut log = log(5);
        change(&mut log[1]);
        log[1].hash = log[1].digest();
        let seq = if what == "prev" { 2 } else { 3 };
        assert_eq!(
            verify(&log, vec![]),
            Err(Broken::Unchained { seq }),
            "{what}"
        );
    }
}

#[test]
fn a_log_written_anew_is_not_the_one_that_was_signed() {
    for place in 0..5 {
        let mut forged = log(5);
        let checkpoints = signed(&forged, &[5]);
        forged[place].actor = "person:somebody-else".into();
        rechain(&mut forged, place);
        assert!(
            verify(&forged, vec![]).is_ok(),
            "without a checkpoint nobody can tell"
        );
        assert_eq!(
            verify(&forged, checkpoints),
            Err(Broken::Replaced { seq: 5 })
        );
    }
}

#[test]
fn removed_reordered_and_truncated_entries_are_found() {
    let whole = log(5);
    let checkpoints = signed(&whole, &[2, 5]);
    for place in 0..4 {
        let mut log = whole.clone();
        log.remove(place);
        let (expected, found) = (place as i64 + 1, place as i64 + 2);
        assert_eq!(
            verify(&log, vec![]),
            Err(Broken::OutOfPlace { expected, found }),
            "removed"
        );
        rechain(&mut log, place);
        assert!(
            verify(&log, checkpoints.clone()).is_err(),
            "removed and chained anew"
        );

        let mut log = whole.clone();
        log.swap(place, place + 1);
        assert_eq!(
            verify(&log, vec![]),
            Err(Broken::OutOfPlace { expected, found }),
            "reordered"
        );
        rechain(&mut log, place);
        assert!(
            verify(&log, checkpoints.clone()).is_err(),
            "reordered and chained anew"
        );
    }
    let mut twice = whole.clone();
    twice.insert(3, whole[2].clone());
    assert_eq!(
        verify(&twice, vec![]),
        Err(Broken::OutOfPlace {
            expected: 4,
            found: 3
        })
    );

    for last in 0..5 {
        let cut = verify(&whole[..last], checkpoints.clone());
        let signed = if last < 2 { 2 } else { 5 };
        assert_eq!(
            cut,
            Err(Broken::Truncated {
                last: last as i64,
                signed
            })
        );
    }
}

#[test]
fn a_forged_checkpoint_is_found() {
    let log = log(3);
    let genuine = Checkpoint::sign(&key(), 3, log[2].hash, at(1000));
    assert!(genuine.is_signed_by(&public()));
    let stranger = SigningKey::from_bytes(&[8; 32]);
    let forged = [
        Checkpoint::sign(&stranger, 3, log[2].hash, at(1000)),
        Checkpoint {
            seq: 2,
            ..genuine.clone()
        },
        Checkpoint {
            hash: log[1].hash,
            ..genuine.clone()
        },
        Checkpoint {
            at: genuine.at + TimeDelta::nanoseconds(1),
            ..genuine.clone()
        },
        Checkpoint {
            signature: genuine.signature.replace(['0', '1'], "2"),
            ..genuine.clone()
        },
        Checkpoint {
            signature: String::new(),
            ..genuine.clone()
        },
        Checkpoint {
            signature: "no hex".into(),
            ..genuine.clone()
        },
        Checkpoint {
            signature: format!("{}00", genuine.signature),
            ..genuine.clone()
        },
    ];
    for checkpoint in forged {
        let seq = checkpoint.seq;
        assert_eq!(
            verify(&log, vec![genuine.clone(), checkpoint]),
            Err(Broken::Forged { seq })
        );
    }
}

#[test]
fn a_hash_is_read_as_it_is_written() {
    let hash = log(1)[0].hash;
    assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
    for rubbish in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
        assert_eq!(Hash::parse(rubbish), None, "{rubbish}");
    }
}

/// What is hashed today has to be verified in ten years.
#[test]
fn the_form_of_the_hash_stays() {
    assert_eq!(
        log(2)[1].hash.to_string(),
        "ff928dd0f86aa75106fae2f06f0a8dcadae4a3a34a7fe352b6b6ed1f25abc592"
    );
}

fn any_record() -> impl Strategy<Value = Record> {
    // Short texts over few letters, so that moving text from field to field often makes the same row of letters.
    let text = "[ab]{0,3}";
    (text, text, text, any::<String>(), option::of(text)).prop_map(
        |(actor, action, subject, detail, address)| Record {
            actor,
            action,
            subject,
            detail,
            address,
        },
    )
}

proptest! {
    #[test]
    fn a_log_comes_back_from_json_as_it_was(records in vec(any_record(), 1..8)) {
        let log = chain(records);
        let checkpoints = signed(&log, &[log.len()]);
        let lines: Vec<_> = log.iter().map(|entry| serde_json::to_string(entry).expect("json")).collect();
        let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).expect("an entry")).collect();
        prop_assert_eq!(&read, &log);
        let json = serde_json::to_string(&checkpoints).expect("json");
        let checkpoints: Vec<Checkpoint> = serde_json::from_str(&json).expect("checkpoints");
        prop_assert_eq!(verify(&read, checkpoints), Ok((log.len() as i64, log[log.len() - 1].hash)));
    }

    #[test]
    fn different_records_have_different_hashes(a in any_record(), b in any_record()) {
        let entry = |record: &Record| Entry::chain(record.clone(), 1, Hash::ZERO, at(1));
        prop_assert_eq!(a == b, entry(&a).hash == entry(&b).hash);
        prop_assert_eq!(entry(&a).at.timestamp_subsec_nanos(), 123_456_000, "what a database keeps");
    }
}
