//! What a password has to be (NIST SP 800-63B-4, section 3.1.1).

use crate::Violation;

/// Fewest characters.
pub const MIN: usize = 12;
/// Most bytes: enough for any passphrase, and a bound on hashing work.
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
