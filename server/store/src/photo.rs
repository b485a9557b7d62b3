//! Portraits: re-encoded, so that nothing but pixels is kept.

use domain::{EmployeeId, Viewer};

use crate::{Result, Store};

/// Most bytes of an uploaded portrait.
pub const UPLOAD_MAX: usize = 5 * 1024 * 1024;
/// Edge of the kept square, in pixels.
pub const EDGE: u32 = 256;

/// A portrait as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `image/jpeg`.
    pub media_type: String,
}

impl Store {
    /// Sets one's own portrait: JPEG, PNG, GIF or WebP of at most [`UPLOAD_MAX`]
    /// bytes and 40 megapixels, cut to a square of [`EDGE`] and written as JPEG.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Locked`], [`crate::Error::Invalid`].
    pub async fn set_photo(&self, viewer: &Viewer, id: EmployeeId, bytes: Vec<u8>) -> Result<()> {
        todo!()
    }

    /// A portrait by its hash.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn photo(&self, viewer: &Viewer, hash: &str) -> Result<Photo> {
        todo!()
    }
}
