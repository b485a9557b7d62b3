//! The schemas that are served (RFC 7643, sections 3, 4, 7 and 8.7.1).
//!
//! Two things differ from the RFC's text: a manager's display name is told when
//! it is asked for by name, so that what was pushed comes back as it was; and a
//! password is never kept.

use serde_json::{Value, json};

/// The type of an attribute's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A moment, RFC 3339.
    DateTime,
    /// An address, or a resource's.
    Reference,
    /// Base64.
    Binary,
    /// Sub-attributes.
    Complex,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Reference => "reference",
            Self::Binary => "binary",
            Self::Complex => "complex",
        }
    }
}

/// Who may write an attribute, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// The client, at any time.
    ReadWrite,
    /// The portal alone; what a client sends is passed over.
    ReadOnly,
    /// The client, once.
    Immutable,
    /// The client; nobody reads it, and it is not kept.
    WriteOnly,
}

impl Mutability {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "readWrite",
            Self::ReadOnly => "readOnly",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Whatever is asked for.
    Always,
    /// Unless it is left out.
    Default,
    /// When it is asked for by name.
    Request,
    /// Never.
    Never,
}

impl Returned {
    const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Default => "default",
            Self::Request => "request",
            Self::Never => "never",
        }
    }
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attr {
    /// Its name, in the one spelling that is kept.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Whether there can be several values.
    pub multi: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether upper and lower case differ in comparisons.
    pub exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is told.
    pub returned: Returned,
    /// Whether no two resources of a source have the same.
    pub unique: bool,
    /// The values that are proposed.
    pub canonical: &'static [&'static str],
    /// What a reference means.
    pub references: &'static [&'static str],
    /// Its sub-attributes.
    pub subs: &'static [Attr],
    /// What it is.
    pub help: &'static str,
}

const fn attr(name: &'static str, kind: Kind, help: &'static str) -> Attr {
    Attr {
        name,
        kind,
        multi: false,
        required: false,
        exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        unique: false,
        canonical: &[],
        references: &[],
        subs: &[],
        help,
    }
}

const fn text(name: &'static str, help: &'static str) -> Attr {
    attr(name, Kind::Text, help)
}

const fn complex(name: &'static str, subs: &'static [Attr], help: &'static str) -> Attr {
    let mut one = attr(name, Kind::Complex, help);
    one.subs = subs;
    one
}

const fn many(name: &'static str, subs: &'static [Attr], help: &'static str) -> Attr {
    let mut one = complex(name, subs, help);
    one.multi = true;
    one
}

impl Attr {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    const fn may(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    const fn told(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    const fn to(mut self, references: &'static [&'static str]) -> Self {
        self.references = references;
        self
    }

    const fn proposed(mut self, canonical: &'static [&'static str]) -> Self {
        self.canonical = canonical;
        self
    }

    /// The sub-attribute of a name, whatever its case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attr> {
        named(self.subs, name)
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "name": self.name,
            "type": self.kind.name(),
            "multiValued": self.multi,
            "description": self.help,
            "required": self.required,
            "mutability": self.mutability.name(),
            "returned": self.returned.name(),
        });
        match self.kind {
            Kind::Complex => {
                let subs: Vec<_> = self.subs.iter().map(Self::document).collect();
                document["subAttributes"] = subs.into();
            }
            _ => {
                document["caseExact"] = self.exact.into();
                document["uniqueness"] = if self.unique { "server" } else { "none" }.into();
            }
        }
        if !self.canonical.is_empty() {
            document["canonicalValues"] = json!(self.canonical);
        }
        if !self.references.is_empty() {
            document["referenceTypes"] = json!(self.references);
        }
        document
    }
}

fn named(attributes: &'static [Attr], name: &str) -> Option<&'static Attr> {
    attributes
        .iter()
        .find(|one| one.name.eq_ignore_ascii_case(name))
}

/// Attributes under one URN.
#[derive(Debug)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it describes.
    pub help: &'static str,
    /// The attributes.
    pub attributes: &'static [Attr],
}

impl Schema {
    /// The attribute of a name, whatever its case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attr> {
        named(self.attributes, name)
    }

    /// The schema as `/Schemas` tells it, without `meta`.
    #[must_use]
    pub fn document(&self) -> Value {
        let attributes: Vec<_> = self.attributes.iter().map(Attr::document).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.id,
            "name": self.name,
            "description": self.help,
            "attributes": attributes,
        })
    }
}

/// A kind of resource.
#[derive(Debug)]
pub struct ResourceType {
    /// `User` or `Group`.
    pub name: &'static str,
    /// Where it is, below the base address.
    pub endpoint: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its own attributes.
    pub schema: &'static Schema,
    /// Those that may come in addition.
    pub extension: Option<&'static Schema>,
}

impl ResourceType {
    /// The attribute of a name in the core schema or common to all resources, whatever its case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attr> {
        self.schema.attribute(name).or_else(|| named(COMMON, name))
    }

    /// The extension with this URN, whatever its case.
    #[must_use]
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extension
            .filter(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// The resource type as `/ResourceTypes` tells it, without `meta`.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": self.name,
            "name": self.name,
            "endpoint": self.endpoint,
            "description": self.help,
            "schema": self.schema.id,
        });
        if let Some(extension) = self.extension {
            document["schemaExtensions"] = json!([{ "schema": extension.id, "required": false }]);
        }
        document
    }
}

impl PartialEq for ResourceType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ResourceType {}

/// Every kind of resource.
pub const TYPES: [&ResourceType; 2] = [&USER, &GROUP];

/// People.
pub static USER: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    help: "A person of the organization.",
    schema: &USER_SCHEMA,
    extension: Some(&ENTERPRISE),
};

/// Groups of people, as the pushing system has them. They have no meaning for the org chart.
pub static GROUP: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    help: "A group of people.",
    schema: &GROUP_SCHEMA,
    extension: None,
};

/// What every resource has.
static COMMON: &[Attr] = &[
    Attr {
        multi: true,
        ..text("schemas", "The URNs of the schemas.")
    }
    .exact()
    .told(Returned::Always),
    text("id", "The portal's id of the resource.")
        .exact()
        .may(Mutability::ReadOnly)
        .told(Returned::Always),
    text("externalId", "The client's id of the resource.").exact(),
    complex(
        "meta",
        &[
            text("resourceType", "The kind of resource.").exact(),
            attr("created", Kind::DateTime, "When it was pushed first."),
            attr("lastModified", Kind::DateTime, "When it was changed last."),
            attr("location", Kind::Reference, "Its address.").exact(),
            text("version", "Its version.").exact(),
        ],
        "About the resource.",
    )
    .may(Mutability::ReadOnly),
];

const PRIMARY: Attr = attr(
    "primary",
    Kind::Boolean,
    "Whether it is the one to prefer. At most one is.",
);
const DISPLAY: Attr = text("display", "A name for people.");

/// The sub-attributes of most attributes with several values.
const fn plural(value: Attr, types: &'static [&'static str]) -> [Attr; 4] {
    [
        value,
        DISPLAY,
        text("type", "What it is for.").proposed(types),
        PRIMARY,
    ]
}

static EMAILS: [Attr; 4] = plural(
    text("value", "The address. The one at work is taken."),
    &["work", "home", "other"],
);
static PHONES: [Attr; 4] = plural(
    text(
        "value",
        "The number in international form. Those of the types work and mobile are taken.",
    ),
    &["work", "home", "mobile", "fax", "pager", "other"],
);
static IMS: [Attr; 4] = plural(text("value", "The address."), &[]);
static PHOTOS: [Attr; 4] = plural(
    attr(
        "value",
        Kind::Reference,
        "A data address with the photo in it. Other addresses are kept and not fetched.",
    )
    .exact()
    .to(&["external"]),
    &["photo", "thumbnail"],
);
static ENTITLEMENTS: [Attr; 4] = plural(text("value", "The entitlement."), &[]);
static ROLES: [Attr; 4] = plural(
    text("value", "The role. It gives no right in the portal."),
    &[],
);
static CERTIFICATES: [Attr; 4] = plural(
    attr("value", Kind::Binary, "The certificate, DER in base64.").exact(),
    &[],
);

static USER_SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    help: "A person.",
    attributes: &[
        text(
            "userName",
            "The name by which the client knows the person. Nobody signs in with it.",
        )
        .required()
        .unique(),
        complex(
            "name",
            &[
                text("formatted", "The whole name."),
                text("familyName", "Family name."),
                text("givenName", "Given name."),
                text("middleName", "Middle names."),
                text("honorificPrefix", "What stands before the name."),
                text("honorificSuffix", "What stands after the name."),
            ],
            "The name and its parts.",
        ),
        text(
            "displayName",
            "The name by which a person is known to others.",
        ),
        text("nickName", "What friends call the person."),
        attr("profileUrl", Kind::Reference, "A page about the person.")
            .exact()
            .to(&["external"]),
        text("title", "Job title."),
        text("userType", "How the person stands to the organization."),
        text("preferredLanguage", "Languages as in Accept-Language."),
        text("locale", "Language and region (BCP 47)."),
        text("timezone", "A zone of the IANA database."),
        attr(
            "active",
            Kind::Boolean,
            "Whether the person works here. Without it, yes.",
        ),
        text(
            "password",
            "Taken and not kept: people sign in by the portal's own means.",
        )
        .exact()
        .may(Mutability::WriteOnly)
        .told(Returned::Never),
        many("emails", &EMAILS, "Mail addresses."),
        many("phoneNumbers", &PHONES, "Telephone numbers."),
        many("ims", &IMS, "Addresses of messengers."),
        many("photos", &PHOTOS, "Photos."),
        many(
            "addresses",
            &[
                text("formatted", "The whole address."),
                text("streetAddress", "Street and number."),
                text(
                    "locality",
                    "City. That of the type work is the place of work.",
                ),
                text("region", "State or region."),
                text("postalCode", "Postal code."),
                text("country", "Country, ISO 3166-1 alpha-2."),
                text("type", "What it is for.").proposed(&["work", "home", "other"]),
                PRIMARY,
            ],
            "Postal addresses.",
        ),
        many(
            "groups",
            &[
                text("value", "The group's id.").may(Mutability::ReadOnly),
                attr("$ref", Kind::Reference, "The group's address.")
                    .exact()
                    .to(&["Group"])
                    .may(Mutability::ReadOnly),
                text("display", "The group's name.").may(Mutability::ReadOnly),
                text("type", "Direct membership.")
                    .proposed(&["direct"])
                    .may(Mutability::ReadOnly),
            ],
            "The groups that have the person as a member.",
        )
        .may(Mutability::ReadOnly),
        many("entitlements", &ENTITLEMENTS, "Entitlements."),
        many("roles", &ROLES, "Roles."),
        many("x509Certificates", &CERTIFICATES, "Certificates."),
    ],
};

static ENTERPRISE: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    help: "A person's place in the organization.",
    attributes: &[
        text(
            "employeeNumber",
            "The number by which the person is told among the other sources' people.",
        ),
        text("costCenter", "Cost centre."),
        text("organization", "Organization."),
        text("division", "Division."),
        text(
            "department",
            "Department: the unit in the org chart, by name.",
        ),
        complex(
            "manager",
            &[
                text("value", "The superior's id, externalId or userName."),
                attr("$ref", Kind::Reference, "The superior's address.")
                    .exact()
                    .to(&["User"]),
                text("displayName", "The superior's name.")
                    .may(Mutability::ReadOnly)
                    .told(Returned::Request),
            ],
            "The superior.",
        ),
    ],
};

static GROUP_SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    help: "A group.",
    attributes: &[
        text("displayName", "The group's name.").required(),
        many(
            "members",
            &[
                text("value", "The member's id.").may(Mutability::Immutable),
                attr("$ref", Kind::Reference, "The member's address.")
                    .exact()
                    .to(&["User", "Group"])
                    .may(Mutability::Immutable),
                text("type", "What the member is.")
                    .proposed(&["User", "Group"])
                    .may(Mutability::Immutable),
                text("display", "A name for people.").may(Mutability::Immutable),
            ],
            "Those in the group.",
        ),
    ],
};
