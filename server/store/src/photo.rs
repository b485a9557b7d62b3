//! Portraits: re-encoded, so that nothing but pixels is kept.

use std::{collections::BTreeMap, io::Cursor};

use chrono::{DateTime, Utc};
use domain::{Action, Attribute, EmployeeId, Viewer, Violation};
use image::{
    DynamicImage, ImageDecoder as _, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
    imageops::FilterType,
};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::{Error, Result, Store, db, profile};

/// Most bytes of an uploaded portrait.
pub const UPLOAD_MAX: usize = 5 * 1024 * 1024;
/// Edge of the kept square, in pixels.
pub const EDGE: u32 = 256;
/// Most pixels of an uploaded portrait.
const PIXELS_MAX: u64 = 40_000_000;
/// Longest edge of an uploaded portrait.
const EDGE_MAX: u32 = 20_000;
/// Most memory that decoding takes: 40 megapixels of 16-bit RGBA, nearly.
const ALLOC_MAX: u64 = 256 * 1024 * 1024;
/// Quality of the kept JPEG, of 100.
const QUALITY: u8 = 85;

/// How many portraits are decoded at a time: each may take [`ALLOC_MAX`].
static DECODING: Semaphore = Semaphore::const_new(2);

/// A portrait as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `image/jpeg`.
    pub media_type: String,
}

/// A portrait as it is kept, with the hash by which it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
    /// A JPEG.
    pub bytes: Vec<u8>,
}

/// Makes of an image what is kept: a square of [`EDGE`] from its middle, turned
/// as its camera says, as JPEG; transparent parts are white.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are too many, or no image of a known kind.
pub(crate) async fn encode(bytes: Vec<u8>) -> Result<Encoded> {
    let place = DECODING.acquire().await;
    let place = place.map_err(|_| Error::Busy)?;
    let encoded = tokio::task::spawn_blocking(move || square(&bytes)).await;
    drop(place);
    encoded.map_err(|ended| Error::Internal(format!("portrait: {ended}")))?
}

fn square(bytes: &[u8]) -> Result<Encoded> {
    if bytes.len() > UPLOAD_MAX {
        return Err(Violation::TooLong {
            field: "photos".into(),
            max: UPLOAD_MAX,
            got: bytes.len(),
        }
        .into());
    }
    let no_image = || {
        Error::from(Violation::BadFormat {
            field: "photos".into(),
            expected: "a JPEG, PNG, GIF or WebP of at most 40 megapixels".into(),
        })
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|_| no_image())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(EDGE_MAX);
    limits.max_image_height = Some(EDGE_MAX);
    limits.max_alloc = Some(ALLOC_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| no_image())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(no_image());
    }
    // A broken note about the camera's position does not spoil the picture.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|_| no_image())?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let small = image.resize_to_fill(EDGE, EDGE, FilterType::CatmullRom);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&on_white(&small))
        .map_err(|error| Error::Internal(format!("portrait: {error}")))?;
    Ok(Encoded {
        hash: hex::encode(Sha256::digest(&jpeg)),
        bytes: jpeg,
    })
}

fn on_white(image: &DynamicImage) -> RgbImage {
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let over = |colour: u8| {
            let (colour, alpha) = (u32::from(colour), u32::from(alpha));
            // A mean of two bytes is a byte.
            ((colour * alpha + 255 * (255 - alpha)) / 255) as u8
        };
        image::Rgb([over(red), over(green), over(blue)])
    })
}

/// Keeps a portrait, once for all who have the same; answers its hash.
///
/// # Errors
/// [`crate::Error::Db`].
pub(crate) async fn keep(
    tx: &DatabaseTransaction,
    encoded: &Encoded,
    at: DateTime<Utc>,
) -> Result<String> {
    let insert = "INSERT INTO photos (hash, media_type, bytes, created_at) \
                  VALUES ($1, 'image/jpeg', $2, $3) ON CONFLICT (hash) DO NOTHING";
    let values = [
        encoded.hash.clone().into(),
        encoded.bytes.clone().into(),
        at.into(),
    ];
    tx.execute_raw(db::sql(tx, insert, values)).await?;
    Ok(encoded.hash.clone())
}

impl Store {
    /// Sets one's own portrait: JPEG, PNG, GIF or WebP of at most [`UPLOAD_MAX`]
    /// bytes and 40 megapixels, cut to a square of [`EDGE`] and written as JPEG.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`], [`crate::Error::Locked`], [`crate::Error::Invalid`].
    pub async fn set_photo(&self, viewer: &Viewer, id: EmployeeId, bytes: Vec<u8>) -> Result<()> {
        self.allow_about(viewer, id, Action::ReadProfile)?;
        if !viewer.may(self.relation(viewer, id), Action::EditProfile) {
            self.person(viewer, id).await?;
            return Err(Error::Forbidden);
        }
        let encoded = encode(bytes).await?;
        let mut change = self.change_people().await?;
        let known = self.editable(&change, viewer, id).await?;
        let hash = keep(&change.tx, &encoded, change.at).await?;
        let edits = BTreeMap::from([(Attribute::Photos, Some(hash.into()))]);
        profile::set_own(&mut change, viewer, &known, edits).await?;
        change.commit().await
    }

    /// A portrait by its hash.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    pub async fn photo(&self, viewer: &Viewer, hash: &str) -> Result<Photo> {
        self.allow(viewer, Action::ReadProfile)?;
        let ask = "SELECT bytes, media_type FROM photos WHERE hash = $1";
        let row = self
            .db()
            .query_one_raw(db::sql(self.db(), ask, [hash.into()]))
            .await?
            .ok_or(Error::NotFound)?;
        Ok(Photo {
            bytes: row.try_get("", "bytes")?,
            media_type: row.try_get("", "media_type")?,
        })
    }
}
