//! Finding the rule in force and deciding, as every read of a value does.

use std::hint::black_box;

use chrono::DateTime;
use criterion::{Criterion, criterion_group, criterion_main};
use domain::{
    Attribute, SourceId, UnitId, Value,
    sourcing::{ErpValue, OwnValue, Rule, Rules, Strength, resolve},
};
use uuid::Uuid;

fn sourcing(c: &mut Criterion) {
    let unit = |i: usize| UnitId(Uuid::from_u128(i as u128));
    let source = SourceId(Uuid::from_u128(1));
    // Two rules for every attribute that people can edit, and some that units added.
    let editable = || {
        Attribute::ALL
            .iter()
            .copied()
            .filter(|attribute| attribute.spec().editable)
    };
    let rule = |attribute, unit, strength| Rule {
        id: 0,
        attribute,
        unit,
        source: None,
        strength,
        enforced: false,
        empty_wins: false,
    };
    let everywhere = editable().map(|attribute| rule(attribute, None, Strength::Normal));
    let somewhere = editable()
        .enumerate()
        .map(|(i, attribute)| rule(attribute, Some(unit(i)), Strength::Weak));
    let rules = Rules::default()
        .succeed(everywhere.chain(somewhere).collect())
        .expect("no repetition");
    let path = [unit(3), unit(2), unit(1)];

    let at = |second| DateTime::from_timestamp(second, 0).expect("a moment");
    let erp = ErpValue {
        source,
        value: Some(Value::from("Forge Line Lead")),
        changed_at: at(1),
        synced_at: at(3),
    };
    let own = OwnValue {
        value: Value::from("Line 1 Captain"),
        edited_at: at(2),
    };
    let in_force = rules.in_force(Attribute::Title, &path, Some(source));

    c.bench_function("sourcing/resolve, two values", |b| {
        b.iter(|| {
            resolve(
                black_box(Attribute::Title),
                black_box(in_force),
                Some(&erp),
                Some(&own),
            )
        });
    });
    c.bench_function(
        &format!("sourcing/rule in force of {}", rules.rules.len()),
        |b| {
            b.iter(|| rules.in_force(black_box(Attribute::Title), black_box(&path), Some(source)));
        },
    );
    c.bench_function("sourcing/a whole profile", |b| {
        b.iter(|| {
            for attribute in Attribute::ALL {
                let rule = rules.in_force(*attribute, &path, Some(source));
                black_box(resolve(*attribute, rule, Some(&erp), Some(&own)));
            }
        });
    });
}

criterion_group!(benches, sourcing);
criterion_main!(benches);
