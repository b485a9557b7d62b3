//! Northwind Forge, the demo company: 41 people on three levels in two places,
//! and one vacant post whose superior nobody has named. It is a folder for the
//! CSV adapter, so that a demonstration walks the way of real data.

use std::{fs, io, path::Path};

/// The files of the folder: name and content.
pub const FILES: [(&str, &str); 3] = [
    ("workers.csv", include_str!("../demo/workers.csv")),
    ("units.csv", include_str!("../demo/units.csv")),
    ("positions.csv", include_str!("../demo/positions.csv")),
];

/// Writes the folder, and leaves files that are there already as they are, so
/// that a demonstration may change them.
///
/// # Errors
/// Those of the file system.
pub fn write_to(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, content) in FILES {
        let path = folder.join(name);
        if !path.exists() {
            fs::write(path, content)?;
        }
    }
    Ok(())
}
