//! What a password has to be, after NIST SP 800-63B.

use crate::Violation;

/// Fewest characters. Revision 3 asks for 8; revision 4 for 15 where nothing but a
/// password is asked. Between them, because the store refuses what is easily guessed.
pub const MIN: usize = 12;
/// Most bytes: 64 characters of any script fit, as NIST asks, and hashing work has a bound.
pub const MAX: usize = 256;

/// Checks the length; no rule about kinds of characters, as NIST advises
/// against them. Whether it is easily guessed is judged by the store, which
/// has the word lists.
///
/// # Errors
/// [`Violation::TooShort`] under [`MIN`] characters, [`Violation::TooLong`] over [`MAX`] bytes.
pub fn check(password: &str) -> Result<(), Violation> {
    let field = "password".to_owned();
    let got = password.chars().count();
    if got < MIN {
        Err(Violation::TooShort {
            field,
            min: MIN,
            got,
        })
    } else if password.len() > MAX {
        Err(Violation::TooLong {
            field,
            max: MAX,
            got: password.len(),
        })
    } else {
        Ok(())
    }
}
