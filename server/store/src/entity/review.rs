//! Reviews.

use sea_orm::entity::prelude::*;

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reviews")]
pub struct Model {
    /// Which.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who reads.
    pub reviewer_id: Uuid,
    /// Whose words.
    pub subject_id: Uuid,
    /// The kind of reason.
    pub category: String,
    /// The reason in words.
    pub reason: String,
    /// The case it belongs to.
    pub case_ref: Option<String>,
    /// First moment of interest.
    pub from_at: ChronoDateTimeUtc,
    /// Moment after the last one of interest.
    pub to_at: Option<ChronoDateTimeUtc>,
    /// When it was opened.
    pub opened_at: ChronoDateTimeUtc,
    /// When it ends by itself.
    pub expires_at: ChronoDateTimeUtc,
    /// When it was ended.
    pub ended_at: Option<ChronoDateTimeUtc>,
    /// What was found.
    pub finding: Option<String>,
    /// `at_once` or `at_the_end`.
    pub notice: String,
    /// By which relation: `line`, `dotted`, `delegate`.
    pub by_relation: String,
    /// For whom the reviewer stood in.
    pub on_behalf_of: Option<Uuid>,
}

/// Joined by hand where it is needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
