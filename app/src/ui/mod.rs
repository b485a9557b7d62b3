//! What every page is built from: small accessible components over the class names of `style/`.
//!
//! They take owned data, hold no state and fetch nothing, so that they render the same on the
//! server and inside an island. No component writes a `style` attribute or a script attribute:
//! the content security policy forbids both.

mod audit;
mod badge;
mod button;
mod feedback;
mod field;
pub mod format;
mod icon;
mod page;
mod person;
pub mod popovers;
mod provenance;
mod review;
mod shell;
mod table;

#[cfg(all(test, feature = "ssr"))]
mod tests;

pub use audit::*;
pub use badge::*;
pub use button::*;
pub use feedback::*;
pub use field::*;
pub use icon::*;
pub use page::*;
pub use person::*;
pub use provenance::*;
pub use review::*;
pub use shell::*;
pub use table::*;

/// Text that may be missing, so that a property takes a literal, a `String` or an `Option<String>`
/// alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Option<String>);

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<String>> for Words {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

impl From<Option<&str>> for Words {
    fn from(text: Option<&str>) -> Self {
        Self(text.map(str::to_owned))
    }
}

/// `block`, then each of `names` that is not empty.
pub(crate) fn classes(block: &str, names: &[&str]) -> String {
    let mut class = block.to_owned();
    for name in names.iter().filter(|name| !name.is_empty()) {
        class.push(' ');
        class.push_str(name);
    }
    class
}
