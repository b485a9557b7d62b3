//! How a source's data went over its last runs: a line, the same in words, and the figures behind it.

use std::fmt::Write as _;

use leptos::prelude::*;
use store::quality::{Point, SourceTrend};

use crate::ui::{
    Column, Table, Time,
    format::{self, Reader, counted, number},
};

/// Width and height of the line.
const SIZE: (f64, f64) = (80.0, 24.0);
/// Left free at the edges, for the width of the line.
const EDGE: f64 = 2.0;

/// The points of the line, `x,y` with spaces between.
fn line(runs: &[Point]) -> Vec<(f64, f64)> {
    let most = runs
        .iter()
        .map(|run| run.findings)
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    let step = (SIZE.0 - 2.0 * EDGE) / (runs.len().max(2) - 1) as f64;
    runs.iter()
        .enumerate()
        .map(|(at, run)| {
            let height = run.findings as f64 / most * (SIZE.1 - 2.0 * EDGE);
            (EDGE + at as f64 * step, SIZE.1 - EDGE - height)
        })
        .collect()
}

/// What the line shows, in a sentence.
pub(super) fn sentence(runs: &[Point]) -> String {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
        return "No run yet".to_owned();
    };
    let now = counted(last.findings, "finding", "findings");
    match runs.len() {
        1 => format!("{now} in the only run"),
        many => {
            let then = number(i64::try_from(first.findings).unwrap_or(i64::MAX));
            let before = match many {
                2 => "the run before".to_owned(),
                many => format!("the one {} runs before", many - 1),
            };
            format!("{now} in the last run, {then} in {before}")
        }
    }
}

fn spark(name: &str, runs: &[Point]) -> Option<AnyView> {
    if runs.len() < 2 {
        return None;
    }
    let points = line(runs);
    let mut path = String::new();
    for (x, y) in &points {
        // Writing into a string cannot fail.
        let _ = write!(path, "{x:.1},{y:.1} ");
    }
    let (_, height) = SIZE;
    let (first, last) = (points.first()?.0, *points.last()?);
    let area = format!("{first:.1},{height} {path}{:.1},{height}", last.0);
    let label = format!("{name}: {}", sentence(runs));
    Some(
        view! {
            <svg class="spark" viewBox="0 0 80 24" role="img" aria-label=label>
                <polygon class="area" points=area />
                <polyline points=path />
                <circle class="last" cx=format!("{:.1}", last.0) cy=format!("{:.1}", last.1) r="2" />
            </svg>
        }
        .into_any(),
    )
}

/// One source's tile: how many findings there are now, and how it went.
pub(super) fn tile(source: &SourceTrend) -> AnyView {
    let figure = number(i64::try_from(source.findings).unwrap_or(i64::MAX));
    view! {
        <div class="stat">
            <dt>{source.name.clone()}</dt>
            <dd class="stat__value">{figure}</dd>
            <dd>{spark(&source.name, &source.runs)}</dd>
            <dd class="stat__note">{sentence(&source.runs)}</dd>
        </div>
    }
    .into_any()
}

/// The figures behind the line, folded away.
pub(super) fn figures(source: &SourceTrend, reader: &Reader) -> Option<AnyView> {
    if source.runs.is_empty() {
        return None;
    }
    let rows = source
        .runs
        .iter()
        .rev()
        .map(|run| {
            let href = format!("/console/sources/{}/runs/{}", source.id, run.run);
            let figure = |count: u64| number(i64::try_from(count).unwrap_or(i64::MAX));
            view! {
                <tr>
                    <th scope="row">
                        <a href=href>
                            <Time iso=format::iso(run.at) text=reader.moment(run.at) />
                        </a>
                    </th>
                    <td class="num">{figure(run.findings)}</td>
                    <td class="num">{figure(run.read)}</td>
                </tr>
            }
        })
        .collect_view();
    let name = source.name.clone();
    Some(
        view! {
            <details class="fold">
                <summary>{format!("Last runs of {name}")}</summary>
                <Table
                    caption=format!("Findings of the last runs of {name}, the latest first")
                    columns=vec![
                        Column::new("Run"),
                        Column::numeric("Findings"),
                        Column::numeric("Records read"),
                    ]
                >
                    {rows}
                </Table>
            </details>
        }
        .into_any(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(findings: &[u64]) -> Vec<Point> {
        findings
            .iter()
            .map(|findings| Point {
                run: domain::RunId(Default::default()),
                at: Default::default(),
                findings: *findings,
                read: 41,
            })
            .collect()
    }

    #[test]
    fn the_line_stays_within_its_frame() {
        for findings in [&[0, 0][..], &[3], &[1, 9, 4], &[7; 20]] {
            for (x, y) in line(&runs(findings)) {
                assert!(
                    (0.0..=SIZE.0).contains(&x) && (0.0..=SIZE.1).contains(&y),
                    "{findings:?}: {x} {y}"
                );
            }
        }
        let line = line(&runs(&[0, 5]));
        assert!(line[0].1 > line[1].1, "more is higher: {line:?}");
    }

    #[test]
    fn the_line_is_told_in_words() {
        assert_eq!(sentence(&[]), "No run yet");
        assert_eq!(sentence(&runs(&[1])), "1 finding in the only run");
        assert_eq!(
            sentence(&runs(&[7, 4, 2])),
            "2 findings in the last run, 7 in the one 2 runs before"
        );
        assert_eq!(
            sentence(&runs(&[1, 0])),
            "0 findings in the last run, 1 in the run before"
        );
    }
}
