//! Figures, and how they are shown.

use std::{fmt, fs, path::Path, thread::available_parallelism, time::Duration};

use anyhow::{Context as _, Result};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The machine and what was measured on it.
#[derive(Serialize)]
pub struct Report {
    revision: String,
    machine: Machine,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    memory: Measure,
    kernel: String,
    /// Processes that wanted to run in the minute before: over 0.5, others were at work.
    load_before: f64,
}

#[derive(Serialize)]
struct Figure {
    part: &'static str,
    name: String,
    #[serde(flatten)]
    value: Measure,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
    /// How many times the floor's cost, or which part of the bar is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

/// A value and its unit.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(tag = "unit", content = "value", rename_all = "snake_case")]
pub enum Measure {
    /// Time.
    Seconds(f64),
    /// So many each second.
    PerSecond(f64),
    /// So many for each second of the server's processor time: what other work on the machine changes least.
    PerCpuSecond(f64),
    /// Memory or disk.
    Bytes(u64),
}

impl From<Duration> for Measure {
    fn from(time: Duration) -> Self {
        Self::Seconds(time.as_secs_f64())
    }
}

/// What a figure is held beside.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Beside {
    /// The least that could do the work, measured in the same run.
    Floor(#[serde(serialize_with = "number")] Measure),
    /// The most that it may be.
    Bar(#[serde(serialize_with = "number")] Measure),
}

/// Without the unit, which is that of the figure.
fn number<S: Serializer>(measure: &Measure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(measure.number())
}

impl Measure {
    fn number(self) -> f64 {
        match self {
            Self::Seconds(value) | Self::PerSecond(value) | Self::PerCpuSecond(value) => value,
            Self::Bytes(bytes) => bytes as f64,
        }
    }

    /// How many times as much this costs: time and memory by themselves, rates turned round.
    fn cost_over(self, other: Self) -> f64 {
        match self {
            Self::PerSecond(_) | Self::PerCpuSecond(_) => other.number() / self.number(),
            Self::Seconds(_) | Self::Bytes(_) => self.number() / other.number(),
        }
    }
}

impl Report {
    /// An empty report of this machine.
    pub fn new(revision: &str) -> Result<Self> {
        let line = |file: &str, name: &str| -> Result<String> {
            let text = fs::read_to_string(file)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line
                .unwrap_or_default()
                .trim_start_matches([' ', '\t', ':'])
                .to_owned())
        };
        let kib = line("/proc/meminfo", "MemTotal:")?;
        let kib: u64 = kib.split(' ').next().unwrap_or_default().parse()?;
        let load = line("/proc/loadavg", "")?;
        Ok(Self {
            revision: revision.to_owned(),
            machine: Machine {
                processor: line("/proc/cpuinfo", "model name")?,
                cores: available_parallelism()?.get(),
                memory: Measure::Bytes(kib * 1024),
                kernel: line("/proc/sys/kernel/osrelease", "")?,
                load_before: load.split(' ').next().unwrap_or_default().parse()?,
            },
            figures: Vec::new(),
        })
    }

    /// Adds a figure.
    pub fn add(&mut self, part: &'static str, name: impl Into<String>, value: impl Into<Measure>) {
        self.put(part, name.into(), value.into(), None);
    }

    /// Adds a figure and its floor, of the same unit.
    pub fn add_over(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        value: impl Into<Measure>,
        floor: impl Into<Measure>,
    ) {
        self.put(
            part,
            name.into(),
            value.into(),
            Some(Beside::Floor(floor.into())),
        );
    }

    fn put(&mut self, part: &'static str, name: String, value: Measure, beside: Option<Beside>) {
        let ratio =
            beside.map(|(Beside::Floor(other) | Beside::Bar(other))| value.cost_over(other));
        self.figures.push(Figure {
            part,
            name,
            value,
            beside,
            ratio,
        });
    }

    /// Adds what criterion left in its folder: the medians.
    pub fn add_criterion(&mut self, folder: &Path) -> Result<()> {
        let mut found = Vec::new();
        find_criterion(folder, &mut found)?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, seconds) in found {
            let bar = bar(&name).map(|most| Beside::Bar(Measure::Seconds(most)));
            self.put("in process", name, Measure::Seconds(seconds), bar);
        }
        Ok(())
    }
}

/// Name and median seconds of every bench below a folder; a group of benches is a folder of its own.
fn find_criterion(folder: &Path, found: &mut Vec<(String, f64)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if let (Ok(about), Ok(estimates)) = (
            fs::read(path.join("new/benchmark.json")),
            fs::read(path.join("new/estimates.json")),
        ) {
            let about: Value = serde_json::from_slice(&about)?;
            let estimates: Value = serde_json::from_slice(&estimates)?;
            let name = about["full_id"]
                .as_str()
                .context("a bench without a name")?;
            let nanoseconds = estimates["median"]["point_estimate"]
                .as_f64()
                .context("a bench without a median")?;
            found.push((name.to_owned(), nanoseconds / 1e9));
        } else {
            find_criterion(&path, found)?;
        }
    }
    Ok(())
}

/// The most seconds that something may take, as the benches say.
fn bar(name: &str) -> Option<f64> {
    let bars = [("org/oversees", 50e-9), ("org/rebuild", 20e-3)];
    bars.into_iter()
        .find_map(|(known, most)| name.starts_with(known).then_some(most))
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Seconds(seconds) => {
                let (size, unit) = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
                    .into_iter()
                    .find(|(size, _)| seconds >= *size)
                    .unwrap_or((1e-9, "ns"));
                write!(
                    f,
                    "{:.*} {unit}",
                    if seconds / size < 10.0 { 2 } else { 1 },
                    seconds / size
                )
            }
            Self::PerSecond(rate) => write!(f, "{}/s", grouped(rate)),
            Self::PerCpuSecond(rate) => write!(f, "{}/CPU s", grouped(rate)),
            Self::Bytes(bytes) if bytes < 10 << 20 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            Self::Bytes(bytes) => write!(f, "{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        }
    }
}

/// A whole number with commas between the thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cores,
            memory,
            kernel,
            load_before,
        } = &self.machine;
        writeln!(
            f,
            "{processor}, {cores} cores, {memory}, Linux {kernel}, load before {load_before}; {}",
            self.revision
        )?;
        writeln!(
            f,
            "1:n means that the floor, the least that could do the work, costs an n-th; it is of the same run."
        )?;
        let rows: Vec<_> = self
            .figures
            .iter()
            .map(|figure| {
                let ratio = figure.ratio.unwrap_or_default();
                let (beside, ratio) = match figure.beside {
                    Some(Beside::Floor(floor)) => {
                        (format!("floor {floor}"), format!("1:{ratio:.1}"))
                    }
                    Some(Beside::Bar(bar)) => (
                        format!("at most {bar}"),
                        if ratio <= 1.0 { "kept" } else { "MISSED" }.into(),
                    ),
                    None => (String::new(), String::new()),
                };
                (figure, figure.value.to_string(), beside, ratio)
            })
            .collect();
        let name_width = rows
            .iter()
            .map(|row| row.0.name.chars().count())
            .max()
            .unwrap_or(0);
        let mut part = "";
        for (figure, value, beside, ratio) in rows {
            if part != figure.part {
                part = figure.part;
                writeln!(f, "\n{part}")?;
            }
            let line = format!(
                "  {:name_width$}  {value:>16}  {beside:>24}  {ratio:>8}",
                figure.name
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The value under which a part of all lies, `0.99` for the 99th percentile. Sorts.
pub fn percentile(micros: &mut [u32], part: f64) -> Measure {
    micros.sort_unstable();
    let at = (micros.len().saturating_sub(1) as f64 * part) as usize;
    Measure::Seconds(
        micros
            .get(at)
            .map_or(f64::NAN, |micros| f64::from(*micros) / 1e6),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_says_how_many_times_the_floor_costs() {
        let twice = |value: Measure, floor| (value.cost_over(floor) - 2.0).abs() < 1e-9;
        assert!(twice(Measure::Seconds(4.0), Measure::Seconds(2.0)));
        assert!(
            twice(Measure::PerSecond(100.0), Measure::PerSecond(200.0)),
            "half as many cost twice as much"
        );
        assert!(twice(Measure::Bytes(8), Measure::Bytes(4)));
    }

    #[test]
    fn figures_are_short_and_have_units() {
        let shown = |measure: Measure| measure.to_string();
        assert_eq!(shown(Measure::Seconds(3.66e-3)), "3.66 ms");
        assert_eq!(shown(Measure::Seconds(21.4e-9)), "21.4 ns");
        assert_eq!(shown(Measure::Seconds(12.34)), "12.3 s");
        assert_eq!(shown(Measure::PerSecond(1_234_567.8)), "1,234,568/s");
        assert_eq!(shown(Measure::PerSecond(100.0)), "100/s");
        assert_eq!(shown(Measure::Bytes(8_397)), "8.2 KiB");
        assert_eq!(shown(Measure::Bytes(64 << 20)), "64 MiB");
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let mut micros: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(&mut micros, 0.5), Measure::Seconds(50e-6));
        assert_eq!(percentile(&mut micros, 0.99), Measure::Seconds(99e-6));
        assert_eq!(percentile(&mut micros, 1.0), Measure::Seconds(100e-6));
    }
}
