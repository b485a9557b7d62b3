//! A signed SAML 2.0 assertion as a grant of OAuth 2.0 (RFC 7522), as SAP
//! SuccessFactors documents it under *Generating a SAML Assertion*: the portal
//! says itself, for a few minutes, that it is the API user, and signs with the
//! key whose certificate is registered for the client there.
//!
//! From documentation: nobody here could call one. The signature is checked in
//! a test against the same XML made canonical by another program.
//!
//! XML is signed in its canonical form (exclusive, without comments). It is
//! written in that form from the start, so nothing has to be made canonical:
//! namespaces where they are first used, attributes in the order of their names,
//! no space between elements, none that closes itself.

use std::fmt;

use base64::Engine as _;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// For whom an assertion is, as SAP documents it.
const AUDIENCE: &str = "www.successfactors.com";
/// How long an assertion is good, either way: it is used at once.
const LIFE: TimeDelta = TimeDelta::minutes(5);
const CANONICAL: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// Who asks for a token, and the key that says so.
pub(crate) struct Signer {
    key: RsaKeyPair,
    /// The client's id, which SuccessFactors calls API key.
    pub(crate) client: String,
    /// The user as whom the source is read.
    pub(crate) user: String,
    /// The address that gives the token.
    pub(crate) recipient: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// # Errors
    /// [`Error::Setting`] for a key that is no RSA key in PEM of at least 2048 bits.
    pub(crate) fn new(pem: &str, client: &str, user: &str, recipient: &str) -> Result<Self, Error> {
        let wrong = "is not an RSA key in PEM, of 2048 bits or more and without a password";
        let key = key(pem).ok_or_else(|| Error::setting("private_key", wrong))?;
        Ok(Self {
            key,
            client: client.to_owned(),
            user: user.to_owned(),
            recipient: recipient.to_owned(),
        })
    }

    /// An assertion at `now` in base64; `number` tells those of one second apart.
    ///
    /// # Errors
    /// [`Error::Setting`] if the key cannot sign.
    pub(crate) fn assertion(&self, now: DateTime<Utc>, number: u64) -> Result<String, Error> {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (begins, issued, ends) = (time(now - LIFE), time(now), time(now + LIFE));
        let (client, user) = (text(&self.client), text(&self.user));
        let recipient = attribute(&self.recipient);
        let seed = format!("{client} {user} {issued} {number}");
        let id: String = Sha256::digest(seed)
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let head = format!(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_{id}\" IssueInstant=\"{issued}\" Version=\"2.0\">\
             <saml:Issuer>{AUDIENCE}</saml:Issuer>"
        );
        let rest = format!(
            "<saml:Subject>\
             <saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified\">{user}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
             <saml:SubjectConfirmationData NotOnOrAfter=\"{ends}\" Recipient=\"{recipient}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{begins}\" NotOnOrAfter=\"{ends}\">\
             <saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{issued}\" SessionIndex=\"_{id}\"><saml:AuthnContext>\
             <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified</saml:AuthnContextClassRef>\
             </saml:AuthnContext></saml:AuthnStatement>\
             <saml:AttributeStatement>\
             <saml:Attribute Name=\"api_key\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\"><saml:AttributeValue>{client}</saml:AttributeValue></saml:Attribute>\
             <saml:Attribute Name=\"use_username\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\"><saml:AttributeValue>false</saml:AttributeValue></saml:Attribute>\
             </saml:AttributeStatement></saml:Assertion>"
        );
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        // The signature stands behind the issuer and is left out of what it signs.
        let digest = base64(&Sha256::digest(format!("{head}{rest}")));
        let signed = format!(
            "<ds:CanonicalizationMethod Algorithm=\"{CANONICAL}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#_{id}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
             <ds:Transform Algorithm=\"{CANONICAL}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        // By itself it names the namespace that the element around it names in the document.
        let space = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
        let canonical = format!("<ds:SignedInfo {space}>{signed}");
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                canonical.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Error::setting("private_key", "cannot sign"))?;
        let signature = base64(&signature);
        let xml = format!(
            "{head}<ds:Signature {space}><ds:SignedInfo>{signed}<ds:SignatureValue>{signature}</ds:SignatureValue></ds:Signature>{rest}"
        );
        Ok(base64(xml.as_bytes()))
    }
}

/// The key in a PEM text, whatever became of its line breaks in a form.
fn key(pem: &str) -> Option<RsaKeyPair> {
    const MARK: &str = "-----";
    let (_, text) = pem.split_once("-----BEGIN ")?;
    let (label, text) = text.split_once(MARK)?;
    let (text, _) = text.split_once("-----END ")?;
    let text: String = text.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    match label {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der).ok(),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok(),
        _ => None,
    }
}

/// A text as it stands in an element of canonical XML; signs that cannot be shown are no part of a name.
fn text(text: &str) -> String {
    let shown: String = text.chars().filter(|sign| !sign.is_control()).collect();
    let amp = shown.replace('&', "&amp;");
    amp.replace('<', "&lt;").replace('>', "&gt;")
}

/// The same for an attribute, where other signs have to be written otherwise.
fn attribute(text: &str) -> String {
    let shown: String = text.chars().filter(|sign| !sign.is_control()).collect();
    let amp = shown.replace('&', "&amp;");
    amp.replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// Made for this test, and for nothing else.
    const PEM: &str = include_str!("../tests/service/saml-key.pem");

    fn xml(signer: &Signer) -> String {
        let now = "2026-11-22T04:00:00Z".parse().expect("a time");
        let assertion = signer.assertion(now, 0).expect("an assertion");
        let bytes = base64::engine::general_purpose::STANDARD.decode(assertion);
        String::from_utf8(bytes.expect("base64")).expect("text")
    }

    fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
        let (_, rest) = text.split_once(begin).expect("its beginning");
        rest.split_once(end).expect("its end").0
    }

    #[test]
    fn an_assertion_is_signed_over_what_it_says() {
        let recipient = "https://api4.example/oauth/token?a=1&b=\"2\"";
        let signer = Signer::new(PEM, "key<&>", "sf\"admin", recipient).expect("a key");
        let xml = xml(&signer);
        let whole = format!(
            "<ds:Signature{}</ds:Signature>",
            between(&xml, "<ds:Signature", "</ds:Signature>")
        );
        let plain = xml.replace(&whole, "");
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&plain));
        assert_eq!(
            between(&xml, "<ds:DigestValue>", "</ds:DigestValue>"),
            digest
        );
        let signed = between(&xml, "<ds:SignedInfo>", "</ds:SignedInfo>");
        let space = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
        let canonical = format!("<ds:SignedInfo {space}>{signed}</ds:SignedInfo>");
        let signature = between(&xml, "<ds:SignatureValue>", "</ds:SignatureValue>");
        let signature = base64::engine::general_purpose::STANDARD.decode(signature);
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signer.key.public())
            .verify(canonical.as_bytes(), &signature.expect("base64"))
            .expect("the signature of that key");
        // xmlsec1 and xml-crypto take exactly this text.
        insta::assert_snapshot!(xml);
    }

    #[test]
    fn a_key_is_read_though_a_form_took_its_line_breaks() {
        let flat = PEM.replace('\n', " ");
        let signer = |pem: &str| Signer::new(pem, "c", "u", "https://api.example/t");
        let (one, other) = (signer(PEM).expect("a key"), signer(&flat).expect("a key"));
        assert_eq!(xml(&one), xml(&other));
        for wrong in [
            "",
            "s3cret",
            "-----BEGIN PRIVATE KEY----- bm8= -----END PRIVATE KEY-----",
            &PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        ] {
            let error = signer(wrong).expect_err("no key").to_string();
            assert!(
                error.starts_with("private_key is not an RSA key"),
                "{error}"
            );
            assert!(!error.contains("s3cret"));
        }
        assert_eq!(format!("{one:?}"), "Signer { .. }");
    }
}
