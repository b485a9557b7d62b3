//! The org chart at 100,000 people. The bar: a check at most 50 ns, a rebuild at most 20 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{
    EmployeeId, UnitId,
    org::{Member, OrgChart, Superior, Unit},
};

const PEOPLE: usize = 100_000;
const UNITS: usize = 2_000;

/// SplitMix64: the same company on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("less than n")
    }

    fn id(&mut self) -> uuid::Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next().to_be_bytes());
        let at = chrono::DateTime::from_timestamp_millis(1_780_000_000_000).expect("a moment");
        domain::ids::uuid_v7(at, random)
    }
}

/// About eight reports for each superior, some seven levels, given in no order.
fn company() -> (Vec<Member>, Vec<Unit>) {
    let mut dice = Dice(1);
    let ids: Vec<_> = (0..PEOPLE).map(|_| EmployeeId(dice.id())).collect();
    let units: Vec<_> = (0..UNITS).map(|_| UnitId(dice.id())).collect();
    let mut members: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(i, id)| Member {
            id: *id,
            manager: if i == 0 {
                Superior::Nobody
            } else {
                Superior::Is(ids[(i - 1) / 8])
            },
            unit: Some(units[i % UNITS]),
        })
        .collect();
    for i in (1..PEOPLE).rev() {
        members.swap(i, dice.below(i + 1));
    }
    let parent = |i: usize| (i > 0).then(|| units[(i - 1) / 6]);
    let units = units
        .iter()
        .enumerate()
        .map(|(i, id)| Unit {
            id: *id,
            parent: parent(i),
            heads: vec![],
        })
        .collect();
    (members, units)
}

fn org(c: &mut Criterion) {
    let (members, units) = company();
    c.bench_function("org/rebuild, 100,000 people", |b| {
        b.iter_with_large_drop(|| OrgChart::build(black_box(&members), &units));
    });

    let (chart, findings) = OrgChart::build(&members, &units);
    assert!(findings.is_empty(), "the generated company is in order");
    let mut dice = Dice(2);
    let mut anyone = || members[dice.below(PEOPLE)].id;
    let pairs: Vec<_> = (0..1 << 16).map(|_| (anyone(), anyone())).collect();
    let mut next = 0;
    c.bench_function("org/oversees, two random people of 100,000", |b| {
        b.iter(|| {
            next = (next + 1) % pairs.len();
            let (above, below) = pairs[next];
            chart.oversees(above, below)
        });
    });
    c.bench_function("org/chain of command of a random person of 100,000", |b| {
        b.iter(|| {
            next = (next + 1) % pairs.len();
            chart.chain(pairs[next].0).count()
        });
    });
}

criterion_group!(benches, org);
criterion_main!(benches);
