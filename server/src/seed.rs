//! A generated company for load: a folder for the CSV adapter, the same for the same number.

use std::{fmt::Write as _, fs, io, path::Path};

/// The generated source's name.
pub const SOURCE: &str = "Generated company";
/// The password of generated accounts.
pub const PASSWORD: &str = "quartz-lantern-mosaic-harbour-29";

/// How many report to one superior, and how many are in one unit.
const SPAN: usize = 8;
const UNIT: usize = 64;

const GIVEN: [&str; 16] = [
    "Ada", "Bram", "Chiara", "Dilan", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jarek", "Keiko",
    "Luca", "Mina", "Nils", "Oona", "Pavel",
];
const FAMILY: [&str; 17] = [
    "Abel", "Berg", "Castro", "Dahl", "Eriksen", "Ferrari", "Gupta", "Hansen", "Ivanov", "Jansen",
    "Kaya", "Larsen", "Moreau", "Novak", "Okoro", "Petit", "Quist",
];
const TITLES: [&str; 8] = [
    "Fitter",
    "Planner",
    "Engineer",
    "Buyer",
    "Analyst",
    "Clerk",
    "Inspector",
    "Designer",
];
const PLACES: [&str; 3] = ["Sheffield", "Bergen", "Lisbon"];

/// The login of the generated person `at`, which is the number in small letters.
#[must_use]
pub fn login(at: usize) -> String {
    number(at).to_ascii_lowercase()
}

fn number(at: usize) -> String {
    format!("G{:06}", at + 1)
}

/// Writes the folder for so many people; `changed` percent of them have another title than with 0.
///
/// # Errors
/// Those of the file system.
pub fn write_to(folder: &Path, employees: usize, changed: u8) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("units.csv"), units(employees))?;
    fs::write(folder.join("workers.csv"), workers(employees, changed))
}

fn units(employees: usize) -> String {
    let mut csv = String::from("unit,name,parent,head\n");
    for unit in 0..employees.div_ceil(UNIT) {
        let parent = unit
            .checked_sub(1)
            .map_or(String::new(), |below| format!("U{:05}", below / SPAN));
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "U{unit:05},Unit {unit},{parent},{}",
            number(unit * UNIT)
        );
    }
    csv
}

fn workers(employees: usize, changed: u8) -> String {
    let mut csv = String::from(
        "employee_number,given_name,family_name,title,email,unit,manager,location,start_date\n",
    );
    for at in 0..employees {
        let manager = at
            .checked_sub(1)
            .map_or(String::new(), |below| number(below / SPAN));
        let senior = if at % 100 < usize::from(changed) {
            "Senior "
        } else {
            ""
        };
        let _ = writeln!(
            csv,
            "{number},{given},{family},{senior}{title},{login}@generated.example,U{unit:05},{manager},{place},20{year:02}-{month:02}-01",
            number = number(at),
            given = GIVEN[at % GIVEN.len()],
            family = FAMILY[at % FAMILY.len()],
            title = TITLES[at % TITLES.len()],
            login = login(at),
            unit = at / UNIT,
            place = PLACES[at % PLACES.len()],
            year = 10 + at % 15,
            month = 1 + at % 12,
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_people_as_asked_for_each_below_one_other() {
        let csv = workers(100, 0);
        assert_eq!(csv.lines().count(), 101);
        let managers: Vec<_> = csv
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(6).expect("a column"))
            .collect();
        assert_eq!(
            managers.iter().filter(|manager| manager.is_empty()).count(),
            1,
            "one head"
        );
        assert_eq!(managers[9], "G000002");
        assert_eq!(units(100).lines().count(), 3);
    }

    #[test]
    fn the_share_that_changes_does() {
        let (before, after) = (workers(1000, 0), workers(1000, 1));
        assert_eq!(
            before
                .lines()
                .zip(after.lines())
                .filter(|(one, other)| one != other)
                .count(),
            10
        );
    }
}
